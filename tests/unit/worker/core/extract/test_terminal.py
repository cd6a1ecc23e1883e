"""Text as a terminal shows it."""

import time

import pytest

from worker.core.extract.terminal import as_shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[31mERR\x1b[1;4mOR\x1b[0m", "ERROR"),
        ("東\x1b[38;5;9m京\x1b[m都", "東京都"),
        ("one\x1b[5Ctwo\x1b[2;7Hthree\x1b[K", "one two three"),
        ("\x1b]0;window\x07text \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "text link"),
        ("N\x08NA\x08AM\x08ME\x08E _\x08x", "NAME x"),
        ("abc\x08\x08\x08def\x08", "de"),
        ("bell\x07 page\x0cnext", "bell page\nnext"),
        ("\x1b(Bplain\x1b=\x1b>", "plain"),
    ],
)
def test_codes_are_removed_also_inside_words(written: str, shown: str) -> None:
    assert as_shown(written) == shown


@pytest.mark.parametrize("piece", ["\x1b", "\x1b[", "\x1b]0;", "a\x08", "\x08", "\x1b[" + "1;" * 30])
def test_time_grows_with_the_length_alone(piece: str) -> None:
    began = time.process_time()
    as_shown(piece * (2_000_000 // len(piece)))
    assert time.process_time() - began < 12
