"""What unit tests share: everything outside, in memory; and no waits between attempts."""

import pytest

from testing.fakes import Fakes
from worker.core.base import retry


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.0001)
    monkeypatch.setattr(retry, "LONGEST_WAIT_S", 0.0001)


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()
