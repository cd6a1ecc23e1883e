"""Attack 8 on a terminal of 80 columns without colours: nothing that a command writes is stripped before it is checked.

So a bare carriage return shows, and a cell that is folded. Records and files are another's: names, texts and types.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from recovery.cli.view.tables import table
from recovery.operations.records.archive import read
from testing.aws import s3_event, s3_record
from testing.site import Site, make_site
from testing.worker import base_env
from tests.hostile.test_injection import EVIL, active, printed
from tests.support import terminal
from tests.support.retry_records import put_record, record_of
from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START
from worker.core.sqs import dead_letter_store

WORD = "百鬼夜行"
ADVICE = "→ dlq purge --backup x"
FORGED = ("forged", "<2>", "→ dlq purge", '{"event"')
FIRST = "→ dlq purge before anything else"
FAILURE = (
    "kind", "error_type", "message", "stack", "fingerprint", "first_failed_at", "last_failed_at", "source_queue",
    "source_message_id", "worker", "correlation_id",
)  # fmt: skip
ARCHIVED = ("reason", "error_type", "archived_at", "by", "run", "queue")
DEAD_LETTER = {"message_id": "m", "body": "{}", "system_attributes": {}, "message_attributes": {}, "failure": {}}
UNSOUND: dict[str, dict[str, Any]] = {
    "id": {"message_id": 5}, "body": {"body": 5}, "system": {"system_attributes": []},
    "system value": {"system_attributes": {"SentTimestamp": 5}}, "moment": {"system_attributes": {"SentTimestamp": "x"}},
    "far moment": {"system_attributes": {"SentTimestamp": "9" * 30}},
    "receives": {"system_attributes": {"ApproximateReceiveCount": "x"}}, "attribute": {"message_attributes": {"n": "x"}},
    "attribute type": {"message_attributes": {"n": {"DataType": 5}}},
}  # fmt: skip
UNSOUND_RECORDS = pytest.mark.parametrize("wrong", UNSOUND.values(), ids=UNSOUND.keys())


@pytest.fixture(scope="module")
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    """A DLQ, an archive and a retry-index/ full of untrusted texts; no worker has to run for that."""
    with closing(make_site(seaweedfs, elasticmq, opensearch)) as made:
        for number, evil in enumerate([*EVIL.values(), f"a\n{ADVICE}\n  because forged", FIRST]):
            key = f"鍵/{evil}.txt"
            etag = made.put(key, "text", Metadata={"note": "<script>[red]x[/red] {} %s"})
            record = record_of(made, key, etag, content=f"{WORD} {evil} {WORD}", at_ms=1_795_000_000_000 + number)
            put_record(made, record)
            failure = {"schema": 1, "attempts": 1, "redrives": 0, **dict.fromkeys(FAILURE, evil)}
            made.sqs.send_message(
                QueueUrl=made.queues.dlq,
                MessageBody=s3_event(s3_record(made.bucket, key)),
                MessageAttributes={"failure": {"DataType": "String", "StringValue": json.dumps(failure)}},
            )
            restored = dict.fromkeys(("by", "at", "to"), evil)
            archive(made, number, evil, **dict.fromkeys(ARCHIVED, evil), restored={"done": True, **restored})
        for number, wrong in enumerate([*UNSOUND.values(), {"restored": "x"}, {"restored": [1]}]):
            archive(made, 100 + number, f"m-{number}", **{**dict.fromkeys(ARCHIVED, "unsound"), **wrong})
        yield made


def archive(site: Site, number: int, name: str, **fields: Any) -> None:
    record = {**DEAD_LETTER, "message_id": name, **fields}
    site.s3.put_object(
        Bucket=site.state_bucket, Key=f"dlq-archive/2026-01-01/{number:03}.json", Body=json.dumps(record)
    )


def typed(site: Site, line: tuple[str, ...], *, code: int = 0) -> str:
    """What an 80-column terminal without colours got, every character of it checked."""
    module, *args = line
    env = {**base_env(), **site.env, "METRICS_PORT": "0", "TERM": "dumb", "NO_COLOR": "1"}
    ended, shown = terminal.typed(module, env, *args, columns=80)
    assert set(active(shown)) <= ({HIGHLIGHT_START, HIGHLIGHT_END} if "--json" in args else set()), (line, shown)
    assert [found for found in shown.split("\n") if found.startswith(FORGED)] == [], (line, shown)
    assert "Traceback" not in shown, (line, shown)
    assert ended == code, (line, shown)
    return shown


@pytest.mark.timeout(300)
def test_a_plain_terminal_gets_no_control_character_or_forged_line(site, tmp_path):
    file, bad = (str(tmp_path / f"{name}\x1b[2J\x9b\n{ADVICE}.jsonl") for name in ("all", "bad"))
    with open(bad, "w") as broken:  # noqa: PTH123 (a name that is a text)
        broken.write("no export\n")
    dlq = "recovery.cli"
    typed(site, ("recovery.cli.replay_retry_index",))
    site.ask("POST", f"/{site.index}/_refresh")
    assert len(site.documents()) == len(EVIL) + 2
    assert WORD in typed(site, ("worker", "search", WORD))
    ids = [one["message_id"] for one in as_json(typed(site, (dlq, "list", "--json")))]
    assert len(ids) == len(EVIL) + 2
    for line in (("stats",), ("groups",), ("groups", "--by", "error"), ("list",), ("inspect", "--message-id", *ids)):
        typed(site, (dlq, *line))
    listed = as_json(typed(site, (dlq, "list", "--archive", "--json")))
    assert {one["reason"] for one in listed} >= set(EVIL.values()), "what is shown harmless is kept as it was"
    assert "unsound" not in typed(site, (dlq, "list", "--archive"))
    typed(site, (dlq, "restore", "--run", EVIL["CSI"]), code=3)
    typed(site, (dlq, "restore", "--run", "unsound"), code=1)
    typed(site, (dlq, "export", file))
    typed(site, (dlq, "export", file), code=64)
    typed(site, (dlq, "import", file, "--dry-run"))
    typed(site, (dlq, "import", bad, "--dry-run"), code=64)
    as_json(typed(site, ("worker", "search", WORD, "--json")))
    typed(site, ("recovery.cli.recover_dlq",))


def as_json(shown: str) -> "list[dict[str, str]]":
    """The one line of JSON among the talk."""
    [line] = [line for line in shown.split("\n") if line.startswith(("[", "{"))]
    found: list[dict[str, str]] = json.loads(line)
    return found


@UNSOUND_RECORDS
def test_a_record_that_is_no_dead_letter_is_refused_where_it_is_read(wrong):
    raw = json.dumps({**DEAD_LETTER, **dict.fromkeys(ARCHIVED, "x"), **wrong}).encode()
    state = SimpleNamespace(get=lambda _: raw, get_with_etag=lambda _: (raw, "etag"))
    for observe in (read, dead_letter_store.read):
        with pytest.raises(ValueError, match="is not a record of"):
            observe(state, "k")


def test_a_sound_record_is_read():
    raw = json.dumps({**DEAD_LETTER, **dict.fromkeys(ARCHIVED, "x")}).encode()
    state = SimpleNamespace(get=lambda _: raw, get_with_etag=lambda _: (raw, "etag"))
    for observe in (read, dead_letter_store.read):
        assert observe(state, "k") is not None


def test_no_cell_begins_a_line():
    shown = printed(table(("error", "count"), [(f"{FIRST} {'x' * 400} forged", 1)]))
    assert all(line.startswith(" ") for line in shown.rstrip("\n").split("\n"))
