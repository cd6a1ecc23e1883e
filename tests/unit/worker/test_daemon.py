"""The daemon's decisions that need no server: when it may begin, and what a second signal does."""

import os
import signal
from contextlib import closing

import pytest

from testing.fakes import Fakes
from testing.memory import DOWN
from worker.core.base.errors import ExitCode
from worker.daemon import Daemon


@pytest.fixture
def daemon(fakes: Fakes):
    made = Daemon(fakes.settings(), fakes.clients, dlq_max_bytes=1_048_576)
    with closing(made._components):
        yield made


def test_nothing_is_processed_before_it_is_known_whether_the_fleet_is_paused(daemon, fakes):
    fakes.faults.add("state.get", DOWN, times=1)
    daemon._check_pause()
    assert not daemon._components.gate.is_open
    daemon._check_pause()
    assert daemon._components.gate.is_open
    fakes.faults.add("state.get", DOWN)
    daemon._check_pause()
    assert daemon._components.gate.is_open, "an outage of S3 is the breaker's affair"


def test_the_first_signal_during_a_shutdown_of_its_own_does_not_cut_the_drain_short(daemon, monkeypatch):
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    daemon._end(ExitCode.INTERNAL)
    daemon._on_signal(signal.SIGTERM, None)
    assert exits == []
    daemon._on_signal(signal.SIGTERM, None)
    assert exits == [ExitCode.INTERNAL]
