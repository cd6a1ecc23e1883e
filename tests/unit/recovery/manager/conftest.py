"""A manager's parts over the system in memory and a ledger in a file."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recovery.ledger.ledger import Ledger
from recovery.manager.acting.acts import World
from recovery.manager.acting.verbs import Verbs
from recovery.manager.arrivals import Arrivals
from recovery.manager.figures import Figures
from recovery.manager.follow import Follower
from recovery.manager.group_commit import GroupCommit
from recovery.manager.intake import Intake
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.operations import Operations
from recovery.manager.records import RowMaker
from recovery.manager.schedule import RetryRules, Scheduler
from recovery.operations.clients import DlqClients
from testing.fakes import Fakes, included_types
from testing.ledgers import new_ledger
from testing.memory import MemoryQueue
from worker.core.base.liveness import Liveness


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as opened:
        yield opened


@pytest.fixture
def rows() -> RowMaker:
    return RowMaker(included_types())


@pytest.fixture
def commit(ledger: Ledger) -> Iterator[GroupCommit]:
    made = GroupCommit(ledger)
    thread = threading.Thread(target=made.run, args=(Liveness(60),))
    thread.start()
    yield made
    made.stop()
    thread.join()


@pytest.fixture
def arrivals(fakes: Fakes, rows: RowMaker, metrics: ManagerMetrics) -> Arrivals:
    return Arrivals(rows, Scheduler(RetryRules(times=0), rows.types, fakes.s3.clock.now_ms), metrics)


@pytest.fixture
def intake(fakes: Fakes, ledger: Ledger, commit: GroupCommit, arrivals: Arrivals) -> Intake:
    return Intake(fakes.dlq, fakes.state, fakes.s3.clock, ledger, commit, arrivals)


@pytest.fixture
def follower(fakes: Fakes, ledger: Ledger, arrivals: Arrivals) -> Follower:
    return Follower(ledger, fakes.state, fakes.s3.clock, arrivals, threading.Event())


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def verbs(fakes: Fakes, rows: RowMaker, stop: threading.Event) -> Verbs:
    clients = DlqClients(fakes.dlq, fakes.s3, fakes.state, rows.types)
    world = World(
        clients, fakes.state, rows, fakes.source, lambda url: MemoryQueue(fakes.faults, url.rsplit("/", 1)[-1])
    )
    return Verbs(world, fakes.settings(), lambda: fakes.clients, stop)


@pytest.fixture
def metrics() -> ManagerMetrics:
    return ManagerMetrics(Figures)


@pytest.fixture
def operations(ledger: Ledger, verbs: Verbs, metrics: ManagerMetrics, stop: threading.Event) -> Operations:
    return Operations(ledger, verbs, metrics, stop=stop)
