"""Mail."""

import base64
import email.message
import time
from contextlib import suppress
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.kinds import kind_of
from worker.core.extract.readers import mail
from worker.core.extract.reading import EnoughError, Reading
from worker.core.extract.result import Properties, iso

HEAD = b"From: nishida@kitayama.example\r\nSubject: plain\r\nDate: Thu, 16 Apr 2026 11:20:00 +0900\r\nMIME-Version: 1.0\r\n"
MIXED = HEAD + (
    b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    b"--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nplain words\r\n"
    b"--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>plain <b>words</b></p><p>marked ones</p>\r\n--a--\r\n"
    b"--m\r\nContent-Type: text/html\r\n\r\n<p>footer</p>\r\n"
    b"--m\r\nContent-Type: text/plain; name=hidden.txt\r\nContent-Disposition: attachment; filename=notes.txt\r\n\r\ninside\r\n"
    b"--m\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF-1.4 unread\r\n"
    b"--m--\r\n"
)


def read(body: bytes) -> tuple[str, Properties]:
    reading = Reading(10**6)
    mail.read(body, reading)
    assert reading.missed == []
    return reading.text, reading.said


def plain(headers: str, text: bytes) -> bytes:
    return HEAD + headers.encode() + b"\r\n\r\n" + text


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("iso-2022-jp", "iso-2022-jp"), ("Shift_JIS", "cp932"), ("utf-8", "cp932"), ("x-unknown", "euc-jp")],
)
def test_the_body_is_read_in_its_true_encoding(charset: str, codec: str) -> None:
    text = "見積書の内容を確認し、ご返答ください。"
    assert text in read(plain(f"Content-Type: text/plain; charset={charset}", text.encode(codec)))[0]


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [("gb2312", "gbk", "朱镕基"), ("ks_c_5601-1987", "cp949", "똠방각하"), ("koi8-r", "koi8-r", "Договор")],
)
def test_a_charset_means_what_is_in_use_under_its_name(charset: str, codec: str, text: str) -> None:
    raw = base64.b64encode(text.encode(codec)).decode()
    head = f"Subject: =?{charset}?B?{raw}?=\r\nContent-Transfer-Encoding: base64\r\nContent-Type: text/plain; charset={charset}"
    found, said = read(head.encode() + b"\r\n\r\n" + raw.encode())
    assert (found.count(text), said.title) == (2, text)


def test_of_an_alternative_all_words_are_taken_once_and_text_files_attached_are_read() -> None:
    text, said = read(MIXED)
    assert text.endswith("plain words\nmarked ones\nfooter\ninside\nAttachments: notes.txt, a.pdf")
    assert (said.title, said.author) == ("plain", "nishida@kitayama.example")
    assert iso(said.created) == "2026-04-16T11:20:00+09:00"


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "iso-2022-jp", "euc-jp"])
def test_raw_bytes_in_headers_are_read(codec: str) -> None:
    body = (
        b"Subject: "
        + "会議のお知らせ、".encode(codec)
        + b"\r\n "
        + "その二".encode(codec)
        + b"\r\nFrom: a@b.c\r\n\r\nx"
    )
    assert read(body)[1].title == "会議のお知らせ、 その二"


def test_everybody_whom_a_message_names_is_found() -> None:
    body = b"From: a@b.c\r\nTo: d@e.f\r\nCc: g@h.i\r\nBcc: j@k.l\r\nReply-To: m@n.o\r\n\r\nx"
    assert read(body)[0] == "From: a@b.c\nTo: d@e.f\nCc: g@h.i\nBcc: j@k.l\nReply-To: m@n.o\nx"


def test_a_character_that_two_encoded_words_share_is_read() -> None:
    raw = "件名の漢字".encode()
    words = " ".join(f"=?utf-8?B?{base64.b64encode(part).decode()}?=" for part in (raw[:4], raw[4:]))
    assert read(f"Subject: Re: {words} end\r\n\r\nx".encode())[1].title == "Re: 件名の漢字 end"


@pytest.mark.parametrize(
    "parameter",
    [
        "filename*=utf-8''%E8%A6%8B%E7%A9%8D%E6%9B%B8.pdf",
        "filename*0*=utf-8''%E8%A6%8B%E7%A9%8D; filename*1*=%E6%9B%B8.pdf",
        'filename="=?utf-8?B?6KaL56mN5pu4LnBkZg==?="',
        'filename="見積書.pdf"',
    ],
)
def test_names_of_attachments_are_read_however_they_are_encoded(parameter: str) -> None:
    part = f"Content-Type: application/pdf\r\nContent-Disposition: attachment; {parameter}\r\n\r\n%PDF-1.4\r\n"
    body = HEAD + b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\n' + part.encode() + b"--m--\r\n"
    assert read(body)[0].endswith("Attachments: 見積書.pdf")


def test_messages_inside_a_message_are_read_with_their_subjects_and_senders() -> None:
    inner = email.message.EmailMessage()
    inner["Subject"], inner["From"] = "元の件名", "c@example.jp"
    inner.set_content("転送された本文")
    for _ in range(3):
        outer = email.message.EmailMessage()
        outer["Subject"] = "Fwd"
        outer.set_content("forwarding")
        outer.add_attachment(inner)
        inner = outer
    text = read(outer.as_bytes(policy=SMTP))[0]
    assert text.endswith("Subject: 元の件名\nFrom: c@example.jp\n転送された本文")


def test_a_message_that_is_attached_as_a_file_is_read() -> None:
    outer = email.message.EmailMessage()
    outer.set_content("see there")
    outer.add_attachment(MIXED, maintype="application", subtype="octet-stream", filename="old.eml")
    text = read(outer.as_bytes(policy=SMTP))[0]
    assert "marked ones" in text
    assert text.endswith("Attachments: old.eml, notes.txt, a.pdf")


def test_wrapped_lines_are_joined() -> None:
    flowed = "a long \r\nline and\r\n> quoted \r\n> text\r\n-- \r\nTaro"
    assert (
        "a long line and\n> quoted text\n-- \nTaro"
        in read(plain("Content-Type: text/plain; format=flowed", flowed.encode()))[0]
    )
    kanji = "個人情報 \r\n保護方針".encode()
    assert "個人情報保護方針" in read(plain("Content-Type: text/plain; format=flowed; delsp=yes", kanji))[0]
    assert "株式会社緑屋" in read(plain("Content-Type: text/plain; charset=utf-8", "> 株式会社\r\n> 緑屋".encode()))[0]
    headers = "Content-Transfer-Encoding: quoted-printable\r\nContent-Type: text/plain; charset=utf-8"
    assert "見 international" in read(plain(headers, b"=E8=A6=\r\n=8B inter=\r\nnational"))[0]


def test_each_message_of_a_mailbox_is_read() -> None:
    one = b"Content-Transfer-Encoding: base64\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + base64.b64encode(
        "一通目".encode()
    )
    body = (
        b"From a@b Thu Apr 16 11:20:00 2026\r\n" + HEAD + one + b"\r\n\r\nFrom - Thu Apr 16 11:21:00 2026\r\n" + MIXED
    )
    assert kind_of(body[:4096], "Inbox", None).mime_type == "application/mbox"
    text, said = read(body)
    assert text.count("Subject: plain") == 2
    assert "一通目" in text
    assert "marked ones" in text
    assert said == Properties()


def test_a_message_of_apple_mail_ends_before_its_property_list() -> None:
    assert read(b"%-10d\n" % len(MIXED) + MIXED + b"<?xml version='1.0'?><plist>flags</plist>") == read(MIXED)


def test_a_calendar_and_a_card_in_a_message_are_read() -> None:
    calendar = b"BEGIN:VCALENDAR\r\nSUMMARY:weekly meet\r\n ing\\, room 4\r\nEND:VCALENDAR\r\n"
    assert "SUMMARY:weekly meeting, room 4" in read(plain("Content-Type: text/calendar; method=REQUEST", calendar))[0]


def test_a_report_of_what_was_not_delivered_is_read() -> None:
    report = (
        b'Content-Type: multipart/report; boundary="r"\r\n\r\n--r\r\nContent-Type: message/delivery-status\r\n\r\n'
        b"Reporting-MTA: dns; mta.example\r\n\r\nFinal-Recipient: rfc822; u@x.example\r\n\r\nIt was too large.\r\n--r--\r\n"
    )
    text = read(HEAD + report)[0]
    assert "Reporting-MTA: dns; mta.example\nFinal-Recipient: rfc822; u@x.example" in text
    assert "It was too large." in text


@given(st.binary(max_size=300))
def test_any_bytes_in_head_or_body_give_a_text(noise: bytes) -> None:
    for body in (HEAD + b"\r\n" + noise, b"Subject: " + noise + b"\r\n" + MIXED, MIXED[:300] + noise + MIXED[300:]):
        reading = Reading(10**6)
        mail.read(body, reading)
        assert reading.text


@pytest.mark.parametrize(
    "hostile",
    [
        b"Content-Type: message/rfc822\r\n\r\n" * 20_000,
        b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(3_000)),
        b"From a 10:00\n\n" * 20_000,
        b"Subject: " + b"=?utf-8?Q?a?= " * 200_000 + b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * 50_000,
    ],
)
def test_a_hostile_message_takes_bounded_time(hostile: bytes) -> None:
    began, reading = time.process_time(), Reading(10**6)
    with suppress(EnoughError):
        mail.read(hostile, reading)
    assert time.process_time() - began < 30
