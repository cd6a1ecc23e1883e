"""The bodies of the corpus: one function for each way of creating a file that contains a marker."""

import base64
import csv
import functools
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from email.header import Header
from pathlib import Path

Build = Callable[[random.Random, str], bytes]
"""Creates a body from a random generator and a marker."""

SAMPLES = Path(__file__).parents[1] / "samples"
DATA = Path(__file__).parents[1] / "tests/data"

CARRIED = "Miyakodori"
"""The company's name in the sample files. A marker has the same number of letters, so that it fits in the same place."""
_OLE_SECTOR_BYTES = 512

_PROSE = (
    "東京都の担当者と見積書の内容を確認し、来月までに返答することになった。",
    "京都支店の議事録はテンプレートにそって書き直した。",
    "この件は取締役会の承認を待って進める。",
    "倉庫の棚卸しは三月末に行い、結果を経理へ送る。",
    "印刷会社との契約は九月に更新される予定です。",
    "ご不明な点がありましたら、総務までお問い合わせください。",
)
_ENGLISH = (
    "The quarterly forecast was raised after the summer orders came in.",
    "Neither party is liable for a delay caused by force majeure.",
    "Please file the signed copy before the end of the month.",
    "The warehouse moved to Kawasaki and the inventory was counted again.",
    "Two tenders were postponed to the fourth quarter.",
)

# Text, written here ---------------------------------------------------------------------------------------------------


def _lines(rng: random.Random, marker: str, sentences: tuple[str, ...] = _PROSE) -> list[str]:
    """A few paragraphs with the marker in one of them."""
    lines = [" ".join(rng.choices(sentences, k=rng.randint(1, 3))) for _ in range(rng.randint(3, 12))]
    marked = f"整理番号 「{marker}」 を控えること。" if sentences is _PROSE else f"Ref. {marker}."
    lines.insert(rng.randrange(len(lines)), marked)
    return lines


def text(encoding: str, bom: bytes = b"", extra: str = "") -> Build:
    return lambda rng, marker: bom + ("\r\n".join([*_lines(rng, marker), extra]) + "\r\n").encode(encoding)


def markdown(rng: random.Random, marker: str) -> bytes:
    return ("# 打ち合わせメモ\n\n" + "\n\n".join(_lines(rng, marker)) + "\n\n- [ ] 確認\n").encode()


def table(encoding: str, delimiter: str = ",", bom: bytes = b"") -> Build:
    def build(rng: random.Random, marker: str) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter)
        writer.writerow(("番号", "金額", "摘要"))
        writer.writerows((i, rng.randint(100, 99_999), line) for i, line in enumerate(_lines(rng, marker)))
        return bom + out.getvalue().encode(encoding)

    return build


def json_object(rng: random.Random, marker: str) -> bytes:
    fields = {"id": rng.randint(1, 10**9), "件名": "見積書", "lines": _lines(rng, marker), "done": None}
    return json.dumps(fields, ensure_ascii=rng.random() < 0.5, indent=2).encode()


def json_lines(rng: random.Random, marker: str) -> bytes:
    rows = ({"ms": rng.randint(1, 900), "message": line} for line in _lines(rng, marker))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def python(rng: random.Random, marker: str) -> bytes:
    code = f'"""{marker} の集計"""\n\nRATE = {rng.randint(1, 99)}\n\n\ndef total(rows):\n    return sum(rows) * RATE\n'
    return code.encode()


def html(charset: str, encoding: str) -> Build:
    def build(rng: random.Random, marker: str) -> bytes:
        body = "".join(f"<p>{line}</p>\n" for line in _lines(rng, marker))
        head = f'<!DOCTYPE html>\n<html lang="ja"><head><meta charset="{charset}"><title>お知らせ</title></head>'
        return f"{head}\n<body><h1>お知らせ</h1>\n{body}</body></html>\n".encode(encoding)

    return build


def xml(rng: random.Random, marker: str) -> bytes:
    body = "".join(f"  <item no='{i}'>{line}</item>\n" for i, line in enumerate(_lines(rng, marker)))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<list>\n{body}</list>\n'.encode()


def rtf(rng: random.Random, marker: str) -> bytes:
    escaped = ("".join(c if c.isascii() else f"\\u{ord(c)}?" for c in line) for line in _lines(rng, marker))
    return b"{\\rtf1\\ansi\\ansicpg932\\uc1\\deff0 " + "\\par\n".join(escaped).encode("ascii") + b"\\par}"


def mail(charset: str, transfer: str) -> Build:
    def build(rng: random.Random, marker: str) -> bytes:
        raw = "\r\n".join(_lines(rng, marker)).encode(charset)
        head = (
            f"From: nishida@kitayama.example\r\nTo: mori@miyakodori.example\r\n"
            f"Subject: {Header('打ち合わせの日程', charset).encode()}\r\nDate: Thu, 16 Apr 2026 11:20:00 +0900\r\n"
            f"Message-ID: <{rng.randint(1, 10**12)}@kitayama.example>\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n"
        )
        return head.encode("ascii") + (base64.encodebytes(raw) if transfer == "base64" else raw + b"\r\n")

    return build


def pdf(rng: random.Random, marker: str) -> bytes:
    """One page of Helvetica."""
    return _pdf([_lines(rng, marker, _ENGLISH)])


def long_pdf(rng: random.Random, pages: int) -> bytes:
    """A PDF with many pages, which is slow to read."""
    return _pdf([_lines(rng, "long", _ENGLISH) for _ in range(pages)])


def _pdf(pages: list[list[str]]) -> bytes:
    """A PDF with a correct cross-reference table: catalog, page tree, font, then each page and its content."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        shown = b" ".join(b"(%s) ' " % line.encode("ascii") for line in lines)
        content = b"BT /F1 9 Tf 14 TL 36 800 Td " + shown + b"ET"
        resources = b"/Resources << /Font << /F1 3 0 R >> >>"
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R %s >>"
            % (5 + 2 * number, resources),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        ]
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    tail = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    return bytes(out) + b"xref\n0 %d\n" % size + table + tail


# Carried by a file ----------------------------------------------------------------------------------------------------


@functools.cache
def _read(path: Path) -> bytes:
    return path.read_bytes()


def rezipped(name: str) -> Build:
    """The sample with the marker instead of the company's name, in every XML part that contains it."""

    def build(rng: random.Random, marker: str) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(_read(SAMPLES / name))) as old, zipfile.ZipFile(out, "w") as new:
            for part in old.infolist():  # in order: in OpenDocument and EPUB, `mimetype` must come first, uncompressed
                data = old.read(part)
                if part.filename.endswith(("xml", "html")):
                    data = data.replace(CARRIED.encode(), marker.encode())
                new.writestr(zipfile.ZipInfo(part.filename, part.date_time), data, part.compress_type)
        return out.getvalue()

    return build


def patched(path: Path) -> Build:
    """The file with the company's name overwritten by the marker. Old formats store it in UTF-16 or one byte per letter."""

    def build(rng: random.Random, marker: str) -> bytes:
        body = _read(path).replace(CARRIED.encode("utf-16-le"), marker.encode("utf-16-le"))
        return body.replace(CARRIED.encode(), marker.encode()) if marker.isascii() else body

    return build


# Without text ---------------------------------------------------------------------------------------------------------


def png(rng: random.Random, marker: str) -> bytes:
    def chunk(tag: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    pixels = b"".join(b"\0" + rng.randbytes(24) for _ in range(8))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def jpeg(rng: random.Random, marker: str) -> bytes:
    return _read(SAMPLES / "photos/🌸 花見 2026.jpg") + rng.randbytes(8)  # bytes after the end marker are ignored


def archive(rng: random.Random, marker: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("backup/data.bin"), rng.randbytes(600))
    return out.getvalue()


def binary(rng: random.Random, marker: str) -> bytes:
    """Data of no known format, with NUL bytes, so that it cannot be mistaken for text."""
    return b"CAL1\0\0\0\x01" + rng.randbytes(rng.randint(500, 3000))


# Unreadable -----------------------------------------------------------------------------------------------------------


def stored(path: Path) -> Build:
    """The unchanged file."""
    return lambda _rng, _marker: _read(path)


def cut(build: Build) -> Build:
    """The first half of a good file and a little more."""
    return lambda rng, marker: (body := build(rng, marker))[: len(body) * rng.randint(500, 800) // 1000]


def noisy(build: Build) -> Build:
    """The beginning of a good file, so that its kind is recognised, followed by random bytes."""
    return lambda rng, marker: build(rng, marker)[:_OLE_SECTOR_BYTES] + rng.randbytes(6000)
