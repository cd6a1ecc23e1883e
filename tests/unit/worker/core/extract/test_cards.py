"""vCards and calendars."""

import time

import pytest

from worker.core.extract.kinds import kind_of
from worker.core.extract.plain import extract_text


def content(body: bytes, key: str) -> str:
    return extract_text(body, kind_of(body, key, None), 10**6).content


def test_a_card_is_read_without_its_picture() -> None:
    body = (
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:西田\\, 花子\r\nNOTE:折り返され\r\n た長い行\\n次の行\r\n"
        "PHOTO;ENCODING=b;TYPE=JPEG:" + "/9j4AAQSk" * 9 + "\r\n " + "QSkZJRgAB" * 9 + "\r\nORG:緑屋\r\nEND:VCARD\r\n"
    )
    text = content(body.encode(), "a.vcf")
    assert "FN:西田, 花子\nNOTE:折り返された長い行\n次の行\n\nORG:緑屋" in text
    assert "9j4" not in text


@pytest.mark.parametrize("charset", ["UTF-8", "SHIFT_JIS"])
def test_quoted_printable_in_an_old_card_is_read(charset: str) -> None:
    raw = "".join(f"={byte:02X}" for byte in "株式会社緑屋".encode(charset))
    body = f"BEGIN:VCARD\r\nORG;CHARSET={charset};ENCODING=QUOTED-PRINTABLE:{raw[:15]}=\r\n{raw[15:]}\r\nTEL:03-1\r\n"
    assert "株式会社緑屋\nTEL:03-1" in content(body.encode(), "a.vcf")


def test_folded_lines_and_escapes_of_a_calendar_are_joined() -> None:
    body = "BEGIN:VCALENDAR\r\nSUMMARY:inter\r\n national 会\r\n\t議\r\nDESCRIPTION:one\\ntwo\\; three\\\\n\r\n"
    assert content(body.encode(), "a.ics").endswith("SUMMARY:international 会議\nDESCRIPTION:one\ntwo; three\\n\n")


@pytest.mark.parametrize(
    "piece", ["N;ENCODING=QUOTED-PRINTABLE:=\n", "\n ", "P;ENCODING=b:", ";", "=\n", "P;ENCODING=b:A\n A"]
)
def test_time_grows_with_the_length_alone(piece: str) -> None:
    began = time.process_time()
    content(b"BEGIN:VCARD\n" + piece.encode() * (500_000 // len(piece)), "a.vcf")
    assert time.process_time() - began < 12


def test_a_character_that_is_folded_in_the_middle_is_read() -> None:
    raw = "SUMMARY:見積書".encode()
    assert content(b"BEGIN:VCALENDAR\r\n" + raw[:12] + b"\r\n " + raw[12:] + b"\r\n", "a.ics").endswith(
        "SUMMARY:見積書\n"
    )
