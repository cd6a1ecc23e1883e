"""Messages that Outlook has stored."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.compound_files import compound
from testing.messages import attached_message, attachment, message, recipient
from testing.property_sets import FILETIME_2024
from worker.core.extract.readers import outlook
from worker.core.extract.readers.compound import Compound
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

SUBJECT, BODY, HTML, SENDER, ADDRESS, TO = 0x0037, 0x1000, 0x1013, 0x0C1A, 0x5D01, 0x0E04


def reading_of(*parts: dict[str, bytes]) -> Reading:
    reading = Reading(10**6)
    streams: dict[str, bytes] = {}
    for part in parts:
        streams |= part
    outlook.read(Compound(compound(streams)), reading)
    return reading


def test_headers_and_body_are_read() -> None:
    mail = message(
        {SUBJECT: "見積書", SENDER: "佐藤", ADDRESS: "sato@example.com", TO: "Ann", BODY: "本文\r\nsecond line\r\n"},
        times={0x0039: FILETIME_2024},
    )
    reading = reading_of(mail, recipient(0, "Ann", "ann@example.com"), recipient(1, "Bob", "bob@example.com"))
    assert reading.text.split("\n") == [
        "Subject: 見積書", "From: 佐藤 <sato@example.com>", "To: Ann", "Date: 2024-01-01T00:00:00+00:00",
        "Bob", "ann@example.com; bob@example.com", "本文", "second line",
    ]  # fmt: skip
    assert reading.said == Properties("見積書", "佐藤 <sato@example.com>", "2024-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("stated", "codec", "text"),
    [
        ({0x3FFD: 932}, "cp932", "お見積書 ①"),
        ({0x3FFD: 1251, 0x3FF1: 0x419}, "cp1251", "автоматически"),
        ({0x3FF1: 0x419}, "cp1251", "автоматически"),
        ({0x3FDE: 65001}, "utf-8", "öäü"),
        ({0x3FDE: 65001, 0x3FF1: 0x407}, "cp1252", "öäü"),
        ({}, "cp1252", "öäü"),
    ],
)
def test_text_that_is_not_unicode_is_read_in_the_code_page_of_the_message(
    stated: dict[int, int], codec: str, text: str
) -> None:
    assert reading_of(message({**stated, SUBJECT: text.encode(codec)})).said.title == text


def test_what_only_the_html_says_is_read_too() -> None:
    page = "<html><meta charset=cp932><p>Sign up for a free trial<p>お見積もり<p>same</html>".encode("cp932")
    mail = message({BODY: "Sign up <http://example.com/> for a free trial\r\nsame\r\n"})
    text = reading_of(mail, {"__substg1.0_10130102": page}).text
    assert text.split("\n")[1:] == ["same", "Sign up for a free trial", "お見積もり"]


def test_a_body_in_rtf_only_is_read() -> None:
    body = rb"{\rtf1\ansi hello world}"
    packed = struct.pack("<III4x", len(body) + 12, len(body), 0x414C454D) + body
    assert "hello world" in reading_of(message({SUBJECT: "s"}), {"__substg1.0_10090102": packed}).text


def test_attachments_are_named_and_read() -> None:
    text = reading_of(message({SUBJECT: "s"}), attachment(0, "報告.txt", "添付の本文".encode())).text
    assert text == "Subject: s\nAttachments: 報告.txt\n添付の本文"


def test_a_message_that_is_attached_is_read() -> None:
    reading = reading_of(message({SUBJECT: "outer"}), attached_message(0, {SUBJECT: "inner", BODY: "転送"}))
    assert reading.text.split("\n") == ["Subject: outer", "Attachments: attached", "Subject: inner", "転送"]
    assert reading.said.title == "outer"


def test_a_message_that_is_signed_is_in_its_attachment() -> None:
    signed = b"Subject: s\r\nContent-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\nwhat was signed\r\n--x--\r\n"
    part = attachment(0, "smime.p7m", signed) | {
        "__attach_version1.0_#00000000/__substg1.0_370E001F": "multipart/signed".encode("utf-16-le")
    }
    assert "what was signed" in reading_of(message({SUBJECT: "s"}), part).text


def test_an_attachment_that_is_broken_costs_only_itself() -> None:
    reading = reading_of(
        message({BODY: "body"}), attachment(0, "a.docx", b"PK\3\4 broken"), attachment(1, "b.txt", b"text")
    )
    assert reading.text == "body\nAttachments: a.docx\nAttachments: b.txt\ntext"
    assert len(reading.missed) == 1


def test_the_place_and_the_categories_of_an_appointment_are_read() -> None:
    entries = struct.pack("<IHH", 0x8208, 0, 0) + struct.pack("<IHH", 0, 1, 1) + struct.pack("<IHH", 0x8578, 0, 2)
    names = struct.pack("<I", 16) + "Keywords".encode("utf-16-le")
    mail = message({SUBJECT: "s", 0x8000: "会議室", 0x8002: "not shown"}) | {
        "__nameid_version1.0/__substg1.0_00030102": entries,
        "__nameid_version1.0/__substg1.0_00040102": names,
        "__substg1.0_8001101F": bytes(8),
        "__substg1.0_8001101F-00000000": "重要".encode("utf-16-le"),
        "__substg1.0_8001101F-00000001": "Budget".encode("utf-16-le"),
    }
    assert reading_of(mail).text == "Subject: s\n会議室\n重要, Budget"


@given(st.integers(0, 8000), st.binary(min_size=1, max_size=16))
def test_no_bytes_raise_an_unknown_error(at: int, noise: bytes) -> None:
    body = bytearray(compound(message({SUBJECT: "s", BODY: "b"}) | attachment(0, "a.txt", b"text")))
    body[512 + at % (len(body) - 512) :][: len(noise)] = noise
    reading = Reading(10**6)
    outlook.read(Compound(bytes(body)), reading)
    assert len(reading.text) <= len(body)
