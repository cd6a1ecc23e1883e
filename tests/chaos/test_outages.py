"""Attacks 3 and 4: index, S3 and credentials become unavailable in every known way during the work, then recover."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from testing.fault_proxy import Broken, Call, Rule
from tests.chaos.commands import run_command
from tests.chaos.panics import SHARE
from tests.chaos.stage import Stage, fresh_name
from tests.support.faults import UNREACHABLE_S, refusal, s3_error
from tests.support.oracle import Judgement
from tests.support.size import sized

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""asyncio drops, and warns of, a connection that it accepts while the fault proxy makes that server unreachable."""
UNAVAILABLE_S = sized(600, usual=5)
"""The issue's ten minutes."""
BROKEN_S = sized(12, usual=4)
QUIET_WITHIN_S = 120.0
WHOLE = bool(sized(1, usual=0))

Outage = Callable[[Stage], "Iterator[None]"]


def play(on: Stage, outage: Callable[[Stage], Iterator[None]], lasts_s: float) -> Judgement:
    """Send one load before an outage, one during it and one at its end; the queue must be empty soon afterwards."""
    on.rule()
    on.keep_alive()
    on.load(fresh_name())
    time.sleep(1)
    with contextmanager(outage)(on):
        until = time.monotonic() + lasts_s
        on.load(fresh_name())
        while time.monotonic() < until:
            on.keep_alive()
            time.sleep(0.2)
        on.load(fresh_name())
        time.sleep(1)
    quiet, codes = on.wait_quiet(QUIET_WITHIN_S)
    found = on.judgement()
    print(f"\n{found}; exit codes {dict(codes)}")
    if not quiet and found.holds:
        found.stuck.append("work is left")
    return found


# -- the index ---------------------------------------------------------------------------------------------------


def unreachable(on: Stage) -> Iterator[None]:
    with rules(on, lambda call: _if(call.service == "index", Broken("unreachable", hang_s=UNREACHABLE_S))):
        yield


def read_only(on: Stage) -> Iterator[None]:
    """The state of an index whose disk is over its flood-stage watermark."""
    _settings(on, {"index.blocks.read_only_allow_delete": True})
    yield
    _settings(on, {"index.blocks.read_only_allow_delete": None})


def closed(on: Stage) -> Iterator[None]:
    on.site.ask("POST", f"/{on.site.index}-000001/_close")
    yield
    on.site.ask("POST", f"/{on.site.index}-000001/_open")


def deleted(on: Stage) -> Iterator[None]:
    """Its documents are lost by the operator's act; everything from now on must be in the new index."""
    on.wait_quiet(QUIET_WITHIN_S)
    on.oracle.forget()
    on.earlier = ()
    on.site.ask("DELETE", f"/{on.site.index}-000001")
    yield


def without_its_alias(on: Stage) -> Iterator[None]:
    """The index stays, and its documents must be found under the alias again."""
    on.wait_quiet(QUIET_WITHIN_S)
    remove = {"index": f"{on.site.index}-000001", "alias": on.site.index}
    on.site.ask("POST", "/_aliases", {"actions": [{"remove": remove}]})
    yield


def without_a_write_index(on: Stage) -> Iterator[None]:
    index = f"{on.site.index}-000001"
    on.site.ask("PUT", f"/{on.site.index}-000002")
    for name, may in ((index, False), (f"{on.site.index}-000002", False)):
        add = {"index": name, "alias": on.site.index, "is_write_index": may}
        on.site.ask("POST", "/_aliases", {"actions": [{"add": add}]})
    yield
    on.site.ask("DELETE", f"/{on.site.index}-000002")
    add = {"index": index, "alias": on.site.index, "is_write_index": True}
    on.site.ask("POST", "/_aliases", {"actions": [{"add": add}]})


def slow(on: Stage) -> Iterator[None]:
    """Every request takes longer than the batcher's patience, pings too."""
    on.fault_proxy.latency_s = {"index": 1.5}
    yield
    on.fault_proxy.latency_s = {}


@pytest.mark.slow("each outage lasts as long as breakers and probes take to see it and its end")
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(
    ("outage", "lasts_s"),
    [
        (unreachable, UNAVAILABLE_S), (read_only, BROKEN_S), (closed, BROKEN_S), (deleted, 3.0), (without_its_alias, BROKEN_S),
        (without_a_write_index, BROKEN_S), (slow, BROKEN_S),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)  # fmt: skip
def test_an_index_in_trouble_heals_by_itself(on, outage, lasts_s):
    if outage is not without_its_alias and not WHOLE:
        pytest.skip("only in make chaos")
    found = play(on, outage, lasts_s)
    assert found.holds, found
    assert not found.set_aside


def test_documents_that_the_mapping_rejects_are_indexed_once_it_is_corrected(on):
    """The index rejects every document; only a corrected mapping helps, followed by one command."""
    index = f"{on.site.index}-000001"
    mapping = {
        "mappings": {"properties": {"content": {"type": "date"}}},
        "aliases": {on.site.index: {"is_write_index": True}},
    }
    on.site.ask("PUT", f"/{index}", mapping)
    on.rule()
    on.keep_alive()
    keys = [f"rejected/{number}.txt" for number in range(30)]
    for key in keys:
        on.site.put(key, f"no date {key}")
        on.send(key)
    on.site.wait_empty()
    assert len(on.site.state_keys("retry-index/")) == len(keys)
    on.stop()
    on.site.ask("DELETE", f"/{index}")
    assert run_command(on, "recovery.cli.replay_retry_index", "--json") == 0
    assert on.site.state_keys("retry-index/") == []
    assert on.judgement().holds


# -- S3 ----------------------------------------------------------------------------------------------------------


def s3_unreachable(on: Stage) -> Iterator[None]:
    with rules(on, lambda call: _if(call.service == "s3", Broken("unreachable", hang_s=UNREACHABLE_S))):
        yield


def s3_throttled(on: Stage) -> Iterator[None]:
    rng = random.Random(0)
    with rules(on, lambda call: _if(call.service == "s3" and rng.random() < 0.7, refusal("s3", 503))):
        yield


def s3_denies_everything(on: Stage) -> Iterator[None]:
    with rules(on, lambda call: _if(call.service == "s3", refusal("s3", 403))):
        yield


def credentials_expired(on: Stage) -> Iterator[None]:
    expired = json.dumps(
        {"__type": "com.amazon.coral.service#ExpiredTokenException", "message": "by the test"}
    ).encode()

    def rule(call: Call) -> Broken | None:
        if call.service == "sqs":
            return Broken("answer", status=403, body=expired)
        return _if(call.service == "s3", s3_error("ExpiredToken", 400))

    with rules(on, rule):
        yield


def index_and_state_unavailable(on: Stage) -> Iterator[None]:
    """Neither the index nor `retry-index/` takes anything: what was received goes back to the queue."""

    def rule(call: Call) -> Broken | None:
        if call.service == "s3" and "-state/" in call.about:
            return refusal("s3", 503)
        return _if(call.service == "index", refusal("index", 503))

    with rules(on, rule):
        yield


def pages_of_a_proxy_from_the_future(on: Stage) -> Iterator[None]:
    """A third of the calls to S3 get the page of a proxy whose clock is an hour ahead: it must not set S3's clock."""
    rng = random.Random(0)
    page = Broken("answer", status=503, body=b"<html>Service Unavailable</html>", headers=_date(3_600))
    with rules(on, lambda call: _if(call.service == "s3" and rng.random() < 0.3, page)):
        yield


def a_prefix_denied_that_sorts_first(on: Stage) -> Iterator[None]:
    """After a restart, the first keys that are asked for are denied; the others must go on."""
    keys = [f"!denied/{fresh_name()}/{number}.txt" for number in range(20)]

    def denied(call: Call) -> Broken | None:
        return _if(call.service == "s3" and any(key.startswith("!denied/") for key in call.keys), refusal("s3", 403))

    with rules(on, denied):
        on.stop()
        for key in keys:
            on.site.put(key)
            on.send(key)
        on.keep_alive()
        yield


def everything_slow(on: Stage) -> Iterator[None]:
    """Every call takes long, but none too long."""
    on.fault_proxy.latency_s = {"s3": 0.8, "sqs": 0.5, "index": 0.8}
    yield
    on.fault_proxy.latency_s = {}


def panics(on: Stage) -> Iterator[None]:
    """A fifth of obstore's calls panic."""
    on.stop()
    on.env[SHARE] = "0.2"
    on.keep_alive()
    yield
    on.stop()
    del on.env[SHARE]
    on.keep_alive()


@pytest.mark.slow("S3 must be away for longer than a message waits")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "outage",
    [
        s3_unreachable, s3_throttled, s3_denies_everything, credentials_expired, index_and_state_unavailable,
        pages_of_a_proxy_from_the_future, everything_slow, panics,
    ],
)  # fmt: skip
def test_an_outage_of_s3_dead_letters_nothing(on, outage):
    if outage not in {credentials_expired, pages_of_a_proxy_from_the_future} and not WHOLE:
        pytest.skip("only in make chaos")
    found = play(on, outage, BROKEN_S)
    assert found.holds, found
    assert not found.set_aside


@pytest.mark.slow("a message is released several times before it is dead-lettered")
@pytest.mark.timeout(600)
def test_a_denied_prefix_that_sorts_first_after_a_restart_holds_up_nothing_else(on):
    if not WHOLE:
        pytest.skip("only in make chaos")
    found = play(on, a_prefix_denied_that_sorts_first, BROKEN_S)
    assert found.holds, found


@pytest.mark.slow("a message is released several times before it is dead-lettered")
def test_objects_under_a_denied_prefix_are_dead_lettered_and_recovered_once_permitted(on):
    def denied(call: Call) -> Broken | None:
        mine = call.service == "s3" and any(key.startswith("denied/") for key in call.keys)
        return _if(mine, refusal("s3", 403))

    on.rule()
    on.keep_alive()
    keys = [f"{folder}/{number}.txt" for number in range(15) for folder in ("denied", "open")]
    with rules(on, denied):
        for key in keys:
            on.site.put(key)
            on.send(key)
        on.site.wait_empty()
        assert on.oracle.index_etags(keys).keys() == set(keys)
        assert {key for key, etag in on.oracle.index_etags(keys).items() if etag} == {
            k for k in keys if k[:4] == "open"
        }
    assert run_command(on, "recovery.cli.recover_dlq", "--json") == 0
    found = on.judgement()
    assert found.holds, found
    assert not found.set_aside


# -- common ------------------------------------------------------------------------------------------------------


@contextmanager
def rules(on: Stage, *more: Rule) -> Iterator[None]:
    """Put these rules before the background faults."""
    before = on.fault_proxy.rules
    on.fault_proxy.rules = [*more, *before]
    yield
    on.fault_proxy.rules = before
    on.fault_proxy.reach()


def _date(ahead_s: float) -> str:
    return f"Date: {formatdate(time.time() + ahead_s, usegmt=True)}\r\n"


def _if(condition: bool, broken: Broken) -> Broken | None:
    return broken if condition else None


def _settings(on: Stage, settings: dict[str, object]) -> None:
    on.site.ask("PUT", f"/{on.site.index}-000001/_settings", settings)
