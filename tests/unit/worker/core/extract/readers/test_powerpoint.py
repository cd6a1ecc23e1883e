"""PowerPoint before 2007."""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.compound_files import compound
from testing.corpus_bodies import DATA
from testing.presentations import (
    DOCUMENT,
    MASTER,
    NOTES,
    SLIDE,
    chars,
    container,
    presentation,
    record,
    shape,
    slides,
    string,
)
from worker.core.extract.faults import EncryptedError
from worker.core.extract.readers import encryption, powerpoint
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading


def reading_of(streams: tuple[bytes, bytes], storage: str = "", **more: bytes) -> Reading:
    reading = Reading(10**6)
    body = compound({f"{storage}PowerPoint Document": streams[0], f"{storage}Current User": streams[1], **more})
    powerpoint.read(Compound(body), reading)
    return reading


def objects(
    *slide: bytes, notes: bytes = b"", master: bytes = b"", outline: bytes = b"", document: bytes = b""
) -> dict[int, bytes]:
    lists = [slides(1, {4: b""}), slides(0, {2: outline}), slides(2, {3: b""})]
    return {
        1: container(DOCUMENT, *lists, document),
        2: container(SLIDE, *slide),
        3: container(NOTES, notes),
        4: container(MASTER, master),
    }


ALL = objects(
    shape(chars("図形\rsecond")),
    container(0xFD9, string("footer", 2)),
    notes=shape(record(0xFA8, b"caf\xe9")),
    master=shape(chars("Click to edit"), placeholder=True) + shape(chars("Company Ltd")),
    outline=record(0xF9F, bytes(4)) + chars("見積書\x0bTitle"),
    document=container(0xFD9, string("footer", 2), string("header", 1)),
)


def test_slides_come_first_and_then_notes_headers_and_masters() -> None:
    assert reading_of(presentation(ALL)).text.split("\n") == [
        "見積書", "Title", "図形", "second", "footer", "café", "header", "Company Ltd",
    ]  # fmt: skip


def test_a_presentation_stored_for_two_versions_is_read_from_its_storage() -> None:
    reading = reading_of(
        presentation(ALL), "PP97_DUALSTORAGE/", **{"PowerPoint Document": b"old", "Text_Content": b"old"}
    )
    assert "図形" in reading.text
    assert "old" not in reading.text


def test_text_that_was_deleted_in_a_later_edit_is_not_read() -> None:
    streams = presentation(ALL, deleted=container(SLIDE, shape(chars("deleted"))))
    assert "deleted" not in reading_of(streams).text


def test_all_slides_are_read_if_the_edits_are_broken() -> None:
    stream, _ = presentation(ALL)
    assert "図形" in reading_of((stream, b"")).text
    assert "見積書" in reading_of((stream, b"")).text


def test_a_comment_is_read_with_its_author() -> None:
    comment = container(0x2EE0, string("佐藤", 0), string("要確認", 1), string("S", 2))
    tags = container(0x1388, container(0x138A, string("___PPT10"), record(0x138B, comment)))
    assert reading_of(presentation(objects(tags))).text == "佐藤\n要確認"


def test_alternative_texts_and_word_art_are_read() -> None:
    texts = [text.encode("utf-16-le") + b"\0\0" for text in ("WordArt", "地図")]
    table = b"".join(struct.pack("<HI", kind, len(text)) for kind, text in zip((0x80C0, 0x8381), texts, strict=True))
    options = record(0xF00B, table + b"".join(texts), instance=2, version=3)
    assert reading_of(presentation(objects(container(0x40C, container(0xF004, options))))).text == "WordArt\n地図"


def test_the_target_of_a_link_is_read() -> None:
    link = container(0x409, container(0xFD7, string("the page"), string("http://example.com/", 1)))
    assert reading_of(presentation(objects(document=link))).text == "the page\nhttp://example.com/"


def test_a_presentation_of_powerpoint_95_is_read() -> None:
    streams = {"PowerPoint Document": b"\xff" * 100, "Text_Content": "見積もり\r\rSecond".encode("cp932")}
    reading = Reading(10**6)
    powerpoint.read(Compound(compound(streams)), reading)
    assert reading.text == "見積もり\nSecond"


def encrypted(password: str) -> tuple[bytes, bytes]:
    salt, bits = bytes(range(16)), 128
    key = encryption.Rc4(password, salt, bits)
    verifier = key.decrypt(b"v" * 16 + hashlib.sha1(b"v" * 16, usedforsecurity=False).digest(), 100)
    head = struct.pack("<8I", 4, 0, 0x6801, 0x8004, bits, 1, 0, 0)
    info = struct.pack("<HHII", 2, 2, 4, len(head)) + head + struct.pack("<I", 16) + salt
    info += verifier[:16] + struct.pack("<I", 20) + verifier[16:]
    hidden = {number: key.decrypt(body, len(body), number) for number, body in ALL.items()}
    return presentation({**hidden, 9: container(0x2F14, info)}, session=9)


def test_a_presentation_encrypted_with_powerpoints_own_password_is_read() -> None:
    assert reading_of(encrypted(encryption.POWERPOINT)).text.startswith("見積書\nTitle\n図形")


def test_a_presentation_with_another_password_is_encrypted() -> None:
    with pytest.raises(EncryptedError):
        reading_of(encrypted("secret"))


def test_a_presentation_from_2008_is_read() -> None:
    reading = Reading(10**6)
    powerpoint.read(Compound((DATA / "reach" / "poi_text-margins.ppt").read_bytes()), reading)
    assert reading.text.startswith("TEST1\nTEST2\n")
    assert reading.said.created == "2008-05-28T12:23:49+00:00"


def test_containers_that_are_nested_without_end_take_no_stack() -> None:
    body = chars("deep")
    for _ in range(3000):
        body = container(0xF003, body)
    assert reading_of(presentation(objects(shape(chars("shallow")), body))).text == "shallow"


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_no_bytes_raise_an_error(at: int, noise: bytes) -> None:
    stream, user = presentation(ALL)
    broken = bytearray(stream)
    broken[at % len(broken) : at % len(broken) + len(noise)] = noise
    try:
        assert len(reading_of((bytes(broken), user)).text) <= 4 * len(broken)
    except EncryptedError:  # a length of the last edit says so
        return
