"""Raw headers of mail in the charset that the mail declares, and messages in a message that are encoded."""

import base64
import quopri

import pytest

from worker.core.extract.readers import mail
from worker.core.extract.reading import Reading

FOREIGN = [
    ("koi8-r", "koi8-r", "Договор аренды"),
    ("windows-1251", "cp1251", "Протокол собрания"),
    ("gb2312", "gbk", "会议记录"),
    ("big5", "big5", "會議記錄"),
    ("ks_c_5601-1987", "cp949", "회의록 초안"),
    ("euc-kr", "euc-kr", "계약서"),
    ("windows-1253", "cp1253", "Πρακτικά συνεδρίασης"),
    ("iso-8859-2", "iso-8859-2", "Zápis z porady příští středu"),
]
INNER = (
    "Subject: 元の件名\r\nFrom: c@example.jp\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="===i=="\r\n\r\n--===i==\r\n'
    "Content-Type: text/plain; charset=utf-8\r\n\r\n転送された本文\r\n--===i==--\r\n"
).encode()


def read(body: bytes) -> tuple[str, str | None]:
    reading = Reading(10**6)
    mail.read(body, reading)
    assert reading.missed == []
    return reading.text, reading.said.title


@pytest.mark.parametrize(("charset", "codec", "text"), FOREIGN)
def test_raw_headers_are_in_the_charset_of_the_message(charset: str, codec: str, text: str) -> None:
    head = b"Subject: " + text.encode(codec) + f"\r\nContent-Type: text/plain; charset={charset}\r\n\r\nx".encode()
    found, title = read(head)
    assert (title, f"Subject: {text}\n" in found) == (text, True)


@pytest.mark.parametrize(("charset", "codec", "text"), FOREIGN)
def test_raw_headers_and_names_are_in_the_charset_of_the_first_text_part(charset: str, codec: str, text: str) -> None:
    raw = text.encode(codec)
    body = (
        b"Subject: " + raw + b'\r\nContent-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\n'
        b"Content-Type: text/plain; charset=" + charset.encode() + b"\r\n\r\nx\r\n--m\r\n"
        b'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="'
        + raw
        + b'.pdf"\r\n\r\ny\r\n--m--\r\n'
    )
    found, title = read(body)
    assert title == text
    assert found.endswith(f"Attachments: {text}.pdf")


def test_no_byte_of_a_header_becomes_a_question_mark() -> None:
    assert read(b"Subject: \xe9\xe8\xe0\xfc\r\n\r\nx")[1] != "????"
    assert read(b"Subject: \xe9\xe8\x01\x02\x03\x04\xe0\r\n\r\nx")[1] == "éè\x01\x02\x03\x04à"


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("base64", base64.encodebytes(INNER)),
        ("BASE64", INNER),
        ("quoted-printable", quopri.encodestring(INNER)),
        ("quoted-printable", INNER),
    ],
)
def test_an_encoded_message_in_a_message_is_read(encoding: str, raw: bytes) -> None:
    body = (
        b'Subject: Fwd\r\nContent-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\nContent-Type: message/rfc822\r\n'
        b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + raw + b"\r\n--m--\r\n"
    )
    assert "Subject: 元の件名\nFrom: c@example.jp\n転送された本文" in read(body)[0]
