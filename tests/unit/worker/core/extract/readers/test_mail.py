"""Mail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.readers.mail import mail_text
from worker.core.extract.result import iso

HEAD = b"From: nishida@kitayama.example\r\nSubject: plain\r\nDate: Thu, 16 Apr 2026 11:20:00 +0900\r\nMIME-Version: 1.0\r\n"
MIXED = HEAD + (
    b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    b"--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain words\r\n"
    b"--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>marked <b>words</b></p>\r\n--a--\r\n"
    b"--m\r\nContent-Type: text/html\r\n\r\n<p>footer</p>\r\n"
    b"--m\r\nContent-Type: text/plain; name=hidden.txt\r\nContent-Disposition: attachment; filename=notes.txt\r\n\r\ninside\r\n"
    b"--m--\r\n"
)


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("iso-2022-jp", "iso-2022-jp"), ("Shift_JIS", "cp932"), ("utf-8", "cp932"), ("x-unknown", "euc-jp")],
)
def test_the_body_is_read_in_its_true_encoding(charset: str, codec: str) -> None:
    text = "見積書の内容を確認し、ご返答ください。"
    mail = HEAD + f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode() + text.encode(codec)
    assert text in mail_text(mail)[0]


def test_of_an_alternative_the_plain_part_is_taken_and_attachments_are_named_but_not_read() -> None:
    text, said = mail_text(MIXED)
    assert text.endswith("plain words\n\nfooter\n\nAttachments: notes.txt")
    assert (said.title, said.author) == ("plain", "nishida@kitayama.example")
    assert iso(said.created) == "2026-04-16T11:20:00+09:00"


@given(st.binary(max_size=300))
def test_any_bytes_in_head_or_body_give_a_text(noise: bytes) -> None:
    for mail in (HEAD + b"\r\n" + noise, b"Subject: " + noise + b"\r\n" + MIXED, MIXED[:300] + noise + MIXED[300:]):
        assert isinstance(mail_text(mail)[0], str)
