"""A file's kind, by its content."""

import pytest

from worker.core.extract.kinds import Kind, kind_of

ZIP = b"PK\x03\x04" + b"\0" * 26
OLE = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 500


@pytest.mark.parametrize(
    ("head", "key", "content_type", "mime_type", "route"),
    [
        (b"plain", "a.txt", None, "text/plain", "text"),
        (b"a,b", "a.CSV", None, "text/csv", "text"),
        (b"plain", "no-extension", "text/csv; charset=utf-8", "text/csv", "text"),
        (b"plain", "no-extension", "image/png", "text/plain", "text"),
        (b"BMW and MZ and ID3 are names", "a.txt", None, "text/plain", "text"),
        (b"%PDF-1.7", "a.txt", "text/plain", "application/pdf", "pdf"),
        (b"{\\rtf1 x}", "correspondence.doc", None, "application/rtf", "rtf"),
        (b"\x89PNG\r\n\x1a\n", "report.pdf", "application/pdf", "image/png", "nothing"),
        (b"\xff\xd8\xff\xe0", "a.jpg", None, "image/jpeg", "nothing"),
        (b"\0\0\0\x18ftypmp42", "a.mp4", None, "video/mp4", "nothing"),
        (b"\x1f\x8b\x08\0", "a.tar.gz", None, "application/gzip", "nothing"),
        (ZIP + b"backup/data.bin", "a.zip", None, "application/zip", "nothing"),
        (ZIP + b"[Content_Types].xml", "no-extension", None, "application/zip", "zip"),
        (ZIP + b"any", "a.epub", None, "application/epub+zip", "zip"),
        (OLE, "a.doc", None, "application/msword", "ole"),
        (OLE, "a", None, "application/x-ole-storage", "ole"),
        (b"<!DOCTYPE html><p>", "a.txt", None, "text/html", "html"),
        (b"\xff\xfe" + "<html><p>".encode("utf-16-le"), "a", None, "text/html", "html"),
        (b"\xef\xbb\xbf <?xml version='1.0'?><list/>", "a", None, "application/xml", "xml"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "a", None, "image/svg+xml", "xml"),
        (b"<p align=center>", "README.md", None, "text/markdown", "text"),
        (b"Received: from x\r\nFrom: y\r\n", "no-extension", None, "message/rfc822", "mail"),
        (b"From: y\r\n", "a.eml", None, "message/rfc822", "mail"),
        (b"Subject: to be discussed", "no-extension", None, "text/plain", "text"),
        (b"name\tamount\n", "export.xls", None, "text/plain", "text"),
    ],
)
def test_a_kind_is_recognised_by_content_before_name_before_declared_type(
    head: bytes, key: str, content_type: str | None, mime_type: str, route: str
) -> None:
    kind = kind_of(head, key, content_type)
    assert (kind.mime_type, kind.route) == (mime_type, route)


MAILBOX = b"From a@b.example Thu Apr 16 11:20:00 2026\r\nFrom: a@b.example\r\nSubject: plain\r\n\r\nx"


@pytest.mark.parametrize(
    "head",
    [
        MAILBOX,
        MAILBOX.replace(b"a@b.example", b"a at b.example "),
        b"From - Mon Apr  6 11:20:00 2026\nDate: x\nTo: y\n",
    ],
)
def test_a_mailbox_under_the_name_of_a_text_is_mail(head: bytes) -> None:
    assert kind_of(head, "archive.txt", "text/plain") == Kind("application/mbox", "mail")


@pytest.mark.parametrize(
    "head",
    [
        b"From Alice at 10:30 today\nNote: call back\nSubject: the lease\n",
        b"From Hana on Thu Apr 16 11:20:00 2026\nNote: call back\n\nFrom: here\nTo: there\n",
        b"From Monday on, we open at 09:00.\nTo: everybody\nFrom: the office\n",
    ],
)
def test_a_text_that_begins_with_from_is_not_a_mailbox(head: bytes) -> None:
    assert kind_of(head, "note.txt", None) == Kind("text/plain", "text")


def test_noise_under_a_document_s_name_is_remembered_as_a_broken_promise() -> None:
    assert kind_of(b"\x01\x02\x03noise", "contract.pdf", None).claimed
    assert not kind_of(b"\x01\x02\x03noise", "data.bin", None).claimed


@pytest.mark.parametrize(
    ("head", "key", "mime_type", "route"),
    [
        (b"PK\x03\x04" + bytes(30), "a.numbers", "application/vnd.apple.numbers", "zip"),
        (b"\x03\x7e\x04\x01" + bytes(28), "a.dbf", "application/vnd.dbf", "dbf"),
        (b"\xdb\xa5-\0" + bytes(28), "a.doc", "application/msword", "ole"),
        (bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3"), "a.one", "application/onenote", "onenote"),
        (b"\xffWPC" + bytes(28), "a.wpd", "application/vnd.wordperfect", "other"),
        (b"-----BEGIN PRIVATE KEY-----", "a.key", "text/plain", "text"),
        (b"NAME,PRICE", "a.dbf", "text/plain", "text"),
    ],
)
def test_a_name_that_several_formats_have_is_decided_by_the_first_bytes(
    head: bytes, key: str, mime_type: str, route: str
) -> None:
    assert kind_of(head, key, None) == Kind(mime_type, route)  # type: ignore[arg-type]
