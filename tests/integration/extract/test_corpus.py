"""Every format, good and bad, through a real extractor."""

import io
import random
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testing.corpus import BAD_KINDS, KINDS, Kind, Sample, corpus
from testing.corpus_bodies import SAMPLES
from worker.core.extract import FAILURES
from worker.core.extract.extractor import Extractor

MAX_CHARS = 20_000
ODF_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
HEADS = (
    b"",
    b"%PDF-1.7\n",
    b"PK\x03\x04",
    b"{\\rtf1 ",
    bytes.fromhex("d0cf11e0a1b11ae1"),
    b"From: a\r\nSubject: b\r\n\r\n",
)


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extractor]:
    folder = tmp_path_factory.mktemp("children")
    made = Extractor(processes=2, timeout_s=30, memory_bytes=2 * 1024**3, max_chars=MAX_CHARS, temp_dir=folder)
    yield made
    made.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.format)
@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
def test_every_good_kind_gives_its_marker(extractor: Extractor, kind: Kind, *, named: bool) -> None:
    sample = next(s for s in corpus(len(KINDS) * 2, bad=0) if s.format == kind.format)
    extracted = extractor.extract(sample.body, sample.key if named else "no-extension", None)
    assert extracted.status in ({"ok"} if sample.marker else {"metadata_only", "empty"})
    assert sample.marker in extracted.content
    assert extracted.error is None
    if named and kind.format not in {"bin", "empty"}:
        assert extracted.mime_type == kind.content_type.partition(";")[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("kind", "why"), BAD_KINDS, ids=lambda value: getattr(value, "format", value))
def test_every_bad_kind_is_called_what_it_is(extractor: Extractor, kind: Kind, why: str, seed: int) -> None:
    extracted = extractor.extract(kind.build(random.Random(seed), "famipobaku"), f"a.{kind.ext}", None)
    assert extracted.status == why
    assert extracted.error
    assert extracted.content == ""


@pytest.mark.parametrize("path", [p for p in SAMPLES.rglob("*") if p.is_file()], ids=lambda path: path.name)
def test_every_sample_is_what_the_readme_says(extractor: Extractor, path: Path) -> None:
    extracted = extractor.extract(path, str(path.relative_to(SAMPLES)), None)
    assert (extracted.status in FAILURES) == ("破損" in path.name)
    assert (extracted.status == "ok") == bool(extracted.content)


def test_a_body_may_be_a_path_and_a_name_may_be_anything(extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "s3iw spooled 日本 \udc80"
    path.write_bytes((SAMPLES / "legal/NDA draft (v2+final).docx").read_bytes())
    extracted = extractor.extract(path, "契約\udc80/a", "application/x; \udc80")
    assert extracted.status == "ok"
    assert (extracted.title, extracted.author, extracted.language) == (
        "Mutual Non-Disclosure Agreement",
        "Legal, K. Mori",
        "en",
    )
    assert extracted.created == "2026-02-16T09:30:00+00:00"


def test_a_long_document_is_cut_in_the_child(extractor: Extractor) -> None:
    page = "<html><body>" + "<p>見積書</p>\n" * 100_000
    extracted = extractor.extract(page.encode(), "a.html", None)
    assert extractor.needs_child(page.encode()[:4096], "a.html", None, len(page.encode()))
    assert (len(extracted.content), extracted.truncated) == (MAX_CHARS, True)
    assert extracted.char_count == 100_000 * 4 - 1


@pytest.mark.parametrize("size", [60, 70])
def test_markup_of_more_than_64_kib_is_parsed_in_a_child_and_the_rest_is_accounted_for(
    extractor: Extractor, size: int
) -> None:
    page = b"<html>" + b"<p>a" * (size * 256)
    asked = page[:4096], "a.html", None, len(page)
    assert extractor.needs_child(*asked) == (size > 64)
    assert extractor.memory_in_process(*asked) == (0 if size > 64 else 80 * len(page))
    assert extractor.memory_in_process(page[:4096], "a.txt", "text/plain", len(page)) == extractor.memory_in_process(
        *asked
    )
    assert extractor.memory_in_process(b"plain text", "a.txt", None, 10) == 0


def test_a_bomb_under_a_document_s_name_is_corrupt(extractor: Extractor) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", bytes(64 * 1024**2))
    extracted = extractor.extract(out.getvalue(), "a.docx", None)
    assert extracted.status == "corrupt"
    assert "zip bomb" in (extracted.error or "")


@pytest.mark.parametrize("ext", ["docx", "pptx", "xlsx", "odt", "ods", "odp", "epub", "doc"])
def test_an_archive_under_a_document_s_name_is_corrupt(extractor: Extractor, ext: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "not a document")
    extracted = extractor.extract(out.getvalue(), f"a.{ext}", None)
    assert extracted.status == "corrupt"
    assert "archive" in (extracted.error or "")


def test_an_archive_s_members_are_not_read(extractor: Extractor) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "words within")
    extracted = extractor.extract(out.getvalue(), "a.zip", None)
    assert (extracted.status, extracted.mime_type, extracted.content) == ("metadata_only", "application/zip", "")


def test_an_external_entity_in_a_document_is_not_fetched(extractor: Extractor, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("classified")
    doctype = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{(tmp_path / "secret").as_uri()}">]>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.presentation")
        archive.writestr(
            "content.xml", f'<?xml version="1.0"?>{doctype}<x xmlns:text="{ODF_TEXT}"><text:p>&e;end</text:p></x>'
        )
    extracted = extractor.extract(out.getvalue(), "a.odp", None)
    assert "classified" not in extracted.content
    assert "end" in extracted.content


def test_bytes_of_cp932_in_rtf_are_read_without_stray_characters(extractor: Extractor) -> None:
    escaped = "".join(f"\\'{byte:02x}" for byte in "株式会社 見積書 表示".encode("cp932"))
    body = "{\\rtf1\\ansi\\ansicpg932\\deff0{\\fonttbl{\\f0\\fcharset128 MS;}}\\f0 " + escaped + "\\par}"
    extracted = extractor.extract(body.encode("ascii"), "a.rtf", None)
    assert extracted.content.strip() == "株式会社 見積書 表示"


@settings(max_examples=80)
@given(st.sampled_from(HEADS), st.binary(max_size=2000), st.sampled_from(["a.pdf", "a.doc", "a.docx", "a.eml", "a"]))
def test_any_bytes_after_any_magic_give_a_status(extractor: Extractor, head: bytes, rest: bytes, key: str) -> None:
    extracted = extractor.extract(head + rest, key, None)
    assert extracted.status in {"ok", "partial", "empty", "metadata_only", *FAILURES}
    assert (extracted.error is not None) == (extracted.status in {"partial", *FAILURES})


def test_eight_threads_at_once_get_each_their_own_text(extractor: Extractor) -> None:
    samples = [s for s in corpus(200, bad=20, seed=7) if s.marker or s.bad]

    def is_right(sample: Sample) -> bool:
        extracted = extractor.extract(sample.body, sample.key, sample.content_type)
        return extracted.status == sample.bad if sample.bad else sample.marker in extracted.content

    with ThreadPoolExecutor(8) as pool:
        assert [s.key for s, right in zip(samples, pool.map(is_right, samples), strict=True) if not right] == []
