"""The words by which error messages are compared."""

import pytest

from recovery.ledger.outcomes import MAX_WORDS, words_of


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("GET s3://documents/契約/1.pdf: no answer in 30 s", ["answer", "get", "in", "no"]),
        ("GET C:\\a\\b.txt: no answer in 7 s", ["answer", "get", "in", "no"]),
        ("ファイルが壊れています 12", ["ファイルが壊れています"]),
        ("", []),
    ],
)
def test_numbers_and_paths_are_left_out(message, words):
    assert words_of(message) == words


def test_a_long_message_has_a_bounded_number_of_words():
    assert len(words_of(" ".join("ab" + chr(97 + n % 26) * (n // 26 + 1) for n in range(200)))) == MAX_WORDS
