"""Bodies as people read them."""

import json
import random
import zlib

import pytest

from recovery.manager.console.bodies import BODY_BYTES, MAX_DEPTH, MAX_SHOWN_CHARS, fitting, pretty, shown


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
