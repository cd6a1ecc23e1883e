"""RTF before it goes to its parser."""

import pytest

from worker.core.extract.faults import CorruptError
from worker.core.extract.readers.rtf import readable_rtf


def rtf(text: bytes) -> bytes:
    return b"{\\rtf1\\ansi\\ansicpg932 " + text + b"}"


@pytest.mark.parametrize(
    "escaped",
    [
        b"\\'8c\\'a9\\'90\\'cf",
        b"\\'8c\\'a9{\\b\\'90\\'cf}",
        b"\\u35211\\'8c\\'a9\\u-31309 ?",
        b"\\u35211 \\'3f\\'90\\'cf",
    ],
)
def test_bytes_of_cp932_become_unicode(escaped: bytes) -> None:
    out = readable_rtf(rtf(escaped))
    assert b"\\u-30325?" in out or b"\\u35211?" in out
    assert b"\\'" not in out


def test_a_second_byte_may_stand_as_itself() -> None:
    assert b"\\u12450?" in readable_rtf(rtf(b"\\'83A"))


def test_western_rtf_is_left_alone() -> None:
    body = b"{\\rtf1\\ansi\\ansicpg1252 caf\\'e9}\r\n\0"
    assert readable_rtf(body) == body


def test_a_file_that_breaks_off_is_corrupt() -> None:
    with pytest.raises(CorruptError):
        readable_rtf(b"{\\rtf1\\ansi {\\b text} and mo")
