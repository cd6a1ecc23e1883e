"""A file of keys is checked as a whole before anything is done, and each line is a key as it is."""

import threading
from io import BytesIO

import pytest

from recovery.operations.backfilling.keys_file import KeysFile
from recovery.operations.backfilling.request import SourceError
from worker.core.s3.objects import Place

NASTY = ["a b", " a ", "100%+", "\u2028", "\x85", "\x0b", "契約", "e\u0301", "a\tb", '"', "x" * 1024, "a/s3://b"]


def source(raw, prefix=""):
    return KeysFile(BytesIO(raw), "keys.txt", Place("files", prefix))


def read(found, **position):
    return [one.key for page in found.pages(position, threading.Event()) for one in page.candidates]


def test_every_line_is_a_key_as_it_is():
    assert read(source("\n".join(NASTY).encode())) == NASTY


@pytest.mark.parametrize("raw", [b"a\nb\n", b"a\r\nb\r\n", b"a\r\nb", b"\xef\xbb\xbfa\n\n\nb\n", b"\na\nb"])
def test_line_ends_a_byte_order_mark_and_empty_lines_belong_to_no_key(raw):
    found = source(raw)
    assert (read(found), found.total) == (["a", "b"], 2)


def test_an_empty_file_has_no_keys():
    assert (read(source(b"")), source(b"").total) == ([], 0)


def test_a_key_outside_the_place_is_refused_with_its_line():
    assert read(source(b"a/1\na/2\n", "a/")) == ["a/1", "a/2"]
    with pytest.raises(SourceError, match=r"line 2 of keys.txt is '/a/1', which is not in s3://files/a/"):
        source(b"a/1\n/a/1\n", "a/")


def test_it_goes_on_after_a_line():
    found = source("\n".join(f"{number}" for number in range(2_500)).encode())
    pages = list(found.pages({}, threading.Event()))
    assert [page.after for page in pages] == [{"lines": 1_000}, {"lines": 2_000}, {"lines": 2_500}]
    rest = [one.key for page in pages[1:] for one in page.candidates]
    assert read(found, lines=1_000) == rest
    assert read(found, lines=2_500) == []


def test_files_with_the_same_keys_have_one_name_and_others_another():
    assert source(b"a\nb").name == source(b"a\nb").name
    assert len({source(b"a\nb").name, source(b"a\na").name, source(b"a\na", "a").name}) == 3


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("契約\n".encode("cp932"), "line 1 of keys.txt is not UTF-8: byte 1 is 0x8c"),
        (b"a\nb\nc\xff\n", "line 3 of keys.txt is not UTF-8: byte 2 is 0xff"),
        ("a\n".encode("utf-16"), "keys.txt is UTF-16; it must be UTF-8"),
        (b"a\n" + b"x" * 1025, "line 2 of keys.txt has more than the 1,024 bytes"),
        (b"x" * 10_000_000, "line 1 of keys.txt has more than the 1,024 bytes"),
        (b"a\ns3://files/a\n", "line 2 of keys.txt is 's3://files/a'; it must be a key alone"),
    ],
)
def test_what_cannot_be_a_key_is_named_by_its_line(raw, said):
    with pytest.raises(SourceError) as caught:
        source(raw)
    assert str(caught.value).startswith(said)
