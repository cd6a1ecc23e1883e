"""One night of one deployment, run once for all tests of this folder: a worker at `debug`, marked secrets and bodies, every
call of AWS written down; then the runbook, typed line by line."""

import contextlib
import json
import os
import re
import secrets
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from testing.aws import drain, queue_depth, s3_event, s3_record
from testing.binaries import do_without, shell_tools
from testing.ports import free_ports
from testing.process import UnavailableError
from testing.site import Site, make_site
from testing.worker import WorkerProcess, base_env, run_cli, run_module
from tests.support.awscalls import CALLS, Recorder
from tests.support.hook import Hook
from tests.support.pages import Typed, typed
from tests.support.retry_records import put_record, record_of
from worker.core.sqs.dead_letter import DeadLetter

DATA = Path(__file__).resolve().parents[2] / "data"
BODY = "BODYMARK7f3a"
"""A marker in every body and every file."""
PASSWORD = "PASSWORDMARK91c2"
NOISE = "2026-01-01/x.1.json"
GROUP, UNREADABLE = "3d2572ea9916", "契約書 (秘).pdf"
MANAGER = "127.0.0.1:8024"
ELSEWHERE = ("systemctl", "make", "/opt/s3-index-worker/current/systemd/install")
"""Typed on a machine with systemd: tests/systemd."""


READ_ONLY = (
    "s3-index-worker doctor",
    "s3-index-worker index GET",
    "s3-index-worker status",
    "dlq stats",
    "dlq groups",
    "dlq inspect",
    "journalctl",
    "curl",
    "aws sqs get",
    "aws sts",
)


@dataclass
class Answer:
    """The result of one typed line."""

    line: Typed
    code: int
    out: str
    err: str


@dataclass
class Night:
    """The deployment, its output and its calls."""

    site: Site
    recorder: Recorder
    folder: Path
    env: dict[str, str]
    port: int
    manager_port: int
    hook: Hook
    secrets: list[str]
    worker: WorkerProcess
    logs: str = ""
    lines: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    after: dict[str, Any] = field(default_factory=dict)
    latest: str = ""
    """The id of the last dead letter that was made."""

    @property
    def names(self) -> dict[str, str]:
        """Queues and buckets as config/iam calls them."""
        site, (source, dlq) = (
            self.site,
            (url.rsplit("/", 1)[-1] for url in (self.site.queues.source, self.site.queues.dlq)),
        )
        return {
            f"sqs {source}": "QUEUE", f"sqs {dlq}": "DLQ", f"s3 {site.bucket}": "BUCKET", f"s3 {site.state_bucket}": "STATE-BUCKET"
        }  # fmt: skip

    def as_role(self, role: str) -> dict[str, str]:
        return {**self.env, **self.recorder.env(role)}

    def dlq(self, *args: str, role: str = "operator") -> Any:
        """The answer of `dlq … --json`."""
        done = run_module("recovery.cli", self.as_role(role), *args, "--json")
        return json.loads(done.stdout or "null")

    def command(self, role: str, *args: str) -> int:
        """`s3-index-worker ARGS`, as a role."""
        return run_cli(self.as_role(role), *args).returncode

    def depth(self) -> int:
        return sum(queue_depth(self.site.sqs, self.site.queues.dlq))

    def empty(self) -> None:
        """Empty the DLQ and `dead-letters/`."""
        drain(self.site.sqs, self.site.queues.dlq)
        for key in self.site.state_keys("dead-letters/"):
            self.site.s3.delete_object(Bucket=self.site.state_bucket, Key=key)

    # -- dead letters and records as an incident leaves them -----------------------------------------------------

    def dead_letter(self, key: str = "a.txt", *, kind: str = "RECOVERABLE", body: str = "", **more: Any) -> None:
        """A dead letter, of one group, as a worker would have handed it off."""
        failure = {
            "schema": 1, "kind": kind, "error_type": "OSError", "message": "why", "stack": "", "fingerprint": GROUP,
            "attempts": 1, "redrives": 0, "source_queue": self.site.queues.source, "source_message_id": secrets.token_hex(8),
            **more,
        }  # fmt: skip
        attributes = {"failure": {"DataType": "String", "StringValue": json.dumps(failure)}}
        body = body or s3_event(s3_record(self.site.bucket, key))
        sent = self.site.sqs.send_message(QueueUrl=self.site.queues.dlq, MessageBody=body, MessageAttributes=attributes)  # type: ignore[arg-type]
        self.latest = sent["MessageId"]

    def dead_letters(self) -> None:
        for _ in range(3):
            self.dead_letter()

    def bad_dead_letter(self) -> None:
        self.dead_letter(
            body=f"noise {BODY}", kind="USER_ERROR", error_type="MalformedEventError", fingerprint="0" * 12
        )

    def spill(self) -> None:
        """A message that the DLQ refused."""
        dead_letter = DeadLetter("m1", s3_event(s3_record(self.site.bucket, "a.txt")), {}, {})
        record = json.dumps(dead_letter.as_json()).encode()
        self.site.s3.put_object(Bucket=self.site.state_bucket, Key="dead-letters/2026-01-01/m1.json", Body=record)

    def unreadable(self) -> None:
        self.dead_letter(UNREADABLE, kind="USER_ERROR", error_type="UnreadableFileError", fingerprint="1" * 12)

    def waiting_record(self, *, parked: bool = False) -> None:
        self.site.s3.delete_object(Bucket=self.site.state_bucket, Key=f"retry-index/parked/{NOISE}")
        record = record_of(self.site, "a.txt", self.site.put("a.txt", BODY)).tried("mapper_parsing_exception")
        if parked:
            name = f"retry-index/parked/{record.name.removeprefix('retry-index/')}"
            self.site.s3.put_object(Bucket=self.site.state_bucket, Key=name, Body=record.as_json())
        else:
            put_record(self.site, record)

    def indexed_and_gone(self) -> None:
        """Documents of objects that were removed without an event."""
        keys = [f"old/{number}.txt" for number in range(5)]
        for key in keys:
            self.site.put(key, BODY)
        self.site.send_all(keys)
        self.site.wait_empty(60)
        for key in keys:
            self.site.s3.delete_object(Bucket=self.site.bucket, Key=key)


@pytest.fixture(scope="package")
def night(seaweedfs, elasticmq, opensearch, tmp_path_factory) -> Iterator[Night]:
    """The night up to here: the worker has seen every success and failure, and is serving."""
    folder = tmp_path_factory.mktemp("night")
    site = make_site(seaweedfs, elasticmq, opensearch)
    keys = seaweedfs.grant("Admin", "Read", "Write", "List", "Tagging")
    port, manager_port = free_ports(2)
    hook = Hook()
    env = {
        **site.env, "AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key, "INDEX_USER": "worker",
        "INDEX_PASSWORD": PASSWORD, "LOG_LEVEL": "debug", "METRICS_PORT": str(port), "PAUSE_POLL_S": "2",
        "SQS_VISIBILITY_TIMEOUT": "30",
    }  # fmt: skip
    recorder = Recorder(folder / "calls")
    run = {**env, **recorder.env("worker")}
    unavailable = WorkerProcess({**run, "INDEX_URL": "http://127.0.0.1:9"}, folder, name="unavailable")
    worker = WorkerProcess(run, folder)
    made = Night(site, recorder, folder, env, port, manager_port, hook, [PASSWORD, keys.secret_key], worker)
    try:
        _bad_hours(made, unavailable)
        worker.start()
        _good_hours(made, worker)
        made.logs = f"{unavailable.log_tail(100_000)}\n{worker.log_tail(100_000)}"
        made.lines = unavailable.lines() + worker.lines()
        yield made
    finally:
        unavailable.kill()
        worker.kill()
        hook.stop()
        site.close()


def _bad_hours(night: Night, unavailable: WorkerProcess) -> None:
    """The index is unavailable; messages fail in every way that may quote them."""
    site = night.site
    site.put("a.txt", f"text {BODY}")
    site.put("契約書.txt", f"契約書 {BODY}")
    site.s3.put_object(Bucket=site.state_bucket, Key=f"retry-index/{NOISE}", Body=b"noise")  # it is parked
    unavailable.start()
    site.send_all(["a.txt", "契約書.txt"])
    fields = {f"f{n}": {"DataType": "String", "StringValue": BODY} for n in range(10)}
    site.send_body(
        f"noise {BODY}", MessageAttributes=fields
    )  # no room for a failure record, so it goes to dead-letters/
    for body in (
        f'{{"broken": "{BODY}', f'"{BODY}"', json.dumps({"note": BODY}), json.dumps({"Records": [BODY]}),
        json.dumps({"Records": [{"eventName": {"x": BODY}}]}), json.dumps({"Type": "Notification", "Message": BODY}),
    ):  # fmt: skip
        site.send_body(body)
    site.wait_empty(60)
    assert unavailable.stop() == 0


def _good_hours(night: Night, worker: WorkerProcess) -> None:
    """The index is available again; files are broken, objects are removed."""
    site = night.site
    site.put(UNREADABLE, (DATA / "encrypted.pdf").read_bytes())
    site.put("broken.docx", f"PK\x03\x04{BODY}" * 20)
    site.put("b.json", json.dumps({"secret": BODY}), Metadata={"author": "someone"})
    site.send_all([UNREADABLE, "broken.docx", "b.json", "never-there.txt"])
    worker.wait_for(lambda: worker.events("replay.finished"), timeout_s=30, what="the replay")
    site.wait_empty(60)


# -- the runbook, typed ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="package")
def runbook(night: Night) -> Night:
    """Every line of docs/runbook.md and docs/logs.md that needs no systemd, typed in order, each section as after its incident."""
    try:
        shell_tools()
    except UnavailableError as reason:
        do_without("the pages", reason)
    bin_folder = _programs(night)
    _write_worker_env(night)
    night.empty()
    for line in typed("runbook.md") + typed("logs.md"):
        if line.program in ELSEWHERE or line.line.startswith("journalctl -k"):
            continue
        _stage(night, line)
        if not line.line.startswith(READ_ONLY) or all(one.line.line != line.line for one in night.answers):
            with _manager(night) if MANAGER in line.line else contextlib.nullcontext():
                night.answers.append(_type(night, bin_folder, line))  # a read-only command is typed once
        _see(night, line)
    return night


@contextlib.contextmanager
def _manager(night: Night) -> Iterator[None]:
    """A manager that runs while a line is typed; all the time, it would take in what the other lines are about."""
    serve = ("recovery.manager.cli", "serve")
    env = {**night.env, **_ledger(night), "MANAGER_PORT": str(night.manager_port)}
    one = WorkerProcess(env, night.folder, name="manager", module=serve, started="manager.started").start()
    try:
        yield
    finally:
        assert one.stop() == 0  # killed, it would leave messages in flight


def _ledger(night: Night) -> dict[str, str]:
    return {"LEDGER_URL": f"sqlite:///{night.folder}/ledger.sqlite"}


def _programs(night: Night) -> Path:
    """A folder for PATH: the project's commands as installed, `aws` by its substitute, `journalctl` as the worker's log."""
    folder = night.folder / "bin"
    folder.mkdir()
    log = night.folder / "journal"
    log.write_text(night.logs)
    python = sys.executable
    programs = {
        "s3-index-worker": f'exec {python} -m worker "$@"',
        "dlq": f'exec {python} -m recovery.cli "$@"',
        "recover_dlq": f'exec {python} -m recovery.cli.recover_dlq "$@"',
        "replay_retry_index": f'exec {python} -m recovery.cli.replay_retry_index "$@"',
        "reconcile_index": f'exec {python} -m recovery.cli.reconcile_index "$@"',
        "backfill_index": f'exec {python} -m recovery.cli.backfill_index "$@"',
        "reindex_index": f'exec {python} -m recovery.cli.reindex_index "$@"',
        "dlq-manager": f'exec {python} -m recovery.manager.cli "$@"',
        "aws": f'unset {CALLS}; PYTHONPATH={Path.cwd()} exec {python} -m tests.support.awscli "$@"',
        "journalctl": _journalctl(log),
    }
    for name, text in programs.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


def _journalctl(log: Path) -> str:
    as_json = "import json, sys; [print(json.dumps({'MESSAGE': line.rstrip()})) for line in open(sys.argv[1])]"
    return f"""case "$*" in *'-o json'*) exec {sys.executable} -c "{as_json}" {log} ;; *) exec cat {log} ;; esac"""


def _write_worker_env(night: Night) -> None:
    text = "".join(f"{name}={value}\n" for name, value in night.env.items())
    (night.folder / "worker.env").write_text(text)


def _type(night: Night, bin_folder: Path, line: Typed) -> Answer:
    """One line in a shell as the page says: with the settings in its environment."""
    text = line.line.replace("/etc/s3-index-worker/worker.env", str(night.folder / "worker.env"))
    text = text.replace("our-files", night.site.bucket)
    text = text.replace(MANAGER, f"127.0.0.1:{night.manager_port}")
    text = text.replace("our-worker-state", night.site.state_bucket)
    text = text.replace("--canary 10", "--canary 1 --canary-wait 1").replace(
        "DLQ-NAME", night.site.queues.dlq.rsplit("/", 1)[-1]
    )
    for word, value in _words(night, line).items():
        text = re.sub(rf"\b{word}\b", value, text)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
    role = "worker" if "doctor" in text else "operator"
    port = str(night.port) if line.program == "curl" else "0"  # what is asked is the worker's; a command needs none
    env = {**base_env(), **night.as_role(role), "PATH": path, "METRICS_PORT": port, "LOG_LEVEL": "info"}
    if line.program == "dlq-manager":
        env |= {**_ledger(night), "NOTIFY_URLS": night.hook.url}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", text], cwd=night.folder, env=env, capture_output=True, text=True, timeout=90,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Answer(line, done.returncode, done.stdout, done.stderr)


def _words(night: Night, line: Typed) -> dict[str, str]:
    """The present values of the words in capitals."""
    words = {"GROUP": GROUP, "PREFIX": "old/", "KEY": UNREADABLE if line.section == "Poison file" else "a.txt"}
    if line.program == "journalctl":
        words["MESSAGE-ID"] = night.worker.events("message.settled")[0]["message_id"]
    elif "restore" in line.line:
        words["MESSAGE-ID"] = night.site.state_keys("dlq-archive/")[0][-41:-5]  # …-ID.json
    else:
        words["MESSAGE-ID"] = night.latest
    return words


STAGED: dict[tuple[str, str], list[Callable[[Night], None]]] = {
    ("dlq-depth", "dlq groups"): [Night.dead_letters, Night.bad_dead_letter],
    ("dlq-depth", "dlq redrive-all"): [Night.dead_letters],
    ("braked", "dlq redrive-all"): [Night.dead_letters],
    ("braked", "dlq abandon"): [Night.dead_letters],
    ("spilled", "recover_dlq"): [Night.spill],
    ("parked", "replay_retry_index --parked"): [lambda night: night.waiting_record(parked=True)],
    ("stored-for-retry", "replay_retry_index"): [Night.waiting_record],
    ("error-rate", "dlq groups"): [Night.bad_dead_letter],
    ("Throttling", "recover_dlq"): [Night.dead_letters],
    ("Throttling", "replay_retry_index"): [Night.waiting_record],
    ("Poison file", "dlq groups"): [Night.unreadable],
    ("Purge", "dlq purge"): [Night.dead_letters],
    ("Deleted bucket", "s3-index-worker forget"): [Night.indexed_and_gone],
}
"""What an incident leaves, made before the first line of its section that begins so."""


def _stage(night: Night, line: Typed) -> None:
    for (section, start), makers in STAGED.items():
        mark = f"staged {section} {start}"
        if line.section == section and line.line.startswith(start) and mark not in night.after:
            night.after[mark] = True
            for make in makers:
                make(night)


def _see(night: Night, line: Typed) -> None:
    """What the tests check right after a line."""
    key = "s3-index-worker/pause.json"
    paused = bool(night.site.state_keys(key)) and night.site.state_record(key)["until_ms"] != 0
    night.after[f"{line.section}: {line.line}"] = {"depth": night.depth(), "paused": paused}
