"""Sections of OneNote."""

import struct
import time

import pytest

from worker.core.extract.kinds import kind_of
from worker.core.extract.parse import parse
from worker.core.extract.readers import onenote
from worker.core.extract.reading import Reading

HEAD = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")


def stored(raw: bytes) -> bytes:
    return struct.pack("<I", len(raw)) + raw


def text_of(*values: bytes) -> str:
    reading = Reading(10**6)
    onenote.read(HEAD + b"\xf8\xfe\x01".join(values) + b"\xf8", reading)
    return reading.text


@pytest.mark.parametrize(
    "text", ["Trips and recipes", "議事録の本文", "ご確認ください。", "Größe", "Заметки", "회의록 작성"]
)
def test_texts_are_found_with_their_length(text: str) -> None:
    assert text_of(stored(text.encode("utf-16-le"))) == text
    assert text_of(stored((text + "\0").encode("utf-16-le"))) == text


def test_text_of_single_bytes_is_found_and_not_taken_for_kanji() -> None:
    assert text_of(stored(b"This is stored in single bytes")) == "This is stored in single bytes"


def test_a_text_that_is_stored_several_times_is_read_once() -> None:
    assert text_of(*[stored("Summer vacation".encode("utf-16-le"))] * 3) == "Summer vacation"


def test_of_a_link_only_the_shown_text_is_read() -> None:
    assert text_of(stored('\ufddfHYPERLINK "http://example.com/"the page'.encode("utf-16-le"))) == "the page"


def test_bytes_without_their_length_are_no_text() -> None:
    assert not text_of(stored(b"x" * 40)[:20], "뒡냷矢䜆".encode("utf-16-le"), stored("뒡냷矢䜆".encode("utf-16-le")))


def test_a_section_is_known_by_its_first_bytes() -> None:
    body = HEAD + stored("本文".encode("utf-16-le"))
    found = parse(body, kind_of(body, "no-extension", None), 1000)
    assert (found.status, found.mime_type, found.content) == ("ok", "application/onenote", "本文")


def test_many_megabytes_of_letters_take_no_time() -> None:
    started = time.process_time()
    text_of(b"a\0\0\0" * 500_000, b"ab" * 1_000_000, "あ".encode("utf-16-le") * 1_000_000)
    assert time.process_time() - started < 15
