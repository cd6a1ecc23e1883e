"""Publications."""

import struct

from testing.compound_files import compound
from worker.core.extract.kinds import Kind
from worker.core.extract.parse import parse

OLE = Kind("application/x-ole-storage", "ole")


def contents(text: str) -> bytes:
    raw = text.encode("utf-16-le")
    entries = struct.pack("<H4s3H4sII", 0x18, b"STSH", 0, 1, 0, b"STSH", 512, 4)
    entries += struct.pack("<H4s3H4sII", 0x18, b"TEXT", 0, 1, 0, b"TEXT", 600, len(raw))
    return (b"CHNKINK ".ljust(32, b"\0") + entries).ljust(600, b"\0") + raw


def test_the_text_is_read() -> None:
    found = parse(compound({"Quill/QuillSub/CONTENTS": contents("見積書\rsecond line\r"), "Contents": b"x"}), OLE, 1000)
    assert (found.status, found.mime_type) == ("ok", "application/x-mspublisher")
    assert found.content == "見積書\nsecond line"


def test_other_contents_are_corrupt() -> None:
    assert parse(compound({"Quill/QuillSub/CONTENTS": b"x" * 50}), OLE, 1000).status == "corrupt"
