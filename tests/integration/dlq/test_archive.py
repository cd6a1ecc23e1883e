"""The `dlq` verbs that remove messages from the queue and restore them: delete, abandon, restore, export, purge, import."""

import json

from testing.aws import drain, s3_event, s3_record
from tests.integration.dlq.verbs import BINARY, ask, dead_letter, depth, dlq, failure


def test_deleted_and_abandoned_messages_can_be_restored_once(site):
    bodies = {}
    for n in range(6):
        body = s3_event(s3_record(site.bucket, f"契約/{n}.pdf"))
        bodies[dead_letter(site, body, {**failure("UnreadableFileError"), **BINARY})] = body
    name = next(iter(bodies))
    assert dlq(site, "delete", "--message-id", name).returncode == 64, "a reason is required"
    assert ask(site, "delete", "--message-id", name, "--reason", "重複")["sent"] == [name]
    run = ask(site, "abandon", "--error", "UnreadableFileError", "--reason", "3月の故障", "--yes")["run"]
    assert (depth(site), len(site.state_keys("dlq-archive/"))) == ((0, 0), 6)
    listed = ask(site, "list", "--archive")
    assert {row["message_id"] for row in listed} == bodies.keys()
    assert {row["reason"] for row in listed} == {"重複", "3月の故障"}
    assert "3月の故障" in dlq(site, "list", "--archive").stdout

    assert len(ask(site, "restore", "--run", run, "--dry-run")["would_send"]) == 5
    assert len(ask(site, "restore", "--run", run, "--yes")["sent"]) == 5
    assert len(ask(site, "restore", "--run", run, "--yes", code=3)["refused"]) == 5
    assert ask(site, "restore", "--message-id", name, "--to", "source")["sent"] == [name]
    restored = drain(site.sqs, site.queues.dlq)
    assert {message["Body"] for message in restored} == set(bodies.values()) - {bodies[name]}
    assert all(message["MessageAttributes"]["raw"]["BinaryValue"] == b"\x00\xff\x01" for message in restored)
    [back] = drain(site.sqs, site.queues.source)
    assert json.loads(back["MessageAttributes"]["failure"]["StringValue"])["redrives"] == 1
    assert dlq(site, "restore", "--message-id", "nobody").returncode == 1
    assert dlq(site, "restore").returncode == 64


def test_export_purge_and_import_lose_nothing(site, tmp_path):
    bodies = []
    for n in range(23):
        bodies.append(s3_event(s3_record(site.bucket, f"帳票/{n}.txt")))
        dead_letter(site, bodies[-1], {**failure(), **BINARY})
    some, everything = tmp_path / "some.jsonl", tmp_path / "all.jsonl"
    assert ask(site, "export", str(some), "--max-messages", "5")["messages"] == 5
    assert dlq(site, "export", str(some)).returncode == 64, "the file already exists"
    assert dlq(site, "export", str(tmp_path / "no" / "x.jsonl")).returncode == 64
    assert (depth(site), some.stat().st_mode & 0o777) == ((23, 0), 0o600)
    assert dlq(site, "purge", "--backup", str(everything)).returncode == 64
    assert dlq(site, "purge", "--backup", str(everything), "--confirm", "other").returncode == 64
    assert (depth(site), everything.exists()) == ((23, 0), False)
    name = site.queues.dlq.rsplit("/", 1)[-1]
    figures = ask(site, "purge", "--backup", str(everything), "--confirm", name)
    assert (figures["deleted"], figures["left_in_queue"]) == (23, 0)
    assert depth(site) == (0, 0)
    assert dlq(site, "purge", "--backup", str(tmp_path / "none.jsonl"), "--confirm", name).returncode == 1

    short = tmp_path / "short.jsonl"
    short.write_bytes(everything.read_bytes()[:-30])
    refused = dlq(site, "import", str(short), "--yes")
    assert (refused.returncode, "cut short" in refused.stderr, depth(site)) == (64, True, (0, 0))
    assert dlq(site, "import", str(tmp_path / "nothing.jsonl")).returncode == 64
    assert len(ask(site, "import", str(everything), "--dry-run")["would_send"]) == 23
    assert len(ask(site, "import", str(everything), "--yes")["sent"]) == 23
    back = drain(site.sqs, site.queues.dlq)
    assert sorted(message["Body"] for message in back) == sorted(bodies)
    assert all(message["MessageAttributes"]["raw"]["BinaryValue"] == b"\x00\xff\x01" for message in back)
    assert len(ask(site, "import", str(some), "--to", "source", "--yes")["sent"]) == 5
    assert site.depth()[0] == 5
