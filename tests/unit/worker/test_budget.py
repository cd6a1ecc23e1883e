"""`s3-index-worker budget`: what it shows, and what --raise changes."""

import json

import pytest
import typer

from testing.fakes import Fakes
from testing.memory import BUCKET
from worker import budget as module
from worker.core.base.errors import ExitCode
from worker.core.indexing.retry_store import RetryStore
from worker.core.s3.budget_ledger import Ask, BudgetLedger

LEGAL = f"s3://{BUCKET}/legal/"


@pytest.fixture
def fakes(monkeypatch):
    made = Fakes()
    monkeypatch.setattr(module, "connect", lambda _: made.clients)
    return made


@pytest.fixture
def budget(fakes, monkeypatch, capsys):
    def run(caps, *raises, as_json=True):
        monkeypatch.setattr(module, "load_for_command", lambda: fakes.settings(budget_caps=caps))
        with pytest.raises(typer.Exit) as ended:
            module.budget(list(raises), as_json=as_json)
        out = capsys.readouterr().out
        return ended.value.exit_code, json.loads(out.splitlines()[-1]) if as_json and out else out

    return run


def use(fakes, caps, used):
    ledger = BudgetLedger(fakes.state, fakes.s3.clock)
    [cap] = [one for one in fakes.settings(budget_caps=caps).budget_caps if one.kind == "seconds"]
    ledger.exchange(ledger.today(), [Ask(cap, in_use=cap.units * used // 100)])


def test_it_shows_what_is_used_left_and_held_by_cap(fakes, budget):
    caps = f"objects=1000,{LEGAL}:seconds=2.5"
    use(fakes, caps, 40)
    store = RetryStore(fakes.state)
    for key in ("legal/a", "legal/b"):
        store.hold(BUCKET, key, 1, scope=LEGAL, reason="spent")
    store.close()
    code, shown = budget(caps)
    assert code == ExitCode.OK
    assert shown == {
        "day": "2026-11-18",
        "caps": [
            {"cap": "objects", "used": 0.0, "left": 1000.0, "limit": 1000.0, "held": 0},
            {"cap": f"{LEGAL}:seconds", "used": 1.0, "left": 1.5, "limit": 2.5, "held": 2},
        ],
    }
    _, table = budget(caps, as_json=False)
    assert "1.5" in table


def test_a_raise_adds_to_todays_cap_and_is_in_the_audit(fakes, budget):
    caps = f"objects=1000,{LEGAL}:seconds=2.5"
    budget(caps, "objects=500")
    code, shown = budget(caps, "objects=10", f"{LEGAL}:seconds=1")
    assert code == ExitCode.OK
    assert [one["limit"] for one in shown["caps"]] == [1510.0, 3.5]
    audited = fakes.under("s3-index-worker/audit/").values()
    assert sorted(one["objects"] for one in audited) == [10.0, 500.0]
    assert {one["action"] for one in audited} == {"raise"}


@pytest.mark.parametrize("wrong", ["bytes=5", "objects=-5", "objects", "objects=1,objects=2"])
def test_what_cannot_be_raised_is_a_usage_error(fakes, monkeypatch, wrong):
    monkeypatch.setattr(module, "load_for_command", lambda: fakes.settings(budget_caps="objects=1"))
    with pytest.raises(typer.BadParameter):
        module.budget([wrong])
    assert fakes.s3.records == {}


def test_without_caps_nothing_is_asked(fakes, budget):
    assert budget("", "objects=5") == (ExitCode.NOT_FOUND, "")
    assert fakes.faults.calls == []
