"""Programs that tests need are installed in CI, and reported as missing elsewhere."""

import shutil
import subprocess

import pytest

from testing import binaries
from testing.process import UnavailableError


@pytest.fixture
def missing(monkeypatch, tmp_path):
    """A machine with apt-get alone; what was called, and whether services were forbidden to start meanwhile."""
    calls: list[tuple[str, bool]] = []
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(binaries, "POLICY", policy)
    monkeypatch.setattr(binaries, "APT_LOCK", tmp_path / "lock")
    monkeypatch.setattr(shutil, "which", lambda name, **_: name if name == "apt-get" else None)

    def run(command, **_):
        calls.append((command[2], "exit 101" in policy.read_text()))

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_outside_ci_nothing_is_installed_and_the_reason_says_what_to_type(missing, monkeypatch):
    monkeypatch.setenv("CI", "")
    with pytest.raises(UnavailableError, match="no amtool: apt-get install prometheus-alertmanager"):
        binaries.monitoring("amtool")
    assert missing == []


def test_in_ci_packages_are_installed_but_their_services_are_not_started(missing, monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(UnavailableError):  # apt-get does nothing here
        binaries.monitoring("promtool")
    assert missing == [("update", True), ("install", True)]
    assert not binaries.POLICY.exists()


def test_a_policy_of_the_machine_stays(missing, monkeypatch):
    monkeypatch.setenv("CI", "true")
    binaries.POLICY.write_text("#!/bin/sh\nexit 101 # ours\n")
    with pytest.raises(UnavailableError):
        binaries.monitoring("prometheus")
    assert binaries.POLICY.read_text().endswith("# ours\n")
