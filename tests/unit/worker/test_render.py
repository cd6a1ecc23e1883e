"""Untrusted text reaches a terminal as one harmless line."""

import pytest

from worker.core.base.text import one_line
from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START, Hit
from worker.render import hit_text, size


def hit(key: str = "a.txt", highlights: tuple[str, ...] = (), **fields: object) -> Hit:
    return Hit("bucket", key, 1.0, dict(fields), list(highlights))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("two\nlines\tand  more", "two lines and more"),
        ("\x1b[2Jgone", "\ufffd[2Jgone"),
        ("\x9b31mred", "\ufffd31mred"),
        ("right\u202eleft", "right\ufffdleft"),
        ("京都　支店 🌸", "京都 支店 🌸"),
    ],
)
def test_a_text_moves_no_cursor_and_starts_no_line(raw: str, shown: str) -> None:
    assert one_line(raw) == shown


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 * 1024**4, "5.0 TiB"), (2**60, "1048576.0 TiB")],
)
def test_sizes_are_shown_in_readable_units(count: int, said: str) -> None:
    assert size(count) == said


def test_matches_are_marked_and_nothing_else() -> None:
    text = hit_text(
        hit(highlights=(f"in {HIGHLIGHT_START}東京都{HIGHLIGHT_END} and\n{HIGHLIGHT_START}京都{HIGHLIGHT_END}",))
    )
    marked = [text.plain[span.start : span.end] for span in text.spans if span.style == "bold yellow"]
    assert marked == ["東京都", "京都"]
    assert text.plain.splitlines()[-1] == "  … in 東京都 and 京都"


def test_a_key_cannot_forge_a_line() -> None:
    text = hit_text(hit("a\nb\x1b[0m.txt", mime_type="text/plain", file_size=7, last_modified="2026-04-01T09:30:00Z"))
    assert text.plain == "s3://bucket/a\\nb\\x1b[0m.txt\n  text/plain · 7 bytes · 2026-04-01 09:30 UTC"


def test_fields_of_an_earlier_system_are_shown_as_far_as_they_can_be_read() -> None:
    text = hit_text(hit(mime_type=["odd"], file_size="12", last_modified="yesterday\n"))
    assert text.plain == "s3://bucket/a.txt\n  yesterday "
