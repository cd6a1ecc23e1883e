"""Hostile files, made here: bombs, loops, junk and what reaches for other files. Nothing that can be generated is stored."""

import functools
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from testing.corpus_bodies import SAMPLES
from tests.support import hostile_pdf
from tests.support.hostile_quine import zip_quine

MIB = 1024**2
_OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_NDA = SAMPLES / "legal/NDA draft (v2+final).docx"
_XML = '<?xml version="1.0" encoding="utf-8"?>'

LONG = frozenset({
    "million pages", "content stream bomb", "object stream bomb", "zip bomb nested", "zip bomb overlapping", "zip bomb",
    "shared string of 6 GB", "bomb in the document part",
})  # fmt: skip
"""Those that take a second or more to make or to answer: `make chaos` has them all."""


@dataclass(frozen=True)
class Attack:
    """One hostile file: what it is, the name it goes by, its bytes."""

    what: str
    key: str
    body: bytes


def attacks(listener: str = "http://127.0.0.1:9") -> list[Attack]:
    """All of them. Those that reach out do so to `listener`, and to this machine's own files."""
    return [
        *(Attack(what, f"爆弾/{what}.{ext}", make()) for what, ext, make in _MADE),
        *(Attack(what, f"外へ/{what}.{ext}", make(listener)) for what, ext, make in _REACHING),
    ]


# Zip containers ---------------------------------------------------------------------------------------------------


def zipped(members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, body in members.items():
            made.writestr(name, body)
    return out.getvalue()


@functools.cache
def _zeros(size: int) -> bytes:
    return bytes(size)


def docx_with(extra: dict[str, bytes]) -> bytes:
    """A good document with more in it, or other members in place of its own."""
    with zipfile.ZipFile(_NDA) as carrier:
        members = {name: carrier.read(name) for name in carrier.namelist()}
    return zipped({**members, **extra})


def _nested() -> bytes:
    body = zipped({"zeros": _zeros(64 * MIB)})
    for level in range(6):
        body = zipped({f"{level}-{copy}.zip": body for copy in range(4)})
    return docx_with({"word/embeddings/inner.zip": body})


def _overlapping() -> bytes:
    """Many entries of the central directory that all name one member (David Fifield's idea, in its simplest form)."""
    body = zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": _zeros(8 * MIB)})
    directory = body.rfind(b"PK\x01\x02")
    end = body.rfind(b"PK\x05\x06")
    entry = body[directory:end]
    first = body[body.find(b"PK\x01\x02") : directory]
    count = 2_000
    whole = first + entry * count
    start = body.find(b"PK\x01\x02")
    return (
        body[:start] + whole + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count + 1, count + 1, len(whole), start, 0)
    )


def _in_itself() -> bytes:
    """A container with a smaller container in it, and in that one the next: it has an end, unlike a quine."""
    body = b""
    for _ in range(60):
        body = zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<a/>", "itself.docx": body})
    return body


def _lying_sizes() -> bytes:
    body = bytearray(docx_with({"word/zeros.bin": _zeros(64 * MIB)}))
    at = body.rfind(b"PK\x01\x02")
    struct.pack_into("<L", body, at + 24, 10)
    return bytes(body)


def _many_entries() -> bytes:
    return docx_with({f"word/media/{number}": b"" for number in range(30_000)})


def traversal() -> bytes:
    names = (
        "../../../../../../tmp/s3iw-hostile",
        "/tmp/s3iw-hostile",
        "..\\..\\s3iw-hostile",
        "word/../../s3iw-hostile",
    )
    return docx_with(dict.fromkeys(names, b"written outside"))


def _cells() -> bytes:
    """A sheet of 200,000 rows that all name one long shared string."""
    with zipfile.ZipFile(SAMPLES / "経理/2026年度 予算案.xlsx") as carrier:
        members = {name: carrier.read(name) for name in carrier.namelist()}
    space = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    rows = b"".join(b'<row><c t="s"><v>0</v></c></row>' for _ in range(200_000))
    members["xl/worksheets/sheet1.xml"] = b"<worksheet %s><sheetData>%s</sheetData></worksheet>" % (space, rows)
    members["xl/sharedStrings.xml"] = b"<sst %s><si><t>%s</t></si></sst>" % (space, b"A" * 30_000)
    return zipped(members)


# XML and HTML -----------------------------------------------------------------------------------------------------


def _laughs() -> str:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return f'{_XML}<!DOCTYPE a [<!ENTITY l0 "笑">{levels}]><a>&l11;</a>'


def _quadratic() -> str:
    return f'{_XML}<!DOCTYPE a [<!ENTITY long "{"x" * 60_000}">]><a>{"&long;" * 60_000}</a>'


def _xxe(target: str) -> str:
    return (
        f'{_XML}<!DOCTYPE a [<!ENTITY x SYSTEM "{target}"><!ENTITY % p SYSTEM "{target}"> %p;]>'
        f'<a xmlns:xi="http://www.w3.org/2001/XInclude">&x;<xi:include href="{target}" parse="text"/></a>'
    )


def _reaching_html(url: str) -> bytes:
    return (
        f'<html><head><base href="{url}"><link rel="stylesheet" href="{url}/a.css"><meta http-equiv="refresh" '
        f'content="0;{url}"></head><body><img src="{url}/i.png"><iframe src="{url}/f"></iframe><script src="{url}/s">'
        "</script></body></html>"
    ).encode()


def _odt_with(content: str) -> bytes:
    with zipfile.ZipFile(SAMPLES / "legal/秘密保持契約 解説.odt") as carrier:
        members = {name: carrier.read(name) for name in carrier.namelist()}
    return zipped({**members, "content.xml": content.encode(), "meta.xml": content.encode()})


# Mail, RTF, OLE ---------------------------------------------------------------------------------------------------


def _deep_mail(depth: int = 3_000) -> bytes:
    heads = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(depth))
    return f"MIME-Version: 1.0\nSubject: 深い\n{heads}Content-Type: text/plain\n\nbottom\n".encode()


def _mail_headers() -> bytes:
    return b"MIME-Version: 1.0\nSubject: " + b"=?utf-8?q?" * 40_000 + b"\nTo: " + b"(" * 40_000 + b"\n\nbody\n"


def _ole_loop() -> bytes:
    """A header whose chains run in circles."""
    head = bytearray(_OLE_MAGIC.ljust(512, b"\0"))
    struct.pack_into("<H", head, 30, 9)
    struct.pack_into("<9I", head, 40, 0, 1, 0, 0, 4096, 0, 1, 0, 1)
    struct.pack_into("<109I", head, 76, *([0] * 109))
    return bytes(head) + bytes(512) * 400


def _ole_junk() -> bytes:
    return _OLE_MAGIC + random.Random(8).randbytes(300_000)


def _reaching_rtf(url: str) -> bytes:
    field = f'{{\\field{{\\*\\fldinst INCLUDEPICTURE "{url}"}}{{\\fldrslt x}}}}'
    return f"{{\\rtf1\\ansi {{\\*\\template {url}}}{field}}}".encode()


_MADE: tuple[tuple[str, str, Callable[[], bytes]], ...] = (
    ("zip bomb", "docx", lambda: docx_with({"word/media/zeros.bin": _zeros(600 * MIB)})),
    ("zip bomb nested", "docx", _nested),
    ("zip bomb overlapping", "docx", _overlapping),
    ("zip in itself 60 times", "docx", _in_itself),
    ("zip quine", "docx", lambda: zip_quine("[Content_Types].xml")),
    ("zip quine", "epub", lambda: zip_quine("META-INF/container.xml")),
    ("zip quine", "zip", lambda: zip_quine("word/document.xml")),
    ("zip sizes that lie", "docx", _lying_sizes),
    ("zip of 30000 entries", "docx", _many_entries),
    ("zip bomb by bzip2", "docx",
     lambda: zipped({"[Content_Types].xml": b"<Types/>", "word/x": _zeros(64 * MIB)}, method=zipfile.ZIP_BZIP2)),
    ("path traversal", "docx", traversal),
    ("bomb in the document part", "docx",
     lambda: docx_with({"word/document.xml": b"<w>" + b"<w:p/>" * 6_000_000 + b"</w>"})),
    ("shared string of 6 GB", "xlsx", _cells),
    ("archive", "tar.gz", lambda: zlib.compress(_zeros(64 * MIB), wbits=31)),
    ("billion laughs", "xml", lambda: _laughs().encode()),
    ("billion laughs in a docx", "docx", lambda: docx_with({"word/document.xml": _laughs().encode()})),
    ("billion laughs in an odt", "odt", lambda: _odt_with(_laughs())),
    ("quadratic entities", "xml", lambda: _quadratic().encode()),
    ("deep xml", "xml", lambda: _XML.encode() + b"<a>" * 150_000),
    ("deep svg", "svg", lambda: b"<svg>" + b"<g>" * 150_000),
    ("nothing but angles", "xml", lambda: _XML.encode() + b"<" * 1_000_000),
    ("nothing but angles", "html", lambda: b"<html>" + b"<" * 1_000_000),
    ("deep html", "html", lambda: b"<html>" + b"<div>" * 180_000),
    ("wide attribute", "html", lambda: b"<html><p " + b"a='1' " * 170_000 + b">"),
    ("nothing but quotes", "json", lambda: b'{"a":' * 190_000),
    ("million pages", "pdf", hostile_pdf.million_pages),
    ("page count that lies", "pdf", hostile_pdf.page_count_lie),
    ("pages in a circle", "pdf", hostile_pdf.page_loop),
    ("content stream bomb", "pdf", hostile_pdf.content_bomb),
    ("object stream bomb", "pdf", hostile_pdf.object_stream_bomb),
    ("eight filters", "pdf", hostile_pdf.filters),
    ("deep arrays", "pdf", hostile_pdf.deep_arrays),
    ("mail nested 3000 deep", "eml", _deep_mail),
    ("mail headers without end", "eml", _mail_headers),
    ("rtf nested 200000 deep", "rtf", lambda: b"{\\rtf1" + b"{" * 200_000 + b"}" * 200_001),
    ("rtf of code page bytes", "rtf", lambda: b"{\\rtf1\\ansicpg932 " + b"\\'82" * 200_000 + b"}"),
    ("ole in circles", "doc", _ole_loop),
    ("ole junk", "xls", _ole_junk),
    ("pdf that is a png", "pdf", lambda: b"\x89PNG\r\n\x1a\n" + bytes(2_000)),
    ("xlsx that is an mp4", "xlsx", lambda: b"\0\0\0\x20ftypisom" + bytes(2_000)),
    ("doc that is noise", "doc", lambda: random.Random(9).randbytes(5_000)),
)  # fmt: skip
_REACHING: tuple[tuple[str, str, Callable[[str], bytes]], ...] = (
    ("xxe by http", "xml", lambda url: _xxe(url).encode()),
    ("xxe by file", "xml", lambda _: _xxe("file:///etc/passwd").encode()),
    ("xxe in a docx", "docx", lambda url: docx_with({"word/document.xml": _xxe(url).encode()})),
    ("xxe by file in a docx", "docx", lambda _: docx_with({"word/document.xml": _xxe("file:///etc/passwd").encode()})),
    ("xxe in an odt", "odt", lambda url: _odt_with(_xxe(url))),
    ("pages that load", "html", _reaching_html),
    ("pdf that loads", "pdf", hostile_pdf.reaching_pdf),
    ("rtf that loads", "rtf", _reaching_rtf),
)
