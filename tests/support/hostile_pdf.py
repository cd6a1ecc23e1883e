"""Hostile PDFs: bombs, loops, lies and links."""

import zlib

MIB = 1024**2


def pdf_of(*objects: bytes, root: int = 1) -> bytes:
    """A PDF of these objects, numbered from 1, with a cross-reference table."""
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, root, start)
    return bytes(out)


def _stream(body: bytes, entries: bytes = b"") -> bytes:
    packed = zlib.compress(body)
    return b"<< /Length %d /Filter /FlateDecode %s >>\nstream\n%s\nendstream" % (len(packed), entries, packed)


_CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
_PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R >>"


def million_pages() -> bytes:
    kids = b"3 0 R " * 1_000_000
    return pdf_of(_CATALOG, b"<< /Type /Pages /Count 1000000 /Kids [%s] >>" % kids, _PAGE, _stream(b"BT (x) Tj ET"))


def page_count_lie() -> bytes:
    return pdf_of(_CATALOG, b"<< /Type /Pages /Count 2147483647 /Kids [3 0 R] >>", _PAGE, _stream(b""))


def page_loop() -> bytes:
    return pdf_of(_CATALOG, b"<< /Type /Pages /Count 3 /Kids [3 0 R 2 0 R] >>",
                  b"<< /Type /Pages /Parent 2 0 R /Count 2 /Kids [2 0 R 3 0 R] >>")  # fmt: skip


def content_bomb() -> bytes:
    page = _stream(b"BT /F1 1 Tf (bomb) Tj ET\n" * 8_000_000)
    return pdf_of(_CATALOG, b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", _PAGE, page)


def object_stream_bomb() -> bytes:
    pairs = b" ".join(b"%d 0" % number for number in range(10, 200_010)) + b" "
    objects = _stream(pairs + bytes(256 * MIB), b"/Type /ObjStm /N 200000 /First %d" % len(pairs))
    return pdf_of(_CATALOG, b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", _PAGE, objects)


def filters() -> bytes:
    body = bytes(32 * MIB)
    for _ in range(8):
        body = zlib.compress(body)
    names = b"/FlateDecode " * 8
    page = b"<< /Length %d /Filter [%s] >>\nstream\n%s\nendstream" % (len(body), names, body)
    return pdf_of(_CATALOG, b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", _PAGE, page)


def deep_arrays() -> bytes:
    return pdf_of(_CATALOG, b"<< /Type /Pages /Count 1 /Kids %s%s >>" % (b"[" * 200_000, b"]" * 200_000))


def reaching_pdf(url: str) -> bytes:
    action = b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /URI /URI (%s) >> >>" % url.encode()
    remote = b"<< /Length 0 /F << /FS /URL /F (%s) >> >>\nstream\n\nendstream" % url.encode()
    return pdf_of(action, b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", _PAGE, remote)
