"""Bodies as people read them."""

import gzip
import json
import random
import zlib
from base64 import b64encode

import pytest

from recovery.manager.console.bodies import BODY_BYTES, MAX_DEPTH, MAX_SHOWN_CHARS, fitting, pretty, shown, wrapped


def test_json_is_indented_and_nothing_of_it_changes():
    text = '{"n":12345678901234567890123,"f":1.10,"e":1E5,"a":[1,{}],"契約":"\\u202e<b>","a":null,"t":true,"x":[]}'
    assert pretty(text).splitlines() == [
        "{", '  "n": 12345678901234567890123,', '  "f": 1.10,', '  "e": 1E5,', '  "a": [', "    1,", "    {}", "  ],",
        '  "契約": "\\u202e<b>",', '  "a": null,', '  "t": true,', '  "x": []', "}",
    ]  # fmt: skip
    assert json.loads(pretty(text)) == json.loads(text)


@pytest.mark.parametrize("text", ["", "not JSON", "{", '"text"', "[" * 5_000, "[" * 150 + "]" * 150, "<redacted>"])
def test_anything_else_is_as_it_is(text):
    assert pretty(text) == text


def test_the_deepest_that_is_indented():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert "".join(pretty(text).split()) == text
    assert pretty(text) != text


def test_a_long_one_is_cut_and_says_how_much_is_missing():
    found = shown("x" * (MAX_SHOWN_CHARS + 7))
    assert (len(found.text), found.left_out) == (MAX_SHOWN_CHARS, 7)
    assert shown("[1]").text == "[\n  1\n]"


def test_what_hardly_compresses_is_cut_before_a_page_is_heavy():
    chance = random.Random(7)
    noise = "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(MAX_SHOWN_CHARS))
    found = shown(noise)
    assert BODY_BYTES * 0.8 < len(zlib.compress(found.text.encode())) <= BODY_BYTES
    assert found.left_out == MAX_SHOWN_CHARS - len(found.text)
    assert fitting("\ud800<&", 40) == 3
    assert fitting("", 0) == 0


def base64_of(text, *, gzipped=False):
    data = text.encode()
    return b64encode(gzip.compress(data, mtime=0) if gzipped else data).decode()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            json.dumps({"Type": "Notification", "Message": '{"a":1.0}', "Subject": "{x"}),
            [("Message", ("JSON",), '{\n  "a": 1.0\n}')],
        ),
        (base64_of('{"long enough": 1}'), [("", ("Base64",), '{\n  "long enough": 1\n}')]),
        (base64_of("契約", gzipped=True), [("", ("Base64", "gzip"), "契約")]),
        (base64_of("two\nlines of a text"), [("", ("Base64",), "two\nlines of a text")]),
        ("password", []),
        ("aGVsbG8=", []),
        (b64encode(bytes(256)).decode(), []),
        (b64encode(bytes(range(256))).decode(), []),
        (b64encode(b"\x1f\x8b broken").decode(), []),
        (base64_of("x" * 40_000), []),
        ('{"a": {"b": "{}"}}', []),
        ('{"a": ' + '{"a":' * 5_000, []),
        ("[1]", []),
        ("{", []),
        ("", []),
    ],
)
def test_what_is_wrapped_in_a_body_is_shown_too(body, found):
    assert [(one.name, one.how, one.text.text) for one in wrapped(body)] == found


def test_no_more_than_is_shown_is_unpacked():
    [found] = wrapped(base64_of("0" * 10_000_000, gzipped=True))
    assert len(found.text.text) == MAX_SHOWN_CHARS
