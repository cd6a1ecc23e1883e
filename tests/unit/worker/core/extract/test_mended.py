"""Broken XML that loses no character."""

import io
import time
import zipfile

import pytest

from worker.core.extract.kinds import kind_of
from worker.core.extract.mended import mended
from worker.core.extract.parse import parse


@pytest.mark.parametrize(
    ("xml", "whole"),
    [
        (b"<r>a & b &amp; c &#38; &x; &#x26;</r>", b"<r>a &amp; b &amp; c &#38; &x; &#x26;</r>"),
        (b"<a href='?x=1&y=2'/>", b"<a href='?x=1&amp;y=2'/>"),
        (b"<r>\x0b\x00x</r>", b"<r>x</r>"),
        (b"<r><![CDATA[R&D]]></r>", b"<r><![CDATA[R&D]]></r>"),
        ("\ufeff<r>&</r>".encode("utf-16"), "\ufeff<r>&</r>".encode("utf-16")),
    ],
)
def test_bare_ampersands_are_escaped_and_control_characters_dropped(xml: bytes, whole: bytes) -> None:
    assert mended(xml) == whole


@pytest.mark.parametrize("name", ["a.xml", "a.svg"])
def test_references_after_a_bare_ampersand_are_kept(name: str) -> None:
    body = "<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><text>R & D 壊れ</text><text>Q&amp;A欄</text></svg>"
    extracted = parse(body.encode(), kind_of(body.encode(), name, None), 1000)
    assert "R & D 壊れ" in extracted.content
    assert "Q&A欄" in extracted.content


def test_references_after_a_control_character_in_a_document_are_kept() -> None:
    ns = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    paragraphs = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in ("a\x0bb", "AT&amp;T 社"))
    xml = f"<w:document xmlns:w='{ns}'><w:body>{paragraphs}</w:body></w:document>"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("[Content_Types].xml", "<Types/>")
        made.writestr("word/document.xml", xml)
    extracted = parse(out.getvalue(), kind_of(out.getvalue(), "a.docx", None), 1000)
    assert (extracted.status, extracted.content) == ("ok", "ab\nAT&T 社")


def test_it_takes_time_in_proportion() -> None:
    started = time.process_time()
    mended(b"<r>" + b"&a" * 5_000_000 + b"</r>")
    assert time.process_time() - started < 15
