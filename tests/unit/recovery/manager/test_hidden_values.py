"""What is hidden is found however a text spells or cuts it, and in bounded time."""

import json
import time
from urllib.parse import quote_plus

import pytest

from recovery.manager.hidden_values import HIDDEN, HiddenValues
from recovery.manager.redaction import Redactor

SECRET = 'a "b"\n契約/+1'


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET, quote_plus(SECRET), repr(SECRET), json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False),
        json.dumps(json.dumps({"x": SECRET})), json.dumps(repr(SECRET)), repr(json.dumps({"x": SECRET})),
        'a "b" 契約/+1',
    ],
)  # fmt: skip
def test_a_value_is_hidden_however_it_is_spelled(spelled):
    shown = HiddenValues([SECRET]).without(f"<{spelled}>", is_cut=False)
    assert HIDDEN in shown
    assert "契約" not in shown
    assert "5951" not in shown
    assert "E5%A5%91" not in shown


def test_a_value_that_is_encoded_is_hidden_where_it_is_decoded():
    values = HiddenValues([quote_plus("経理/契約 1.pdf")])
    assert values.without("no such key: 経理/契約 1.pdf!", is_cut=False) == f"no such key: {HIDDEN}!"


def test_the_longest_value_is_hidden_first_and_short_ones_by_themselves():
    values = HiddenValues(["alice", "alice@example.com", "7", "7b"])
    assert values.without("alice@example.com, alice; 7 77 (7b)", is_cut=False) == (
        f"{HIDDEN}, {HIDDEN}; {HIDDEN} 77 ({HIDDEN})"
    )


def test_a_name_is_whole_and_a_text_may_be_cut():
    values = HiddenValues(["com.example.TimeoutError"])
    assert values.without("TimeoutError", is_cut=False) == "TimeoutError"
    assert values.without("TimeoutError of com.exam…", is_cut=True) == f"{HIDDEN} of {HIDDEN}"


def test_values_that_need_much_work_take_bounded_time_and_nothing_is_shown_then():
    values = ["b" * length + "x" for length in range(4, 1_000)]
    body = json.dumps({"a": values, "c": "b" * 400_000})
    began = time.monotonic()
    shown = json.loads(Redactor(["$.a"]).view(body).body)
    assert shown == {"a": HIDDEN, "c": HIDDEN}
    assert time.monotonic() - began < 10
