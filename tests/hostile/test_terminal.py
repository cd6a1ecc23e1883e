"""Attack 8, end to end: untrusted keys, texts, titles, bodies, failure records and reasons, and all commands that show them.

On a real terminal, and as JSON in a pipe. Nothing moves a cursor, no line can be taken for the program's own.
"""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import pytest

from testing.aws import s3_event, s3_record
from testing.ports import free_ports
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import base_env, run_module, running
from tests.hostile.test_injection import EVIL, active
from tests.support import terminal
from tests.support.retry_records import put_record, record_of
from tests.support.size import sized
from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START

ALL = {**EVIL, "advice": "a\n→ dlq purge --backup x\n  because forged", "SGR": "a\x1b[7;5;35mforged\x1b[9A"}
FORGED = re.compile(r"^(forged|<2>|→ dlq purge|\{\"event\")", re.MULTILINE)
"""A line that begins like this is forged."""
RICH_CODES = re.compile(r"\x1b\[(?:(?:[0-46]|3[0-9]|9[0-7])(?:;[0-9]+)*m|\?25[lh]|1A|2K)|\r")
"""What rich writes: colours without blinking, and the redrawn progress line. No untrusted text here consists of just that."""
COLUMNS = 4_000
"""So wide that nothing is folded: whatever begins a line was written as its beginning."""
WORD = "百鬼夜行"


@dataclass(frozen=True)
class Scene:
    """A site full of untrusted texts."""

    site: Site
    ids: list[str]
    log: str
    lines: list[dict[str, str]]
    metrics: str


@pytest.fixture(scope="module")
def scene(seaweedfs, elasticmq, opensearch, tmp_path_factory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("terminal")
    port = free_ports(1)[0]
    with closing(make_site(seaweedfs, elasticmq, opensearch)) as site:
        keys = []
        for evil in ALL.values():
            keys += [f"鍵/{evil}.txt", f"鍵/{evil}.html", f"鍵/{evil}.pdf"]
            site.put(keys[-3], f"{WORD} {evil} {WORD}")
            site.put(keys[-2], f"<html><title>{WORD} {evil}</title><p>{evil} {WORD}")
            site.put(keys[-1], b"%PDF-1.7 cut short")
        with running({**site.env, "METRICS_PORT": str(port), "EXTRACT_PROCESSES": "1"}, folder) as worker:
            site.send_all(keys)
            for evil in ALL.values():
                site.send_body(for_sqs(f"noise {evil}"))
            site.wait_empty(60)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                metrics = answer.read().decode()
            lines = worker.lines()
            assert worker.stop() == 0
        log = "".join(path.read_text() for path in folder.glob("*.log"))
        ids = [dead_letter(site, evil) for evil in ALL.values()]
        for number, evil in enumerate(ALL.values()):
            record = record_of(site, f"鍵/{evil}.txt", f"etag {number}", at_ms=1_795_000_000_000 + number)
            put_record(site, replace(record, reason=evil, rejected=True, attempts=4))
        wait_until(
            lambda: site.ask("POST", f"/{site.index}/_refresh") and len(site.documents()) == len(keys), 20, "all"
        )
        yield Scene(site, ids, log, lines, metrics)


def for_sqs(text: str) -> str:
    """Without the characters that SQS refuses in a body."""
    return "".join(c for c in text if c in "\t\n\r" or c >= " ")


def dead_letter(site: Site, evil: str) -> str:
    """A dead letter made by another program: every field of its failure record is untrusted."""
    names = (
        "kind", "error_type", "message", "stack", "fingerprint", "first_failed_at", "last_failed_at", "source_queue",
        "source_message_id", "worker", "correlation_id",
    )  # fmt: skip
    failure = {"schema": 1, "attempts": 1, "redrives": 0, **dict.fromkeys(names, evil)}
    sent = site.sqs.send_message(
        QueueUrl=site.queues.dlq,
        MessageBody=s3_event(s3_record(site.bucket, f"鍵/{evil}.txt")),
        MessageAttributes={
            "failure": {"DataType": "String", "StringValue": json.dumps(failure)},
            "note": {"DataType": "String", "StringValue": for_sqs(evil)},
        },
    )
    return sent["MessageId"]


def read_only(scene: Scene) -> list[tuple[str, ...]]:
    """Every command that shows untrusted text and changes nothing."""
    every = [word for name in scene.ids for word in ("--message-id", name)]
    return [
        ("worker", "search", WORD), ("worker", "search", "forged"), ("recovery.cli", "stats"),
        ("recovery.cli", "groups"), ("recovery.cli", "groups", "--by", "source"),
        ("recovery.cli", "list"), ("recovery.cli", "list", "--match", ALL["advice"]), ("recovery.cli", "inspect", *every),
        ("recovery.cli", "inspect", "--message-id", ALL["CSI"]),
        ("recovery.cli", "redrive", "--dry-run", "--force", *every), ("recovery.cli.replay_retry_index", "--dry-run"),
        ("recovery.cli.reconcile_index", "--since", "7d"),
        ("recovery.cli.backfill_index", f"s3://{scene.site.bucket}", "--dry-run"),
    ]  # fmt: skip


def changing(scene: Scene) -> list[tuple[str, ...]]:
    """Every command that moves untrusted messages and reports it."""
    some = [word for name in scene.ids[-3:] for word in ("--message-id", name)]
    return [
        ("recovery.cli", "abandon", "--reason", ALL["CSI"], "--yes", "--match", "noise"),
        ("recovery.cli", "delete", "--reason", ALL["advice"], "--yes", *some), ("recovery.cli", "list", "--archive"),
        ("recovery.cli.reconcile_index",), ("recovery.cli.replay_retry_index",), ("recovery.cli.recover_dlq",),
    ]  # fmt: skip


def test_a_worker_s_log_and_metrics_contain_no_forged_line(scene):
    assert [line for line in scene.lines if line["event"] == "(text)"] == []
    assert {line["message_id"] for line in scene.lines if line["event"] == "message.settled"} >= {
        line["message_id"] for line in scene.lines if "message_id" in line
    }
    assert active(scene.log) == []
    assert [
        line for line in scene.metrics.split("\n") if line and not re.match(r"# |[a-z0-9_]+(\{[^}]*\})? \S+$", line)
    ] == []
    assert not re.search("鍵|forged|script", scene.metrics)


@pytest.mark.timeout(300)
def test_json_in_a_pipe_is_one_value_a_line_with_nothing_active_in_it(scene):
    for module, *args in read_only(scene):
        done = run_module(module, scene.site.env, *args, "--json")
        assert_harmless(done.stderr, done.returncode, args)
        assert set(active(done.stdout)) <= {HIGHLIGHT_START, HIGHLIGHT_END}, args
        assert [json.loads(line) for line in done.stdout.splitlines()] or done.returncode, args


@pytest.mark.timeout(300)
def test_no_command_moves_a_terminal_s_cursor_or_prints_a_forged_line(scene):
    env = {**base_env(), **scene.site.env, "METRICS_PORT": "0"}
    shown_whole = [
        command for command in read_only(scene) if sized(1, usual=0) or command[1] in {"search", "groups", "inspect"}
    ]
    for module, *args in [*shown_whole, *changing(scene)]:
        code, shown = terminal.typed(module, env, *args, columns=COLUMNS)
        assert_harmless(RICH_CODES.sub("", shown), code, args)
    archived = [scene.site.state_record(key) for key in scene.site.state_keys("dlq-archive/")]
    assert {record["reason"] for record in archived} >= {ALL["CSI"], ALL["advice"]}, "kept as it was typed"


def assert_harmless(shown: str, code: int, args: list[str]) -> None:
    assert active(shown) == [], args
    assert FORGED.search(shown) is None, (args, shown)
    assert "Traceback" not in shown, (args, shown)
    assert code in {0, 1, 3}, (args, shown)
