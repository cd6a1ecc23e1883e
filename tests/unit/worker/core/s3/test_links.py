"""Under which name a browser saves a file, and what a link to it is signed for."""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from worker.core.base.aws import Aws
from worker.core.base.errors import StoreError
from worker.core.s3.links import ARCHIVED, MAX_NAME_CHARS, DownloadLinks, disposition


def saved_as(header):
    """The name that a reader of RFC 6266 and RFC 5987 gets."""
    found = re.fullmatch(r"attachment; filename=\"[^\"\\\x00-\x1f]+\"; filename\*=UTF-8''([\w.~%-]+)", header, re.ASCII)
    assert found is not None, header
    return unquote(found[1])


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("report.pdf", "report.pdf"),
        ("見積書 2026.xlsx", "見積書 2026.xlsx"),
        ("résumé 100%.docx", "résumé 100%.docx"),
        ('a"b\\c/d.txt', "a_b_c_d.txt"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("line\r\nX-Injected: 1.txt", "line__X-Injected_ 1.txt"),
        ("", "file"),
        (" .. ", "file"),
        ("x" * 400 + ".pdf", "x" * (MAX_NAME_CHARS - 4) + ".pdf"),
        ("漢" * 400, "漢" * MAX_NAME_CHARS),
        ("a." + "y" * 400, "a." + "y" * (MAX_NAME_CHARS - 2)),
    ],
)
def test_a_file_is_saved_under_its_name(name, saved):
    assert saved_as(disposition(name)) == saved


@given(st.text(max_size=200))
def test_any_name_makes_one_harmless_header(name):
    header = disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert saved_as(header)


@pytest.fixture
def links(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    def make(region, answer=None, *, status=None):
        made = DownloadLinks(Aws(region=region))
        stubber = Stubber(made._s3)
        if status is None:
            stubber.add_response("head_object", answer or {"ContentLength": 1})
        else:
            stubber.add_client_error("head_object", str(status), http_status_code=status)
        stubber.activate()
        return made

    return make


@pytest.mark.parametrize("region", ["us-east-1", "ap-northeast-1"])
def test_a_link_is_of_the_buckets_region_signed_by_version_4_and_forces_a_download(links, region):
    link = urlsplit(links(region).sign("our-files", "経理/a b+c.pdf", "見積書.pdf"))
    assert link.scheme == "https"
    assert link.path == "/%E7%B5%8C%E7%90%86/a%20b%2Bc.pdf"
    assert link.hostname in {f"our-files.s3.{region}.amazonaws.com", "our-files.s3.amazonaws.com"}
    assert (link.hostname == "our-files.s3.amazonaws.com") == (region == "us-east-1")  # whose own name this is
    signed = {name: value for name, [value] in parse_qs(link.query).items()}
    assert signed["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    assert signed["X-Amz-Expires"] == "60"
    assert signed["X-Amz-Credential"].split("/")[2] == region
    assert signed["response-content-type"] == "application/octet-stream"
    assert saved_as(signed["response-content-disposition"]) == "見積書.pdf"


@pytest.mark.parametrize(("status", "code"), [(404, "NoSuchKey"), (403, "AccessDenied"), (503, "503")])
def test_an_object_that_cannot_be_read_has_no_link_but_s3s_code(links, status, code):
    with pytest.raises(StoreError) as raised:
        links("eu-central-1", status=status).sign("our-files", "a", "a")
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("said", "is_cold"),
    [
        ({"StorageClass": "GLACIER"}, True),
        ({"StorageClass": "DEEP_ARCHIVE", "Restore": 'ongoing-request="true"'}, True),
        ({"StorageClass": "INTELLIGENT_TIERING", "ArchiveStatus": "ARCHIVE_ACCESS"}, True),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false", expiry-date="…"'}, False),
        ({"StorageClass": "GLACIER_IR"}, False),
        ({"LastModified": datetime(2026, 1, 1, tzinfo=UTC)}, False),
    ],
)
def test_an_archived_object_has_to_be_restored_first(links, said, is_cold):
    made = links("eu-central-1", said)
    if not is_cold:
        assert made.sign("our-files", "a", "a")
        return
    with pytest.raises(StoreError, match="restored first") as raised:
        made.sign("our-files", "a", "a")
    assert raised.value.code == ARCHIVED
