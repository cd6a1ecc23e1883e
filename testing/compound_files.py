"""Compound files ([MS-CFB]) made from streams, as input of tests."""

import struct
from dataclasses import dataclass, field

SECTOR = 512
MINI_SECTOR = 64
CUTOFF = 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_STORAGE, _STREAM, _ROOT = 1, 2, 5


@dataclass
class _Entry:
    name: str
    kind: int
    data: bytes = b""
    start: int = _END
    children: "list[_Entry]" = field(default_factory=list)


def compound(streams: dict[str, bytes]) -> bytes:
    """A file with these streams, by their paths (`storage/stream`). Small ones are in the mini stream, as in real files."""
    root = _Entry("Root Entry", _ROOT)
    for path, data in streams.items():
        _place(root, path.split("/"), data)
    entries = _flat(root)
    sectors: list[bytes] = []
    fat: list[int] = []
    mini = bytearray()
    mini_fat: list[int] = []
    for entry in entries[1:]:
        if entry.kind == _STREAM and 0 < len(entry.data) < CUTOFF:
            entry.start = _chain(mini_fat, -(-len(entry.data) // MINI_SECTOR))
            mini += _padded(entry.data, MINI_SECTOR)
        elif entry.kind == _STREAM:
            entry.start = _store(sectors, fat, entry.data)
    root.data = bytes(mini)
    root.start = _store(sectors, fat, root.data)
    mini_start = _store(sectors, fat, struct.pack(f"<{len(mini_fat)}I", *mini_fat), b"\xff")
    directory = _store(sectors, fat, b"".join(_record(entry, entries) for entry in entries))
    fat_sectors = -(-(len(fat) + 1) // (SECTOR // 4 - 1))
    places = list(range(len(fat), len(fat) + fat_sectors))
    fat += [_FAT] * fat_sectors
    sectors.append(_padded(struct.pack(f"<{len(fat)}I", *fat), SECTOR, b"\xff"))
    header = struct.pack("<8s16x5H6x", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6)
    counts = (0, fat_sectors, directory, 0, CUTOFF, mini_start, -(-len(mini_fat) * 4 // SECTOR), _END, 0)
    header += struct.pack("<9I", *counts) + struct.pack("<109I", *places, *[_FREE] * (109 - fat_sectors))
    return header + b"".join(sectors)


def _place(parent: _Entry, parts: list[str], data: bytes) -> None:
    if len(parts) == 1:
        parent.children.append(_Entry(parts[0], _STREAM, data))
        return
    storage = next((child for child in parent.children if child.name == parts[0]), None)
    if storage is None:
        storage = _Entry(parts[0], _STORAGE)
        parent.children.append(storage)
    _place(storage, parts[1:], data)


def _flat(root: _Entry) -> list[_Entry]:
    return [root, *(entry for child in root.children for entry in _flat(child))]


def _store(sectors: list[bytes], fat: list[int], data: bytes, filler: bytes = b"\0") -> int:
    sectors.append(_padded(data, SECTOR, filler))
    return _chain(fat, -(-len(data) // SECTOR))


def _chain(table: list[int], count: int) -> int:
    if not count:
        return _END
    first = len(table)
    table += [*range(first + 1, first + count), _END]
    return first


def _padded(data: bytes, size: int, filler: bytes = b"\0") -> bytes:
    return data + filler * (-len(data) % size)


def _record(entry: _Entry, entries: list[_Entry]) -> bytes:
    """A directory entry; the children of a storage are chained, each as the right sibling of the one before."""
    siblings = next((other.children for other in entries if any(child is entry for child in other.children)), [entry])
    at = next(number for number, other in enumerate(siblings) if other is entry)
    right = _number(siblings[at + 1], entries) if at + 1 < len(siblings) else _FREE
    child = _number(entry.children[0], entries) if entry.children else _FREE
    name = entry.name.encode("utf-16-le")
    head = struct.pack("<64sHBB3I36x", name, len(name) + 2, entry.kind, 1, _FREE, right, child)
    return head + struct.pack("<IQ", entry.start, len(entry.data))


def _number(entry: _Entry, entries: list[_Entry]) -> int:
    return next(number for number, other in enumerate(entries) if other is entry)
