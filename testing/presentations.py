"""PowerPoint presentations ([MS-PPT]) made from records, as input of tests."""

import struct

CONTAINER = 0xF
DOCUMENT, SLIDE, NOTES, MASTER = 0x3E8, 0x3EE, 0x3F0, 0x3F8


def record(kind: int, content: bytes, *, instance: int = 0, version: int = 0) -> bytes:
    """A record."""
    return struct.pack("<HHI", instance << 4 | version, kind, len(content)) + content


def container(kind: int, *children: bytes, instance: int = 0) -> bytes:
    """A record of records."""
    return record(kind, b"".join(children), instance=instance, version=CONTAINER)


def chars(text: str) -> bytes:
    """Text in UTF-16."""
    return record(0xFA0, text.encode("utf-16-le"))


def string(text: str, instance: int = 0) -> bytes:
    """A string such as a footer."""
    return record(0xFBA, text.encode("utf-16-le"), instance=instance)


def shape(*children: bytes, placeholder: bool = False) -> bytes:
    """A shape with a text box in it, on a drawing of its own."""
    data = container(0xF011, record(0xBC3, bytes(8))) if placeholder else b""
    return container(
        0x40C,
        container(0xF002, container(0xF003, container(0xF004, data, record(0xF00D, b"".join(children), version=15)))),
    )


def slides(instance: int, texts: dict[int, bytes]) -> bytes:
    """A list of slides, masters (1) or notes (2), with the text in their outline."""
    parts = (record(0x3F3, struct.pack("<5I", number, 0, 0, 256, 0)) + text for number, text in texts.items())
    return container(0xFF0, *parts, instance=instance)


def presentation(objects: dict[int, bytes], *, deleted: bytes = b"", session: int | None = None) -> tuple[bytes, bytes]:
    """The streams of a presentation whose document is object 1, and that of its user; `deleted` is no longer in use."""
    stream, places = bytearray(deleted), {}
    for number, body in objects.items():
        places[number] = len(stream)
        stream += body
    directory = len(stream)
    entries = b"".join(struct.pack("<II", 1 << 20 | number, place) for number, place in places.items())
    stream += record(0x1772, entries)
    edit = len(stream)
    values = struct.pack("<IHBBIIIIHH", 0, 0, 0, 3, 0, directory, 1, 9, 0, 0)
    stream += record(0xFF5, values + (struct.pack("<I", session) if session is not None else b""))
    return bytes(stream), record(0xFF6, struct.pack("<III", 20, 0xE391C05F, edit) + bytes(8))
