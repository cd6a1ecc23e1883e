"""What is said of another service's failure: type, fingerprint, metadata, whatever its texts are."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.sqs.foreign_facts import (
    LEFT_OUT,
    MAX_METADATA_BYTES,
    NO_TYPE,
    bounded_metadata,
    foreign_fingerprint,
    innermost_line,
    pattern_of,
    type_in,
)

PYTHON = """Traceback (most recent call last):
  File "/app/main.py", line 10, in run
    work()
  File "/app/maps.py", line 77, in work
    raise TimeoutError(5)
TimeoutError: 5
"""
JAVA = """com.example.JobException: failed
\tat com.example.Outer.run(Outer.java:5)
Caused by: java.net.SocketTimeoutException: Read timed out
\tat com.example.Maps.fetch(Maps.java:42)
\tat com.example.Outer.run(Outer.java:4)
"""
JAVASCRIPT = "TypeError: x is undefined\n    at fetch (/app/maps.js:12:5)\n    at main (/app/main.js:1:1)"
GO = "panic: oh\n\ngoroutine 1 [running]:\nmain.work(0x1)\n\t/app/work.go:42 +0x1d\nmain.main()\n\t/app/main.go:5 +0x2"


@pytest.mark.parametrize(
    ("stack", "line"),
    [
        (PYTHON, 'File "/app/maps.py", line 77, in work'),
        (JAVA, "at com.example.Maps.fetch(Maps.java:42)"),
        (JAVASCRIPT, "at fetch (/app/maps.js:12:5)"),
        (GO, "/app/work.go:42 +0x1d"),
        ("maps.rb:12:in `fetch'\nmain.rb:1", "maps.rb:12:in `fetch'"),
        ("no stack at all", ""),
        ("", ""),
    ],
)
def test_the_innermost_line_is_found_in_the_way_of_each_language(stack, line):
    assert innermost_line(stack) == line


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (("TimeoutError: 5",), "TimeoutError"), (("", PYTHON), "TimeoutError"), (("", JAVASCRIPT), "TypeError"),
        (("", JAVA), "java.net.SocketTimeoutException"), (("Note: it failed",), NO_TYPE), (("it failed: TimeoutError",), NO_TYPE),
        (("botocore.exceptions.ReadTimeoutError: x",), "botocore.exceptions.ReadTimeoutError"), (("",), NO_TYPE),
    ],
)  # fmt: skip
def test_an_error_type_is_read_from_the_texts_where_it_stands(texts, name):
    assert type_in(*texts) == name


def test_failures_of_one_place_have_one_fingerprint_whatever_their_numbers_and_texts():
    def print_of(stack=PYTHON, message="5", service="maps", kind="TimeoutError"):
        return foreign_fingerprint(kind, service, message, stack)

    assert print_of() == print_of(stack=PYTHON.replace("77", "8"), message="another")
    assert print_of() != print_of(stack=PYTHON.replace("maps.py", "other.py"))
    assert print_of() != print_of(service="orders")
    assert print_of() != print_of(kind="OSError")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 17 has no customer", "order 18 has no customer"),
        ("job 5f0c1a2b-9d3e-4c1a-8f00-123456789abc failed", "job 9f0c1a2b-0d3e-4c1a-8f00-abcdef012345 failed"),
        ("no file 'a.txt' in \"b\"", "no file 'c.txt' in \"d\""),
        ("「契約」が見つかりません", "「領収」が見つかりません"),
        ("at 0xdeadbeef", "at 0x1f"),
    ],
)
def test_messages_that_differ_in_numbers_ids_and_quoted_parts_have_one_pattern(one, other):
    assert pattern_of(one) == pattern_of(other)
    assert foreign_fingerprint("E", "s", one, "") == foreign_fingerprint("E", "s", other, "")
    assert foreign_fingerprint("E", "s", one, "") != foreign_fingerprint("E", "s", "something else", "")


def test_metadata_keeps_its_order_until_its_limit_and_says_what_is_left_out():
    found = bounded_metadata({"a": 1, "big": "x" * MAX_METADATA_BYTES, "c": 2})
    assert found == {"a": 1, LEFT_OUT: 2}
    assert bounded_metadata({"a": {"b": [1, None, "契約"]}}) == {"a": {"b": [1, None, "契約"]}}


def test_metadata_that_json_cannot_hold_is_kept_as_text():
    class Broken:
        def __str__(self):
            raise ValueError

    cycle: list[object] = []
    cycle.append(cycle)
    found = bounded_metadata({1: Broken(), "cycle": cycle, "bytes": b"x", "huge": 2**80, "\ud800": "\ud800\x00"})
    assert list(found) == ["1", "cycle", "bytes", "huge", "\ufffd"]
    assert (found["1"], found["huge"]) == ("(Broken)", str(2**80))
    orjson.dumps(found)


@settings(max_examples=50)
@given(st.text(), st.text(), st.text(max_size=300))
def test_any_text_has_a_fingerprint_a_type_and_a_pattern(message, stack, service):
    assert len(foreign_fingerprint(type_in(message, stack), service, message, stack)) == 12
    assert len(pattern_of(message)) <= 200


@pytest.mark.timeout(20)
@pytest.mark.parametrize("part", ["a.", "A", "1", "'", "at ", 'File "', "x.rb:", "A1-", "Caused by:\n", "「"])
def test_no_text_takes_long(part):
    text = part * (1_000_000 // len(part))
    assert len(foreign_fingerprint(type_in(text, text), text[:300], text, text)) == 12
