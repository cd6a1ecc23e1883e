"""The query language of the ledger: what is understood, and what each mistake is answered with."""

import pytest

from recovery.ledger.errors import AskedWronglyError
from recovery.ledger.rows import State
from recovery.ledger.selection import FILTERS, Selection, instant, parse_query, term
from worker.core.base.classify import FailureKind

NOW_MS = 1_790_000_000_000
MOMENT = "a moment in UTC as ISO 8601 writes it, such as until:2026-11-01T09:30:00.000Z"


def parsed(query: str) -> Selection:
    return parse_query(query, now_ms=NOW_MS)


def test_the_example_of_the_issue_is_understood() -> None:
    assert parsed("kind:RECOVERABLE error:Timeout bucket:x key:契約 older:2h group:5b1f state:open") == Selection(
        kind=FailureKind.RECOVERABLE, error_type="Timeout", bucket="x", key_contains="契約",
        sent_before_ms=NOW_MS - 2 * 3_600_000, group="5b1f", states=(State.OPEN,),
    )  # fmt: skip


def test_nothing_means_what_waits() -> None:
    assert parsed("") == parsed("  ") == Selection(states=(State.OPEN, State.SCHEDULED))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('key:"a b"', Selection(key_contains="a b")),
        (r'key:"a \"b\" \\"', Selection(key_contains='a "b" \\')),
        ("key:a:b", Selection(key_contains="a:b")),
        ('text:"Access Denied"', Selection(text_contains="access denied")),
        ("kind:unknown", Selection(kind=FailureKind.UNKNOWN)),
        ("state:sent,missing,sent", Selection(states=(State.SENT, State.MISSING))),
        ("state:any", Selection(states=tuple(State))),
        ("hold:yes owner:-", Selection(held=True, owner="")),
        ("hold:no owner:ana@example.org", Selection(held=False, owner="ana@example.org")),
        ("service:billing queue:https://sqs.example/1/q", Selection(source_service="billing", source_queue="https://sqs.example/1/q")),
        ("type:s3-event correlation:c-1", Selection(type="s3-event", correlation_id="c-1")),
        ("newer:1w older:3d", Selection(sent_after_ms=NOW_MS - 604_800_000, sent_before_ms=NOW_MS - 259_200_000)),
        ("older:90s", Selection(sent_before_ms=NOW_MS - 90_000)),
        ("until:2026-09-21T14:13:20Z", Selection(seen_until_ms=NOW_MS)),
        ('until:"2026-09-21T14:13:20.123Z"', Selection(seen_until_ms=NOW_MS + 123)),
        ("since:2026-09-21T14:13:20.5Z", Selection(seen_after_ms=NOW_MS + 500)),
        ("error:- group:-", Selection(error_type="", group="-")),
    ],
)  # fmt: skip
def test_every_filter_is_understood(query: str, expected: Selection) -> None:
    assert parsed(query) == expected


@pytest.mark.parametrize(
    ("query", "field", "value", "expected"),
    [
        ("colour:red", "colour", "red", f"a filter: {', '.join(FILTERS)}"),
        ("kind:SOMETIMES", "kind", "SOMETIMES", "one of RECOVERABLE, USER_ERROR, SYSTEM_ERROR, UNKNOWN"),
        ("state:closed", "state", "closed", f"any, or some of {','.join(State)}, separated by commas"),
        ("older:yesterday", "older", "yesterday", "a number and one of s m h d w, such as older:2h"),
        ("older:2", "older", "2", "a number and one of s m h d w, such as older:2h"),
        ("until:2h", "until", "2h", MOMENT),
        ("until:2026-11-01", "until", "2026-11-01", MOMENT),
        ("until:2026-11-01T09:30:00+09:00", "until", "2026-11-01T09:30:00+09:00", MOMENT),
        ("until:2026-02-30T09:30:00Z", "until", "2026-02-30T09:30:00Z", MOMENT),
        ("until:2026-11-01T09:30:00.1234Z", "until", "2026-11-01T09:30:00.1234Z", MOMENT),
        ("until:", "until", "", MOMENT),
        ("hold:maybe", "hold", "maybe", "yes or no"),
        ("key:", "key", "", 'not empty, such as key:x or key:"a b"'),
        ("bucket:a bucket:b", "bucket", "b", "given once"),
        ("timeouts", "query", "timeouts", 'NAME:VALUE or NAME:"a value", separated by spaces'),
        ('key:"open', "query", 'key:"open', 'NAME:VALUE or NAME:"a value", separated by spaces'),
        ('key:"a"b', "query", 'key:"a"b', 'NAME:VALUE or NAME:"a value", separated by spaces'),
        (f"key:{'x' * 1025}", "key", f"{'x' * 40}…", "at most 1,024 characters long"),
        ("x" * 2001, "query", f"{'x' * 40}…", "at most 2,000 characters long"),
    ],
)  # fmt: skip
def test_a_mistake_is_answered_with_what_would_be_right(query: str, field: str, value: str, expected: str) -> None:
    with pytest.raises(AskedWronglyError) as raised:
        parsed(query)
    assert (raised.value.field, raised.value.value, raised.value.expected) == (field, value, expected)
    assert str(raised.value) == f"{field}: {value!r} is wrong; it should be {expected}"


@pytest.mark.parametrize("value", ["Timeout", "a b", 'say "no"', "C:\\temp", "契約\n書", "", "a\\", '\\"'])
def test_a_term_is_read_as_the_value_that_it_was_made_of(value: str) -> None:
    assert parsed(f"{term('owner', value)} hold:yes") == Selection(owner=value, held=True)


@pytest.mark.parametrize("at_ms", [0, 1, 999, NOW_MS, NOW_MS + 7])
def test_a_moment_is_read_as_it_was_written(at_ms: int) -> None:
    assert parsed(f"until:{instant(at_ms)}") == Selection(seen_until_ms=at_ms)
