"""The code for the cause when a file cannot be read, which groups dead letters."""

import pytest

from testing.packages import docx, zipped
from worker.core.base.reasons import Reason
from worker.core.extract.kinds import kind_of
from worker.core.extract.parse import parse

COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def document(raw):
    """A Word document whose main part is this."""
    return docx("", {"word/document.xml": raw})


def locked():
    """A zip file whose member has the flag of an encrypted one."""
    made = bytearray(docx(""))
    at = made.index(b"PK\x01\x02")
    made[at + 8] |= 1
    return bytes(made)


FILES = {
    "a.pdf": (b"%PDF-1.4 broken", Reason.CORRUPT_PDF),
    "cut.docx": (docx("")[:200], Reason.BROKEN_ZIP),
    "inside.docx": (document(b"\0\0 no XML"), Reason.CORRUPT_DOCUMENT),
    "bomb.docx": (document("<w>" + " " * 30_000_000), Reason.ZIP_BOMB),
    "other.docx": (zipped({"a.txt": "x"}), Reason.WRONG_TYPE),
    "locked.docx": (locked(), Reason.PASSWORD),
    "old.doc": (COMPOUND + bytes(300), Reason.CORRUPT_OLD_OFFICE),
    "deep.rtf": (b"{\\rtf" + b"{" * 30_000, Reason.TOO_COMPLEX),
    "a.rtf": (b"{\\rtf1 ", Reason.CORRUPT_RTF),
    "noise.pdf": (bytes(range(256)) * 10, Reason.WRONG_TYPE),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_has_the_code_of_its_cause(name):
    body, reason = FILES[name]
    found = parse(body, kind_of(body[:4096], name, None), 1_000)
    assert (found.reason, found.content) == (reason, "")


def test_a_file_that_can_be_read_has_none():
    assert parse(b"text", kind_of(b"text", "a.txt", None), 1_000).reason is None
