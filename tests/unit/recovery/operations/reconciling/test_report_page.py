"""The page of a result: its numbers by prefix, nothing that a key could do to a browser, and nothing from elsewhere."""

import re
from html.parser import HTMLParser

import pytest

from recovery.operations.reconciling import work_file
from recovery.operations.reconciling.report_page import PagePart, page
from tests.support.reconciled import Scene

HOSTILE = "<script>alert(1)</script>\x1b/\"'&.txt"


@pytest.fixture
def place(fakes, tmp_path):
    return Scene(fakes, tmp_path)


def counted(place, prefix=""):
    """(prefix, state, objects, bytes) of each line, after a run."""
    found = []
    place.run(prefix, while_open=lambda work: found.extend(work.by_prefix(prefix)))
    return [(one.prefix, one.state.value, one.objects, one.size_bytes) for one in found]


def made(place):
    parts = []
    place.run(while_open=lambda work: parts.extend(work.by_prefix("")))
    return b"".join(page([PagePart(place.run(), parts)], by="ann@host")).decode()


def test_objects_and_bytes_are_counted_by_prefix_and_those_with_losses_come_first(place):
    for key, body in (("big/1", b"xx"), ("big/2", b"x"), ("big/3", b"x"), ("lossy/1", b"xxx"), ("top.txt", b"x")):
        place.put(key, body)
        if key != "lossy/1":
            place.indexed(key)
    assert counted(place) == [("lossy/", "missing", 1, 3), ("big/", "current", 3, 4), ("", "current", 1, 1)]


def test_under_a_prefix_the_next_segment_counts(place):
    for key in ("a/b/1", "a/b/2", "a/c/1", "a/1"):
        place.put(key)
        place.indexed(key)
    assert counted(place, "a/") == [("a/b/", "current", 2, 2), ("a/", "current", 1, 1), ("a/c/", "current", 1, 1)]


def test_beyond_so_many_prefixes_the_others_are_counted_together(place, monkeypatch):
    monkeypatch.setattr(work_file, "MAX_PREFIXES", 2)
    for number in range(5):
        for one in range(5 - number):
            place.put(f"{number}/{one}")
    assert counted(place) == [("0/", "missing", 5, 5), ("1/", "missing", 4, 4), (work_file.OTHERS, "missing", 6, 6)]


def test_the_page_shows_the_verdict_the_numbers_and_examples(place):
    for number in range(1_500):
        place.put(f"a/{number}")
        place.indexed(f"a/{number}")
    place.put("b/lost.txt")
    text = made(place)
    assert "<strong>1 are not accounted for.</strong>" in text
    assert 'aria-label="current 1,500, missing 1"' in text
    assert "<li><code>b/lost.txt</code></li>" in text


def test_a_key_is_text_and_the_page_loads_nothing(place):
    place.put(HOSTILE)
    text = made(place)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "\x1b" not in text
    assert not re.search(r"(?:src|href|url)\s*[=(]", text)
    assert "default-src 'none'" in text


def test_every_element_is_closed(place):
    place.put("a.txt")
    open_elements: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                open_elements.append(tag)

        def handle_endtag(self, tag):
            assert open_elements.pop() == tag

    Checker().feed(made(place))
    assert open_elements == []
