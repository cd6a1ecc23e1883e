"""The unit files: their time limits, their sandbox, and that every line is explained. tests/systemd/ tests their behaviour."""

import os
import re
import shutil
import subprocess
from collections import defaultdict
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from recovery.manager.service import STOP_S
from tests.support.wheels import build_tools
from worker.core.base.errors import ConfigError, ExitCode
from worker.core.base.settings import Settings, load
from worker.daemon import stop_timeout_s

SYSTEMD = Path(__file__).resolve().parents[3] / "systemd"
WORKERS = ("s3-index-worker.service", "s3-index-worker@.service")
ONESHOTS = ("recover-dlq.service", "replay-retry-index.service", "dlq-stats.service", "reconcile-index.service")
MANAGER = "dlq-manager.service"
SERVICES = (*WORKERS, MANAGER, *ONESHOTS)
TIMERS = ("recover-dlq.timer", "replay-retry-index.timer", "dlq-stats.timer", "reconcile-index.timer")
LANDLOCK = "SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self\n"
MOST_EXPOSED = 1.5
ROUNDED_UP_S = 5
NEEDED = {
    "sqs_queue_url": "https://sqs/q", "dlq_queue_url": "https://sqs/dlq", "state_bucket": "files", "index_url": "https://i",
}  # fmt: skip


def directives(name: str) -> dict[str, list[str]]:
    """Every directive of a unit with its values, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (SYSTEMD / name).read_text().splitlines():
        if match := re.match(r"(\w+)=(.*)", line):
            found[match[1]].append(match[2])
    return found


def sandbox(name: str) -> list[str]:
    """The directives after those for start and stop: its user, its limits and its sandbox, but Landlock, which is for parsers."""
    text = (SYSTEMD / name).read_text().replace(LANDLOCK, "")
    return text[text.index("User=") :].partition("\n[Install]")[0].split()


def settings(**values: object) -> Settings:
    return load(**{**NEEDED, **values})


@pytest.mark.parametrize("name", WORKERS)
def test_the_unit_lets_the_drain_have_the_time_that_the_settings_give_it(name: str) -> None:
    [limit] = directives(name)["TimeoutStopSec"]
    assert stop_timeout_s(settings()) <= int(limit) <= stop_timeout_s(settings()) + ROUNDED_UP_S


def test_the_unit_lets_the_manager_store_what_an_open_poll_returns() -> None:
    [limit] = directives(MANAGER)["TimeoutStopSec"]
    assert STOP_S < int(limit) <= STOP_S + ROUNDED_UP_S


def test_the_drain_outlasts_an_open_poll_and_what_it_takes_grows_with_its_setting() -> None:
    assert settings().shutdown_timeout_s > settings().long_poll_s
    assert stop_timeout_s(settings(shutdown_timeout_s=300)) == stop_timeout_s(settings()) + 275


@pytest.mark.parametrize("name", [*WORKERS, MANAGER])
def test_it_is_watched_and_restarted_for_ever_but_not_for_a_wrong_setting(name: str) -> None:
    found = directives(name)
    assert found["Type"] == ["notify"]
    assert found["WatchdogSec"] == ["60"]
    assert (found["Restart"], found["RestartSec"], found["StartLimitIntervalSec"]) == (["always"], ["10"], ["0"])
    assert found["RestartPreventExitStatus"] == [str(int(ExitCode.CONFIG))]


@pytest.mark.parametrize("name", ONESHOTS)
def test_a_run_that_leaves_something_or_is_asked_to_end_is_no_failure_of_its_unit(name: str) -> None:
    found = directives(name)
    assert found["Type"] == ["oneshot"]
    assert found["SuccessExitStatus"] == [f"{int(ExitCode.INCOMPLETE)} {int(ExitCode.TERMINATED)}"]
    assert found["TimeoutStartSec"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_unit_dumps_core_floods_the_journal_or_dies_with_a_child(name: str) -> None:
    found = directives(name)
    assert found["LimitCORE"] == ["0"]
    assert (found["LogRateLimitIntervalSec"], found["LogRateLimitBurst"]) == (["30s"], ["1000000"])
    assert (found["KillMode"], found["OOMPolicy"]) == (["mixed"], ["continue"])


@pytest.mark.parametrize("name", SERVICES)
def test_settings_and_password_are_read_where_they_are_and_missed_nowhere(name: str) -> None:
    assert directives(name)["EnvironmentFile"] == ["-/etc/s3-index-worker/worker.env"]
    others = ["ledger_url", "oidc_client_secret", "notify_urls", "owners"] if name == MANAGER else []
    assert directives(name)["LoadCredential"] == ["index_password", *others]


def test_an_instance_differs_from_the_single_worker_by_its_number_alone() -> None:
    single, instance = ((SYSTEMD / name).read_text().splitlines() for name in WORKERS)
    assert [line for line in instance if line not in single] == [
        "Description=Make S3 objects searchable (s3-index-worker, process %i of this host)",
        "Environment=WORKER_INSTANCE=%i",
    ]
    assert set(single) - set(instance) == {"Description=Make S3 objects searchable (s3-index-worker)"}


def test_every_service_has_the_same_user_limits_and_sandbox() -> None:
    assert [sandbox(name) for name in SERVICES] == [sandbox(WORKERS[0])] * len(SERVICES)


def test_every_service_starts_parsers_and_may_use_landlock_for_them() -> None:
    assert [name for name in SERVICES if LANDLOCK not in (SYSTEMD / name).read_text()] == []


@pytest.mark.parametrize("name", SERVICES)
def test_the_sandbox_leaves_little_to_reach(name: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine")
    unit = shutil.copy(SYSTEMD / name, tmp_path)
    analysed = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED * 10:.0f}", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    figure = re.search(r"exposure level for \S+: (\d+\.\d)", analysed.stdout)
    assert figure is not None, analysed.stderr
    assert float(figure[1]) <= MOST_EXPOSED


@pytest.mark.parametrize("name", [*SERVICES, *TIMERS])
def test_the_readme_says_what_each_directive_is_for(name: str) -> None:
    explained = set(re.findall(r"`(\w+)=", (SYSTEMD / "README.md").read_text()))
    assert set(directives(name)) - explained == set()


def test_the_readme_explains_no_directive_that_is_not_there() -> None:
    explained = set(re.findall(r"^\| (`.*?) \|", (SYSTEMD / "README.md").read_text(), re.MULTILINE))
    named = {name for cell in explained for name in re.findall(r"`(\w+)=", cell)}
    assert named - {name for unit in (*SERVICES, *TIMERS) for name in directives(unit)} == set()


@pytest.mark.parametrize("script", ["install", "run-as-unit"])
def test_the_scripts_are_what_a_plain_shell_can_run(script: str) -> None:
    assert (SYSTEMD / script).read_text().startswith("#!/bin/sh\n")
    assert os.access(SYSTEMD / script, os.X_OK)
    assert subprocess.run(["sh", "-n", SYSTEMD / script], check=False).returncode == 0


def test_what_builds_a_wheel_is_in_the_lock_with_all_that_it_needs() -> None:
    needs = map(Requirement, requires("hatchling") or [])
    needed = {need.name for need in needs if need.marker is None or need.marker.evaluate()}
    assert set(build_tools()) == {"hatchling"} | needed
    lock = (SYSTEMD.parent / "requirements-dev.lock").read_text()
    assert [tool for tool in build_tools() if f"\n{tool}==" not in lock] == []


def test_instances_have_a_port_each_and_one_without_a_port_is_refused() -> None:
    assert settings(worker_instance=3).worker_instance == 3
    with pytest.raises(ConfigError, match="METRICS_PORT \\+ WORKER_INSTANCE is over 65,535"):
        settings(metrics_port=65_535, worker_instance=1)
    with pytest.raises(ConfigError, match="WORKER_INSTANCE='one'"):
        settings(worker_instance="one")
