"""docs/logs.md against a real journal, and what docs/runbook.md types at systemd, with worker and manager installed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.binaries import do_without, shell_tools
from testing.ports import free_ports
from testing.process import UnavailableError
from testing.servers import OpenSearchServer
from testing.site import Site, make_site
from testing.waiting import wait_until
from tests.support.installation import PREFIX, UNIT, Installation
from tests.support.pages import Typed, typed

DATA = Path(__file__).resolve().parents[1] / "data"
QUICK = "[Service]\nRestartSec=1\n"
EARLIER = "phased-worker.service"
UNREADABLE = "契約書 (秘).pdf"
LOGS, RUNBOOK = typed("logs.md"), typed("runbook.md")
INSTALLING = {"make install", f"{PREFIX}/current/systemd/install rollback"}
"""Typed by test_upgrade.py."""
pytestmark = pytest.mark.timeout(600)  # the first test has the installation in its set-up


class Night:
    """A worker under systemd that has been through an outage of the index, a pause, bad files and a kill."""

    def __init__(self, installation: Installation, site: Site) -> None:
        self.installation = installation
        self.machine = installation.machine
        self.site = site

    def type(self, line: str) -> tuple[int, str]:
        """Run one line in a shell on the machine: its exit code and output."""
        text = line.replace("MESSAGE-ID", self.settled("a.txt")["message_id"]).replace('"KEY"', '"a.txt"')
        done = self.machine.run("bash", "-o", "pipefail", "-c", text, check=False, timeout_s=90)
        return done.returncode, done.stdout + done.stderr

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.machine.journal("-u", UNIT, "-o", "cat").splitlines()
        return [one for one in (json.loads(line) for line in lines if line.startswith("{")) if one.get("event") == name]

    def wait_event(self, name: str, /, **fields) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            return [one for one in self.events(name) if all(one.get(key) == value for key, value in fields.items())]

        return wait_until(found, 150, f"{name} {fields}")[-1]

    def settled(self, key: str) -> dict[str, Any]:
        return self.wait_event("message.settled", key=key)


@pytest.fixture(scope="module")
def night(installation, seaweedfs, elasticmq, opensearch) -> Iterator[Night]:
    try:
        shell_tools()
        installation.ensure()
    except UnavailableError as reason:
        do_without("systemd", reason)
    site = make_site(seaweedfs, elasticmq, opensearch)
    metrics, manager = free_ports(2)
    installation.reset()
    quick = {"long_poll_s": 1, "pause_poll_s": 1, "index_probe_s": 1}
    installation.configure(site.env, **quick, metrics_port=metrics, manager_port=manager)
    made = Night(installation, site)
    try:
        installation.ensure_manager()  # the runbook restarts it
        installation.drop_in(UNIT, QUICK)
        installation.start()
        _good_and_bad_files(made)
        _outage(made, opensearch)
        _pause(made)
        _death(made)
        yield made
    finally:
        installation.reset()
        site.close()


def _good_and_bad_files(night: Night) -> None:
    site = night.site
    site.put("a.txt", "text")
    site.put("gone.txt", "text")
    site.put(UNREADABLE, (DATA / "encrypted.pdf").read_bytes())
    site.send_all(["a.txt", "gone.txt", UNREADABLE])
    site.send_body("noise")
    night.settled("gone.txt")
    site.s3.delete_object(Bucket=site.bucket, Key="gone.txt")
    site.send("gone.txt", "ObjectRemoved:Delete")
    night.wait_event("message.settled", note="removed")
    night.wait_event("dlq.handed_off", error_type="MalformedEventError")
    night.wait_event("dlq.handed_off", error_type="UnreadableFileError")


def _outage(night: Night, opensearch: OpenSearchServer) -> None:
    opensearch.kill()
    for number in range(3):
        night.site.put(f"outage/{number}.txt", "text")
    night.site.send_all([f"outage/{number}.txt" for number in range(3)])
    night.wait_event("index.stored_for_retry", rejected=False)
    night.wait_event("breaker.opened", breaker="index")
    opensearch.start()
    night.wait_event("breaker.closed", breaker="index")
    night.wait_event("replay.finished")


def _pause(night: Night) -> None:
    night.machine.run("s3-index-worker", "pause", "--reason", "the index is upgraded")
    night.wait_event("gate.shut", name="paused")
    night.machine.run("s3-index-worker", "resume")
    night.wait_event("gate.cleared", name="paused")


def _death(night: Night) -> None:
    night.machine.run("kill", "-9", str(night.installation.main_pid()))
    night.installation.wait_restarted()


# -- docs/logs.md ------------------------------------------------------------------------------------------------------

FOUND = {
    "MESSAGE-ID": '"key":"a.txt"',
    '.key == "KEY"': '"note":"indexed"',
    "dlq.handed_off": " USER_ERROR MalformedEventError",  # others on this machine may have sent noise as well
    ".duration_ms": f"{UNREADABLE}\tUSER_ERROR",
    '"removed"': "gone.txt",
    "-p warning": "dlq.handed_off",
    "breaker|gate": "gate.shut\tpaused\tpaused by",
    '"index.stored_for_retry"': "cannot be reached",
    '"replay.finished"': '"complete":true',
    '{event: "systemd"': "code=killed, status=9/KILL",
    ":16]": "done",
    "python3 -c": "message.settled",
}
"""Part of a line → what its answer must contain."""


@pytest.mark.parametrize("line", LOGS, ids=lambda line: line.line[-60:])
def test_a_query_of_the_journal_finds_what_its_page_says(night: Night, line: Typed):
    wanted = [answer for part, answer in FOUND.items() if part in line.line]
    code, said = night.type(line.line)
    assert code == 0, said
    assert wanted
    assert wanted[0] in said


def test_the_page_has_ten_questions_each_for_the_journal_and_for_logs_insights():
    page = (Path(__file__).resolve().parents[2] / "docs/logs.md").read_text()
    numbers = [int(number) for number in re.findall(r"^\*\*(\d+)\. ", page, re.MULTILINE)]
    assert numbers == [*range(1, 11)] * 2


def test_priorities_are_the_levels_and_are_no_part_of_the_line(night: Night):
    lines = [json.loads(line) for line in night.machine.journal("-u", UNIT, "-o", "json").splitlines()]
    logged = [(one["PRIORITY"], json.loads(one["MESSAGE"])["level"]) for one in lines if one["MESSAGE"].startswith("{")]
    assert {"info", "warning", "error"} <= {level for _, level in logged}
    assert set(logged) <= {("7", "debug"), ("6", "info"), ("4", "warning"), ("3", "error"), ("2", "critical")}


# -- docs/runbook.md ---------------------------------------------------------------------------------------------------

AT_SYSTEMD = [one for one in RUNBOOK if one.program in {"systemctl", "journalctl"}]
CHANGING = ("systemctl start", "systemctl stop", "systemctl enable", "systemctl disable")
"""Lines that are typed each time; the others change nothing lasting and are typed once."""
ALSO = {"journalctl -k": {1}}
"""Exit codes other than 0: the kernel of this machine has logged nothing."""


def test_what_the_runbook_types_at_systemd_works(night: Night):
    """One after another, as its sections have them: units are stopped, started and enabled on the way."""
    night.machine.write(
        f"/etc/systemd/system/{EARLIER}", "[Service]\nExecStart=sleep 600\n[Install]\nWantedBy=multi-user.target\n"
    )
    night.machine.run("systemctl", "enable", "--now", EARLIER)
    wrong, typed_once = [], set()
    for one in AT_SYSTEMD:
        if one.line in typed_once and not one.line.startswith(CHANGING):
            continue
        typed_once.add(one.line)
        code, said = night.type(one.line)
        if code and code not in next((codes for start, codes in ALSO.items() if one.line.startswith(start)), ()):
            wrong.append(f"{one.section}: {one.line} → {code}\n{said[-500:]}")
    assert wrong == []
    assert night.machine.show(UNIT, "ActiveState") == "inactive"
    assert night.machine.show(EARLIER, "UnitFileState") == "enabled"


def test_the_timer_that_the_set_up_enables_logs_the_figures_of_the_queue(night: Night):
    [enable] = [one.line for one in typed("setup.md") if one.program == "systemctl"]
    assert night.type(enable)[0] == 0
    assert night.machine.show("dlq-stats.timer", "ActiveState") == "active"
    night.machine.run("systemctl", "start", "dlq-stats.service")
    logged = night.machine.journal("-u", "dlq-stats", "-o", "cat")
    assert '"soonest_expiry_at"' in logged


def test_what_else_the_runbook_types_is_typed_elsewhere():
    """By tests/integration/operations; what installs, by test_upgrade.py."""
    others = {one.line for one in RUNBOOK} - {one.line for one in AT_SYSTEMD}
    assert others >= INSTALLING
    assert not [line for line in others - INSTALLING if line.startswith(("make", "systemctl", "journalctl", PREFIX))]
