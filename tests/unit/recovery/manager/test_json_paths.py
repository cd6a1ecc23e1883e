"""Which JSON paths there are, and what is said of those that are none."""

import pytest

from recovery.manager.json_paths import Segment, parse_path, split_paths


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("$.a", [Segment("a")]),
        ("$.customer.email", [Segment("customer"), Segment("email")]),
        ("$..password", [Segment("password", is_deep=True)]),
        ("$.契約.x1", [Segment("契約"), Segment("x1")]),
        ("$['e-mail']", [Segment("e-mail")]),
        ('$["a.b"][0]', [Segment("a.b"), Segment(0)]),
        ("$['it\\'s']", [Segment("it's")]),
        ("$.items[*].price", [Segment("items"), Segment(None), Segment("price")]),
        ("$.*", [Segment(None)]),
        ("$..*", [Segment(None, is_deep=True)]),
        ("$..[0]", [Segment(0, is_deep=True)]),
        ("$..['a']..b", [Segment("a", is_deep=True), Segment("b", is_deep=True)]),
        ("$[ 'a' ]", [Segment("a")]),
    ],
)
def test_a_path_is_a_way_into_a_document(text, segments):
    assert list(parse_path(text)) == segments


@pytest.mark.parametrize(
    "text",
    ["", "$", "a", "$a", "$.", "$..", "$...a", "$.a.", "$.a b", "$.a-b", "$.1", "$[a]", "$['a]", "$[0:2]", "$[-1]", "$[?@.x]",
     "$.a[", "$.a]", "$ .a", "@.a", "$['a','b']", "$.a$.b", "x$.a"],
)  # fmt: skip
def test_what_is_no_path_is_named_with_what_would_be_right(text):
    with pytest.raises(
        ValueError, match=r"is not a JSON path of fields; it should be such as \$\.customer\.email"
    ) as said:
        parse_path(text)
    assert repr(text) in str(said.value)


def test_paths_are_separated_by_commas_but_for_those_in_quotation_marks():
    assert split_paths("$.a, $['b,c'] ,,$..d") == ["$.a", "$['b,c']", "$..d"]
    assert split_paths("  ") == []


def test_a_name_is_no_index():
    assert not Segment(0).matches("0")
    assert not Segment("0").matches(0)
    assert not Segment(1).matches(True)
