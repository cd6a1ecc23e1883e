"""Groups as they were when somebody looked at them, and the filters that act on just that, on both databases."""

from recovery.ledger.ledger import Ledger
from recovery.ledger.plans import Wanted
from recovery.ledger.refusals import Verb
from recovery.ledger.selection import Selection, parse_query
from recovery.manager.known_groups import group_at, groups_of, groups_with_facts, moment_of
from testing.ledgers import NOW_MS, arrival

HOSTILE = 'Net::"Timeout"\\ \u202e契約 a:b'


def come(ledger: Ledger, *names: str, at_ms: int = NOW_MS, **fields: str) -> None:
    ledger.take_in([arrival(name, f"{name}-{at_ms}", at_ms=at_ms, last_seen_ms=at_ms, **fields) for name in names])


def test_what_has_joined_a_group_is_told_and_not_acted_upon(ledger: Ledger) -> None:
    come(ledger, "a", "b", "c")
    [known] = groups_with_facts(ledger, Selection(), limit=10)
    come(ledger, "a", "d", "e", at_ms=NOW_MS + 5)
    [known] = groups_with_facts(ledger, Selection(), limit=10)
    found = group_at(ledger, known, NOW_MS)
    assert (found.known.group.count, found.count, found.joined) == (5, 2, 3)
    plan = ledger.plans.make(Wanted(Verb.REDRIVE, "ana", selection=parse_query(found.query)))
    assert plan.count == 2
    assert group_at(ledger, known, NOW_MS + 5).joined == 0


def test_a_group_is_found_by_its_exact_name_whatever_it_is(ledger: Ledger) -> None:
    come(ledger, "a", error_type=HOSTILE)
    come(ledger, "b", fingerprint="", error_type="")
    come(ledger, "c", fingerprint="5b1f2c7d90aa-longer")
    come(ledger, "d", fingerprint="5b1f2c7d90aa")
    for fingerprint, error_type, wanted in (
        ("5b1f2c7d90aa", HOSTILE, "a"), ("", "", "b"), ("5b1f2c7d90aa-longer", None, "c"),
        ("5b1f2c7d90aa", "ReadTimeoutError", "d"),
    ):  # fmt: skip
        [known] = groups_of(ledger, fingerprint, error_type=error_type, kind="RECOVERABLE")
        assert known.group.samples == (wanted,)
        assert [one.identity for one in ledger.page(parse_query(known.query)).rows] == [wanted]
    assert len(groups_of(ledger, "5b1f2c7d90aa", error_type=None, kind=None)) == 2
    assert groups_of(ledger, "5b1f", error_type=None, kind=None) == []
    assert groups_of(ledger, "5b1f2c7d90aa", error_type=None, kind="UNKNOWN") == []


def test_an_action_on_a_group_means_what_is_shown_of_it(ledger: Ledger) -> None:
    names = (
        "Timeout", "timeout", "TIMEOUT", "-", "=", "=Timeout", "", "\u212aelvin", "Kelvin", "kelvin", "stra\u00dfe", "STRASSE",
        HOSTILE, HOSTILE.lower(), "two\nlines", "two lines", "a\\", 'a"', "-x", "until:2026-11-01T09:30:00.000Z",
    )  # fmt: skip
    for at, (fingerprint, name) in enumerate((one, name) for one in ("", "-", "=", "Ab", "ab") for name in names):
        come(ledger, *(f"{at}-{number}" for number in range(at % 3 + 1)), fingerprint=fingerprint, error_type=name)
    found = groups_with_facts(ledger, Selection(), limit=200)
    assert len(found) == 5 * len(names)
    for known in found:
        assert ledger.count(parse_query(known.query)) == known.group.count, known.query
        fingerprint, error_type, kind = known.group.name
        assert [one.group for one in groups_of(ledger, fingerprint, error_type=error_type, kind=kind)] == [known.group]


def test_the_moment_of_a_group_is_its_last_arrival_or_a_minute_ago(ledger: Ledger) -> None:
    come(ledger, "a", at_ms=2**45)
    come(ledger, "b", fingerprint="other")
    new, old = sorted(groups_with_facts(ledger, Selection(), limit=10), key=lambda one: -one.group.last_seen_ms)
    assert moment_of(new.group.last_seen_ms, NOW_MS + 90_000) == 2**45
    assert moment_of(old.group.last_seen_ms, NOW_MS + 90_000) == NOW_MS + 30_000
