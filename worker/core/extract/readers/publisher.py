"""Publications of Microsoft Publisher 98 and later: the text is in a part of its own, named Quill."""

import struct

from worker.core.extract.faults import CorruptError
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading

STREAM = "Quill/QuillSub/CONTENTS"
_MAGIC = b"CHNKINK "
_FIRST, _ENTRY_BYTES, _MAX_ENTRIES = 0x20, 24, 500
_TEXT = b"TEXT"


def read(file: Compound, reading: Reading) -> None:
    """Read the publication. Raises CorruptError."""
    reading.said = file.properties()
    with reading.part("text"):
        raw = file.stream(STREAM)
        if not raw.startswith(_MAGIC):
            raise CorruptError("the text of the publication does not begin as such a text")
        for at in range(_FIRST, min(len(raw) - _ENTRY_BYTES, _FIRST + _MAX_ENTRIES * _ENTRY_BYTES), _ENTRY_BYTES):
            if raw[at + 12 : at + 16] == _TEXT and raw[at + 2 : at + 6] == _TEXT:
                start, size = struct.unpack_from("<II", raw, at + 16)
                for paragraph in raw[start : start + size].decode("utf-16-le", "replace").split("\r"):
                    reading.add(paragraph.replace("\x0b", "\n").replace("\x0c", "\n"))
    for text in file.property_texts():
        reading.add(text)
