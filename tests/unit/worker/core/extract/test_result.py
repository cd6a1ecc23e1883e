"""What is known about a text."""

import pytest

from worker.core.base.reasons import Reason
from worker.core.extract.result import Properties, failed, found, iso


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2026-02-16T09:30:00Z", "2026-02-16T09:30:00+00:00"),
        ("2026-03-01", "2026-03-01"),
        ("Thu, 16 Apr 2026 11:20:00 +0900", "2026-04-16T11:20:00+09:00"),
        ("D:20260216093000+09'00'", "2026-02-16T09:30:00+09:00"),
        ("D:2026", "2026-01-01T00:00:00"),
        ("yesterday", None),
        ("D:20269999", None),
        ("", None),
        (None, None),
    ],
)
def test_dates_become_iso_8601_or_nothing(said: str | None, expected: str | None) -> None:
    assert iso(said) == expected


def test_properties_are_scrubbed_and_bounded() -> None:
    said = Properties(title="a\x00b" + "c" * 5000, author="  ", created="x", language="<script>")
    extracted = found("text/plain", "text", max_chars=10, said=said)
    assert extracted.title is not None
    assert extracted.title.startswith("a\ufffdb")
    assert len(extracted.title) == 1000
    assert (extracted.author, extracted.created, extracted.language) == (None, None, None)


def test_a_sentence_of_a_failure_is_one_short_line() -> None:
    extracted = failed("corrupt", "application/pdf", "a\nb\x1b " + "x" * 5000, Reason.CORRUPT_PDF)
    assert extracted.error is not None
    assert extracted.error.startswith("a b\ufffd x")
    assert len(extracted.error) == 500
