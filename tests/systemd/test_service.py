"""The life of s3-index-worker.service under a real systemd, with every line of its sandbox in force."""

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from testing.site import Site
from testing.waiting import wait_until
from tests.support.installation import CREDENTIAL, UNIT, Installation

pytestmark = pytest.mark.timeout(600)  # the first test has the installation in its set-up

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
WORD = SAMPLES / "legal/NDA draft (v2+final).docx"
STARTED = "39f53479d3a045ac8e11786248231fbf"
"""systemd's own message that a unit is up, see `journalctl --catalog`."""
FAST = "[Service]\nRestartSec=1\n"
VISIBILITY_S = 30


def put_all(site: Site, count: int, folder: str = "docs") -> set[str]:
    """Put `count` small objects and send their events; returns the keys."""
    keys = {f"{folder}/{number:03}.txt" for number in range(count)}
    for key in keys:
        site.put(key, f"text of {key}")
    site.send_all(sorted(keys))
    return keys


def events(installed: Installation, name: str, unit: str = UNIT) -> list[dict[str, Any]]:
    """What the worker has logged under this event name."""
    lines = installed.machine.journal("-u", unit, "-o", "cat").splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [one for one in found if one.get("event") == name]


def test_it_is_ready_only_after_its_checks_and_serves_real_messages(installed: Installation, site: Site) -> None:
    installed.configure(site.env)
    keys = put_all(site, 20)
    site.put("word.docx", WORD.read_bytes())
    site.send("word.docx")
    installed.start()
    site.wait_empty()
    assert site.documents().keys() == keys | {"word.docx"}
    assert site.documents()["word.docx"]["extraction"]["status"] == "ok"
    installed.wait_status(r"^serving \| in flight 0 \| done 21, failed 0")
    shown = installed.machine.run("systemctl", "status", UNIT).stdout
    assert 'Status: "serving | in flight 0 | done 21' in shown
    run = installed.machine.show(UNIT, "InvocationID")
    said = installed.machine.journal(f"_SYSTEMD_INVOCATION_ID={run}", "+", f"INVOCATION_ID={run}", "-o", "json")
    lines = [json.loads(one) for one in said.splitlines()]
    checks = [number for number, line in enumerate(lines) if "preflight.check" in line["MESSAGE"]]
    ready = [number for number, line in enumerate(lines) if line.get("MESSAGE_ID") == STARTED]
    assert len(checks) >= 8
    assert checks[-1] < ready[0]


def test_it_is_not_ready_while_the_queue_is_unavailable_and_systemd_tries_again(
    installed: Installation, site: Site
) -> None:
    installed.configure(site.env, aws_endpoint_url_sqs="http://127.0.0.1:9")
    installed.drop_in(UNIT, FAST)
    installed.machine.run("systemctl", "start", "--no-block", UNIT)
    wait_until(lambda: installed.restarts() >= 1, 60, "a second try")
    assert installed.machine.show(UNIT, "ActiveEnterTimestampMonotonic") == "0"


def test_stop_drains_and_whatever_was_not_begun_is_visible_at_once(installed: Installation, site: Site) -> None:
    installed.configure(site.env)
    keys = put_all(site, 100)
    installed.start()
    wait_until(lambda: len(site.documents()) > 0, 30, "the first document")
    installed.machine.run("systemctl", "stop", UNIT)
    assert installed.machine.show(UNIT, "Result") == "success"
    assert site.depth()[1] == 0
    assert events(installed, "worker.stopped")[-1]["left"] == 0
    installed.start()
    wait_until(lambda: site.documents().keys() == keys, 60, "every document")


def test_a_drain_longer_than_the_units_limit_is_given_its_time(installed: Installation, site: Site) -> None:
    installed.configure(site.env, long_poll_s=3)
    installed.drop_in(UNIT, "[Service]\nTimeoutStopSec=1\n")
    installed.start()
    time.sleep(1)  # into the middle of a long poll
    began = time.monotonic()
    installed.machine.run("systemctl", "stop", UNIT)
    assert time.monotonic() - began > 1.5
    assert installed.machine.show(UNIT, "Result") == "success"


def test_neither_a_hang_nor_a_kill_loses_a_message(installed: Installation, site: Site, opensearch) -> None:
    """Two processes of one host at once: the first is frozen, the second killed, both with messages in flight."""
    one, two = "s3-index-worker@1.service", "s3-index-worker@2.service"
    installed.configure(site.env, sqs_visibility_timeout=VISIBILITY_S, max_in_flight=20)
    installed.drop_in(one, f"{FAST}WatchdogSec=2\n")
    installed.drop_in(two, FAST)
    for number, unit in enumerate((one, two), 1):
        installed.start(unit)
        port = int(site.env["METRICS_PORT"]) + number
        assert f"127.0.0.1:{port} " in listening(installed, installed.main_pid(unit))
    opensearch.pause()  # so that what they have received stays in flight
    keys = put_all(site, 80)
    wait_until(lambda: site.depth()[1] >= 40, 20, "messages in both hands")
    installed.machine.run("systemctl", "kill", "--kill-who=main", "-s", "STOP", one)
    installed.machine.run("systemctl", "kill", "--kill-who=main", "-s", "KILL", two)
    opensearch.resume()
    installed.wait_restarted(one)
    installed.wait_restarted(two)
    assert "Watchdog timeout" in installed.machine.journal("-u", one)
    assert "status=9/KILL" in installed.machine.journal("-u", two)
    wait_until(lambda: site.documents().keys() == keys, VISIBILITY_S + 60, "every document")
    site.wait_empty(VISIBILITY_S + 30)
    assert site.dead_letters() == []


def listening(installed: Installation, pid: int) -> str:
    """The addresses that a process listens on."""
    return "\n".join(
        line for line in installed.machine.run("ss", "-Htlnp").stdout.splitlines() if f"pid={pid}," in line
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"opensearch_index": "Bad Name"}, "OPENSEARCH_INDEX='Bad Name': is not an index name"),
        ({"index_auth": "basic", "index_user": "worker"}, "INDEX_USER is set, but INDEX_PASSWORD is missing"),
    ],
)
def test_a_wrong_setting_ends_in_78_with_its_reason_and_no_restart(
    installed: Installation, site: Site, settings: dict[str, str], reason: str
) -> None:
    installed.configure(site.env, **settings)
    installed.drop_in(UNIT, "[Service]\nRestartSec=100ms\n")
    assert installed.machine.run("systemctl", "start", UNIT, check=False).returncode != 0
    assert reason in installed.machine.journal("-u", UNIT, "-o", "cat")
    time.sleep(0.5)  # a restart would have come
    assert installed.machine.show(UNIT, "ExecMainStatus") == "78"
    assert installed.machine.show(UNIT, "ActiveState") == "failed"
    assert installed.restarts() == 0


def test_without_any_settings_it_says_which_are_missing_and_is_not_restarted(installed: Installation) -> None:
    installed.machine.run("rm", "-f", "/etc/s3-index-worker/worker.env")
    installed.machine.run("systemctl", "start", UNIT, check=False)
    assert "SQS_QUEUE_URL is missing" in installed.machine.journal("-u", UNIT, "-o", "cat")
    assert installed.machine.show(UNIT, "ExecMainStatus") == "78"


def test_the_password_comes_from_the_credential_store(installed: Installation, site: Site) -> None:
    installed.configure(site.env, index_auth="basic", index_user="worker")
    installed.machine.write(CREDENTIAL, "open sesame\n", 0o600)
    installed.start()
    environment = installed.machine.run("cat", f"/proc/{installed.main_pid()}/environ").stdout
    assert "CREDENTIALS_DIRECTORY=/run/credentials/s3-index-worker.service" in environment
    assert "sesame" not in environment + installed.machine.journal()


def large() -> bytes:
    """A small file whose text needs far more memory than a parser has left from an earlier file."""
    paragraphs = b"".join(b"<w:p><w:r><w:t>%x</w:t></w:r></w:p>" % (number // 10) * 10 for number in range(10_000))
    out = io.BytesIO()
    with zipfile.ZipFile(WORD) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"</w:body>", paragraphs + b"</w:body>"))
    return out.getvalue()


def test_a_parser_that_meets_its_memory_limit_ends_alone(installed: Installation, site: Site) -> None:
    installed.configure(site.env, extract_processes=1)
    installed.start()
    before = installed.main_pid()
    for name, body in (("first.docx", WORD.read_bytes()), ("second.docx", large()), ("third.docx", WORD.read_bytes())):
        site.put(name, body)
    site.send("first.docx")
    site.wait_empty()
    [child] = installed.machine.run("pgrep", "-P", str(before)).stdout.split()
    limit = installed.machine.run("prlimit", "--noheadings", "-o", "SOFT", "--as", "-p", child).stdout.strip()
    assert int(limit) == 2 * 1024**3
    installed.machine.run("prlimit", "--as=1048576", "-p", child)
    for name in ("second.docx", "third.docx"):
        site.send(name)
        site.wait_empty()
    read = {name: document["extraction"]["status"] for name, document in site.documents().items()}
    assert read["first.docx"] == read["third.docx"] == "ok"
    assert read["second.docx"] != "ok"
    assert [dead_letter["failure"]["kind"] for dead_letter in site.dead_letters()] == ["USER_ERROR"]
    assert (installed.main_pid(), installed.restarts()) == (before, 0)
    if installed.machine.run("stat", "-fc", "%T", "/sys/fs/cgroup").stdout.strip() == "cgroup2fs":
        assert installed.machine.show(UNIT, "OOMPolicy") == "continue"
