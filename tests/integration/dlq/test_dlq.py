"""`dlq` as an operator types it: a process of its own against the real servers, what it prints, its exit codes."""

import http.server
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.aws import create_queues, drain, queue_depth, s3_event, s3_record
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import base_env, run_cli, run_module, running

MODULE = "recovery.cli"
MAPS = {
    "type": "maps", "city": "京都", "correlation_id": "c-1", "lat": 35.0, "lng": 135.7, "radius": 500, "category": "food",
    "enqueued_at": 1_795_000_000,
}  # fmt: skip
BINARY = {"raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff\x01"}}


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


def dlq(site: Site, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    done = run_module(MODULE, {**site.env, **env}, *args, timeout_s=90)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def ask(site: Site, *args: str, code: int = 0, **env: str) -> Any:
    """The JSON that a verb prints."""
    done = dlq(site, *args, "--json", **env)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def depth(site: Site) -> tuple[int, int]:
    """How many messages of the DLQ are visible, and how many are hidden."""
    return queue_depth(site.sqs, site.queues.dlq)[:2]


def failure(error_type: str = "TimeoutError", **more: Any) -> dict[str, Any]:
    record = {
        "schema": 1, "kind": "RECOVERABLE", "error_type": error_type, "message": f"{error_type}: 例", "stack": "File …",
        "fingerprint": f"fp-{error_type}", "attempts": 1, "redrives": 0, "source_queue": "https://sqs/files", **more,
    }  # fmt: skip
    return {"failure": {"DataType": "String", "StringValue": json.dumps(record, ensure_ascii=False)}}


def dead_letter(site: Site, body: str, attributes: Any = None) -> str:
    """A message in the DLQ, as a worker hands it over."""
    sent = site.sqs.send_message(QueueUrl=site.queues.dlq, MessageBody=body, MessageAttributes=attributes or {})
    return sent["MessageId"]


def about(site: Site, key: str, **more: Any) -> str:
    return dead_letter(site, s3_event(s3_record(site.bucket, key)), failure(**more))


def dead_lettered_by_sqs(site: Site, body: str) -> str:
    """A message that the redrive policy has moved: no failure record, and the id that it had in its queue."""
    name = site.send_body(body)
    for _ in range(30):
        site.sqs.receive_message(QueueUrl=site.queues.source, VisibilityTimeout=0)
        if depth(site)[0]:
            return name
    raise AssertionError("the redrive policy has not moved it")


# -- looking -----------------------------------------------------------------------------------------------------


def test_looking_tells_everything_and_gives_everything_back(site):
    native = dead_lettered_by_sqs(site, s3_event(s3_record(site.bucket, "帳票/一.txt")))
    timeouts = [about(site, f"帳票/{n}.txt") for n in range(12)]
    bad = dead_letter(site, "noise", failure("MalformedEventError", kind="USER_ERROR"))
    maps = dead_letter(site, json.dumps(MAPS), failure("KeyError", kind="SYSTEM_ERROR"))

    figures = ask(site, "stats")
    assert (figures["visible"], figures["coverage"]["seen"]) == (15, 15)
    assert figures["by_kind"] == {"RECOVERABLE": 12, "UNKNOWN": 1, "USER_ERROR": 1, "SYSTEM_ERROR": 1}
    assert figures["by_type"] == {"s3-event": 13, "unknown": 1, "maps": 1}
    assert figures["by_error"]["no record (redrive policy)"] == 1
    assert figures["redrive_policy"]["leads_here"] is True
    assert figures["oldest_at"] < figures["soonest_expiry_at"]

    listed = dlq(site, "list")
    assert listed.returncode == 0, listed.stderr
    assert len(listed.stdout.splitlines()) == 16, "a heading, and one line each, at full width"
    assert all(name in listed.stdout for name in [native, bad, maps, *timeouts])
    assert f"{site.bucket}/帳票/一.txt" in listed.stdout
    assert "saw 15 of about 15" in listed.stderr

    assert {row["message_id"] for row in ask(site, "list", "--type", "maps")} == {maps}
    assert {row["message_id"] for row in ask(site, "list", "--kind", "user_error")} == {bad}
    assert {row["message_id"] for row in ask(site, "list", "--match", "帳票/一")} == {native}
    assert len(ask(site, "list", "--error", "TimeoutError", "--max-messages", "5")) == 5
    assert dlq(site, "list", "--older-than", "1h").returncode == 1

    groups = ask(site, "groups")
    assert (groups[0]["group"], groups[0]["count"], len(groups[0]["ids"])) == ("fp-TimeoutError", 12, 3)
    assert {row["group"]: row["count"] for row in ask(site, "groups", "--by", "type")}["s3-event"] == 13
    assert dlq(site, "stats").returncode == dlq(site, "groups").returncode == 0
    assert depth(site) == (15, 0), "looking never eats"
    assert site.state_keys("s3-index-worker/holders/") == []


def test_inspect_shows_what_is_there_now_and_what_to_type(site):
    key = "契約/a b.txt"
    site.put(key, "本文")
    name = about(site, key)
    [seen] = ask(site, "inspect", "--message-id", name)
    assert (seen["now"][0]["key"], seen["now"][0]["indexed"]) == (key, False)
    assert seen["advice"]["command"] == f"dlq recover --message-id {name}"
    shown = dlq(site, "inspect", "--message-id", name)
    assert shown.returncode == 0, shown.stderr
    for text in (key, "TimeoutError: 例", "File …", f"dlq recover --message-id {name}", '"Records": ['):
        assert text in shown.stdout
    assert ask(site, "recover", "--message-id", name)["recovered"] == 1
    assert depth(site) == (0, 0)
    assert site.documents().keys() == {key}

    again, gone = about(site, key), about(site, "gone.txt")
    bad, maps = dead_letter(site, "noise"), dead_letter(site, json.dumps(MAPS))
    told = {one["message_id"]: one for one in ask(site, "inspect", "--message-id", again, gone, bad, maps)}
    assert told[again]["now"][0]["indexed"] is True
    assert "holds the object as it is now" in told[again]["advice"]["why"]
    assert told[gone]["now"][0]["s3"] == "not there"
    assert told[bad]["advice"]["command"].startswith(f"dlq delete --message-id {bad} --reason")
    assert told[maps]["advice"]["command"] == f"dlq redrive --message-id {maps}"
    without = {one["message_id"]: one for one in ask(site, "inspect", "--message-id", again, INDEX_URL="")}
    assert "not asked: INDEX_URL is missing" in without[again]["now"][0]["index"]
    unavailable = ask(site, "inspect", "--message-id", again, INDEX_URL="http://127.0.0.1:9")[0]
    assert "cannot be asked" in unavailable["now"][0]["index"]
    assert dlq(site, "inspect", "--message-id", "nobody").returncode == 1
    assert dlq(site, "inspect", "--message-id", bad, "--message-id", "nobody").returncode == 3
    assert depth(site) == (4, 0)


def test_hostile_keys_and_texts_move_no_cursor(site):
    key = "\x1b[2J\x1b]0;owned\x07\r\n[red]x[/red]\u202e.txt"
    name = about(site, key, message="line\ntwo [bold]", stack="[red]\n  \u202eframe")
    for args in (
        ["list"],
        ["groups"],
        ["stats"],
        ["inspect", "--message-id", name],
        ["redrive", "--message-id", name, "--dry-run"],
    ):
        done = dlq(site, *args)
        assert done.returncode == 0, done.stderr
        assert not [c for c in done.stdout + done.stderr if c != "\n" and not c.isprintable()], args
    assert "[red]x[/red]" in dlq(site, "list").stdout


def test_what_others_hold_is_told(site):
    for n in range(12):
        about(site, f"{n}.txt")
    site.sqs.receive_message(QueueUrl=site.queues.dlq, MaxNumberOfMessages=5)
    done = dlq(site, "list")
    assert "of about 12; the rest is in flight elsewhere" in done.stderr
    assert depth(site)[1] > 0


# -- redrive -----------------------------------------------------------------------------------------------------


def test_a_redriven_message_is_indexed_by_the_worker_and_keeps_its_history(site, tmp_path):
    site.put("帳票/一.txt", "東京都の予算")
    name = about(site, "帳票/一.txt")
    broken = about(site, "nobody.txt")
    assert ask(site, "redrive", "--message-id", name, "--dry-run")["would_send"] == [name]
    assert (depth(site), site.depth()) == ((2, 0), (0, 0, 0))
    assert ask(site, "redrive", "--message-id", name, broken, "--yes")["sent"]
    with running(site.env, tmp_path):
        site.wait_empty()
        wait_until(lambda: "帳票/一.txt" in site.documents(), 20, "the document")
    [record] = [site.state_record(key) for key in site.state_keys("s3-index-worker/audit/")]
    assert (record["action"], sorted(record["ids"]), record["to"]) == (
        "redrive",
        sorted([name, broken]),
        site.queues.source,
    )


def test_attributes_go_along_and_the_redrive_is_counted(site):
    body = s3_event(s3_record(site.bucket, "a.txt"))
    name = dead_letter(site, body, {**failure(redrives=2), **BINARY})
    assert dlq(site, "redrive", "--message-id", name).returncode == 0
    [back] = drain(site.sqs, site.queues.source)
    attributes = back["MessageAttributes"]
    assert (back["Body"], attributes["raw"]["BinaryValue"]) == (body, b"\x00\xff\x01")
    assert json.loads(attributes["failure"]["StringValue"])["redrives"] == 3
    name = dead_letter(
        site, body, {"failure": {k: v for k, v in attributes["failure"].items() if k in {"DataType", "StringValue"}}}
    )
    refused = ask(site, "redrive", "--message-id", name, code=3)["refused"]
    assert "--force" in refused[name]
    assert dlq(site, "redrive", "--message-id", name, "--force").returncode == 0
    assert depth(site) == (0, 0)


def test_only_valid_messages_are_redriven(site):
    bad = dead_letter(site, json.dumps({name: value for name, value in MAPS.items() if name != "correlation_id"}))
    noise, good = dead_letter(site, "noise"), dead_letter(site, json.dumps(MAPS))
    done = dlq(site, "redrive-all", "--all", "--yes")
    assert done.returncode == 3, done.stderr
    assert "message missing correlation_id, cannot safely redrive" in done.stdout
    assert all(name in done.stdout for name in (bad, noise))
    [back] = drain(site.sqs, site.queues.source)
    assert json.loads(back["Body"]) == MAPS
    assert good not in dlq(site, "list").stdout
    assert depth(site) == (2, 0)


def test_redrive_all_takes_what_the_filters_mean(site):
    for n in range(25):
        about(site, f"{n}.txt", error_type="TimeoutError" if n < 20 else "KeyError")
    assert dlq(site, "redrive-all", "--yes").returncode == 64, "everything must be said"
    assert dlq(site, "redrive-all", "--error", "KeyError").returncode == 64, "there is no terminal to ask on"
    assert len(ask(site, "redrive-all", "--all", "--dry-run")["would_send"]) == 25
    assert depth(site) == (25, 0)
    assert len(ask(site, "redrive-all", "--group", "fp-KeyError", "--yes")["sent"]) == 5
    assert len(ask(site, "redrive-all", "--max-messages", "7", "--yes", "--rate", "20")["sent"]) == 7
    figures = ask(site, "redrive-all", "--all", "--yes", "--canary", "3", "--canary-wait", "1")
    assert (figures["canary"], len(figures["sent"])) == ({"sent": 3, "came_back": 0}, 13)
    assert (depth(site), site.depth()[0]) == ((0, 0), 25)
    assert dlq(site, "redrive-all", "--all", "--yes").returncode == 1


def test_a_canary_that_fails_again_stops_the_rest(site, tmp_path):
    """A worker to which every one of these messages is malformed hands them straight back."""
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "any.json").write_text('{"x-recognized-by": {}}')
    for n in range(12):
        dead_letter(site, f"noise {n}", failure())
    with running(site.env, tmp_path):
        figures = ask(
            site, "redrive-all", "--all", "--yes", "--canary", "4", "--canary-wait", "5", "--abort-if-refail", "50",
            code=3, MESSAGE_TYPES_DIR=str(tmp_path / "types"),
        )  # fmt: skip
    assert (figures["canary"], len(figures["kept"])) == ({"sent": 4, "came_back": 4}, 8)
    assert depth(site) == (12, 0)


def test_sqs_itself_moves_everything_where_nothing_needs_checking(site):
    for n in range(20):
        about(site, f"{n}.txt")
    assert dlq(site, "redrive-all", "--native", "--yes").returncode == 64
    assert dlq(site, "redrive-all", "--native", "--all", "--error", "x", "--yes").returncode == 64
    assert ask(site, "redrive-all", "--native", "--all", "--dry-run")["about"] == 20
    figures = ask(site, "redrive-all", "--native", "--all", "--yes")
    assert (figures["status"], figures["moved"]) == ("COMPLETED", 20)
    assert (depth(site), site.depth()[0]) == ((0, 0), 20)
    dead_letter(site, json.dumps(MAPS))
    assert dlq(site, "redrive-all", "--native", "--all", "--yes").returncode == 3
    assert depth(site) == (1, 0)


def test_recover_takes_these_and_no_others(site):
    site.put("a.txt", "text")
    site.put("c.txt", "text")
    wanted, other = about(site, "a.txt"), about(site, "b.txt")
    assert ask(site, "recover", "--message-id", wanted)["recovered"] == 1
    assert (depth(site), site.documents().keys()) == ((1, 0), {"a.txt"})
    later = about(site, "c.txt")
    assert ask(site, "recover", "--message-id", later, "--dry-run")["recovered"] == 1
    assert depth(site) == (2, 0)
    assert ask(site, "recover", "--message-id", later)["recovered"] == 1
    assert {row["message_id"] for row in ask(site, "list")} == {other}
    assert dlq(site, "recover", "--message-id", "nobody").returncode == 1
    assert dlq(site, "recover", "--message-id", other, INDEX_URL="").returncode == 78
    assert depth(site) == (1, 0)


# -- archive and files ---------------------------------------------------------------------------------------------


def test_what_is_deleted_or_abandoned_can_be_restored_once(site):
    bodies = {}
    for n in range(6):
        body = s3_event(s3_record(site.bucket, f"契約/{n}.pdf"))
        bodies[dead_letter(site, body, {**failure("UnreadableFileError"), **BINARY})] = body
    name = next(iter(bodies))
    assert dlq(site, "delete", "--message-id", name).returncode == 64, "a reason is needed"
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
    assert dlq(site, "export", str(some)).returncode == 64, "it is there already"
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


# -- names, doors, permissions -------------------------------------------------------------------------------------


def test_the_names_that_an_operator_already_has_work(site):
    name = about(site, "a.txt")
    queues = {"SQS_QUEUE_URL": "", "DLQ_QUEUE_URL": ""}
    other = {**queues, "DLQ_URL": site.queues.dlq, "FRONTIER_URL": site.queues.source}
    assert [row["message_id"] for row in ask(site, "list", **other)] == [name]
    dlq_name, source_name = (url.rsplit("/", 1)[-1] for url in (site.queues.dlq, site.queues.source))
    assert [row["message_id"] for row in ask(site, "list", "--dlq", dlq_name, **queues)] == [name]
    endpoint = site.env["AWS_ENDPOINT_URL_SQS"]
    there = ["--dlq", dlq_name, "--queue", source_name, "--region", site.env["AWS_REGION"], "--endpoint-url", endpoint]
    done = dlq(site, "redrive", "--message-id", name, *there, AWS_ENDPOINT_URL_SQS="", AWS_REGION="", **queues)
    assert done.returncode == 0, done.stderr
    assert site.depth()[0] == 1


def test_two_names_with_two_values_are_both_shown(site):
    done = dlq(site, "list", DLQ_URL="http://sqs/q/other")
    assert done.returncode == 78
    assert f"DLQ_QUEUE_URL={site.queues.dlq}" in done.stderr
    assert "DLQ_URL=http://sqs/q/other" in done.stderr
    assert dlq(site, "list", FRONTIER_URL="http://sqs/q/other").returncode == 78
    assert dlq(site, "list", DLQ_URL=site.queues.dlq).returncode == 1


@pytest.mark.parametrize(
    ("args", "env", "code", "said"),
    [
        (["list"], {"DLQ_QUEUE_URL": ""}, 78, "DLQ_QUEUE_URL is missing"),
        (["list"], {"DLQ_QUEUE_URL": "files-dlq-nobody"}, 78, "nobody"),
        (["list", "--dlq", "nobody"], {}, 78, "nobody"),
        (["list"], {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"}, 69, "DLQ_QUEUE_URL"),
        (["list", "--profile", "nobody"], {}, 78, "AWS_PROFILE"),
        (["redrive", "--message-id", "x"], {"SQS_QUEUE_URL": ""}, 78, "FRONTIER_URL"),
        (["redrive"], {}, 64, "--message-id"),
        (["delete", "--message-id", "x", "--reason", "y"], {"STATE_BUCKET": "", "S3_BUCKET": ""}, 78, "STATE_BUCKET is missing"),
        (["delete", "--message-id", "x", "--reason", "y"], {"STATE_BUCKET": "no-such-bucket-here"}, 78, "no-such-bucket-here"),
        (["list", "--older-than", "soon"], {}, 64, "--older-than"),
        (["list"], {"MESSAGE_TYPES_DIR": "/nowhere"}, 78, "MESSAGE_TYPES_DIR"),
        (["redrive-all", "--all", "--abort-if-refail", "5"], {}, 64, "--canary"),
        (["list"], {"LOG_LEVEL": "loud"}, 78, "LOG_LEVEL"),
        (["list"], {"AWS_ENDPOINT_URL_SQS": "nonsense"}, 78, "AWS_ENDPOINT_URL_SQS"),
        (["list", "--dlq", "nobody"], {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"}, 69, "nobody"),
        (["delete", "--message-id", "x", "--reason", " "], {}, 64, "--reason"),
        (["restore", "--run", "nobody"], {}, 1, "run nobody: not in dlq-archive/"),
        (["purge", "--backup", "/nowhere/all.jsonl"], {}, 64, "--backup"),
        (["interactive"], {}, 64, "terminal"),
        (["fly"], {}, 64, "fly"),
    ],
)  # fmt: skip
def test_what_is_mistyped_or_missing_is_named_in_a_sentence(site, args, env, code, said):
    if "MESSAGE_TYPES_DIR" in env:
        about(site, "a.txt")
    done = dlq(site, *args, **env)
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_neither_index_nor_state_bucket_is_needed_where_a_verb_can_do_without(site, tmp_path):
    without = {"INDEX_URL": "", "STATE_BUCKET": "", "S3_BUCKET": ""}
    name = about(site, "a.txt")
    for args in (
        ["stats"],
        ["list"],
        ["groups"],
        ["inspect", "--message-id", name],
        ["export", str(tmp_path / "x.jsonl")],
    ):
        assert dlq(site, *args, **without).returncode == 0, args
    done = dlq(site, "redrive", "--message-id", name, **without)
    assert (done.returncode, "no STATE_BUCKET" in done.stderr) == (0, True)


def test_a_paused_fleet_is_given_no_work(site):
    name = about(site, "a.txt")
    assert run_cli(site.env, "pause", "--reason", "索引の更新").returncode == 0
    done = dlq(site, "redrive", "--message-id", name)
    assert (done.returncode, "索引の更新" in done.stderr) == (75, True)
    assert dlq(site, "redrive", "--message-id", name, "--dry-run").returncode == 0
    assert dlq(site, "redrive", "--message-id", name, "--while-paused").returncode == 0


def test_a_source_that_dead_letters_elsewhere_needs_to(site):
    other = create_queues(site.sqs, f"{site.bucket}-other")
    name = about(site, "a.txt")
    done = dlq(site, "redrive", "--message-id", name, SQS_QUEUE_URL=other.source)
    assert (done.returncode, "--to" in done.stderr) == (78, True)
    done = dlq(site, "redrive", "--message-id", name, "--to", other.source, SQS_QUEUE_URL=other.source)
    assert done.returncode == 0, done.stderr
    assert queue_depth(site.sqs, other.source)[0] == 1


def test_calls_are_counted_in_cloudwatch_where_that_is_switched_on(site):
    heard: list[bytes] = []

    class CloudWatch(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CloudWatch)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    about(site, "a.txt")
    address = f"http://127.0.0.1:{server.server_port}"
    env = {"AWS_ENDPOINT_URL_CLOUDWATCH": address, "CLOUDWATCH_NAMESPACE": "Ours"}
    done = dlq(site, "list", **env)
    server.shutdown()
    server.server_close()
    assert done.returncode == 0, "a metric that cannot be sent does not stop the work"
    for text in (b"Ours", b"Calls", b"dlq_redrive", b"State", b"list"):
        assert text in heard[0]


def test_a_mistyped_address_of_cloudwatch_is_told_before_anything_is_sent(site):
    name = about(site, "a.txt")
    mistyped = {"AWS_ENDPOINT_URL_CLOUDWATCH": "nonsense", "CLOUDWATCH_NAMESPACE": "Ours"}
    done = dlq(site, "redrive", "--message-id", name, **mistyped)
    assert (done.returncode, "AWS_ENDPOINT_URL_CLOUDWATCH" in done.stderr) == (78, True)
    assert (depth(site), site.depth()[0]) == ((1, 0), 0), "what was sent would be on no record"


# -- terminals and signals -----------------------------------------------------------------------------------------


class Terminal:
    """A verb on a terminal: what it shows, and what is typed."""

    def __init__(self, site: Site, *args: str) -> None:
        self.master, slave = pty.openpty()
        env = {**base_env(), **site.env, "TERM": "xterm", "COLUMNS": "120"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE, *args], env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + 30
        while text not in self.seen and time.monotonic() < until:
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:  # the other end is closed
                    break
        assert text in self.seen, self.seen

    def type(self, line: str) -> None:
        os.write(self.master, f"{line}\n".encode())

    def end(self) -> int:
        until = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < until:
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    break
        code = self.process.wait(5)
        os.close(self.master)
        return code


def test_a_terminal_is_asked_and_both_queues_are_shown(site):
    for n in range(3):
        about(site, f"{n}.txt")
    terminal = Terminal(site, "redrive-all", "--all")
    terminal.wait_for("Go on?")
    shown = terminal.seen.replace("\r\n", "")
    assert site.queues.dlq in shown
    assert site.queues.source in shown
    terminal.type("n")
    assert terminal.end() == 3
    assert depth(site) == (3, 0)
    terminal = Terminal(site, "redrive-all", "--all")
    terminal.wait_for("Go on?")
    terminal.type("y")
    assert terminal.end() == 0
    assert site.depth()[0] == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_the_question_gives_everything_back(site, number, code):
    for n in range(3):
        about(site, f"{n}.txt")
    terminal = Terminal(site, "redrive-all", "--all")
    terminal.wait_for("Go on?")
    terminal.process.send_signal(number)
    assert terminal.end() == code
    assert depth(site) == (3, 0)


def test_a_purge_asks_for_the_queues_name(site, tmp_path):
    for n in range(3):
        about(site, f"{n}.txt")
    name = site.queues.dlq.rsplit("/", 1)[-1]
    terminal = Terminal(site, "purge", "--backup", str(tmp_path / "all.jsonl"))
    terminal.wait_for("Type the queue's name")
    terminal.type("yes")
    assert terminal.end() == 64
    assert depth(site) == (3, 0)
    terminal = Terminal(site, "purge", "--backup", str(tmp_path / "all.jsonl"))
    terminal.wait_for("Type the queue's name")
    terminal.type(name)
    assert terminal.end() == 0
    assert depth(site) == (0, 0)


def test_the_menu_runs_verbs_and_shows_what_they_are_called(site):
    name = about(site, "a.txt")
    terminal = Terminal(site, "interactive")
    terminal.wait_for("Which?")
    terminal.type("3")
    terminal.wait_for("empty: all")
    terminal.type("")
    terminal.wait_for("$ dlq list")
    terminal.wait_for("saw 1 of about 1")
    terminal.type("99")
    terminal.wait_for("it would be 1 to")
    terminal.type("6")
    terminal.wait_for("Message id:")
    terminal.type(name)
    terminal.wait_for(f"$ dlq redrive --message-id {name}")
    terminal.wait_for("1 sent to")
    terminal.type("q")
    assert terminal.end() == 0
    assert (depth(site), site.depth()[0]) == ((0, 0), 1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_what_is_in_hand_and_releases_the_rest(site, number, code):
    for n in range(60):
        about(site, f"{n}.txt")
    command = [sys.executable, "-m", MODULE, "redrive-all", "--all", "--yes", "--rate", "5", "--json"]
    process = subprocess.Popen(
        command, env={**base_env(), **site.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    wait_until(lambda: site.depth()[0] >= 5, 30, "some messages sent")
    holders = ask(site, "stats")["holders"]
    assert [one["command"] for one in holders if one["pid"] == process.pid] == ["dlq redrive-all"]
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    figures = json.loads(out)
    assert len(figures["sent"]) + len(figures["kept"]) == 60
    assert (depth(site), site.depth()[0]) == ((len(figures["kept"]), 0), len(figures["sent"]))
    assert len(site.state_keys("s3-index-worker/audit/")) == 1


def test_a_signal_during_a_look_gives_everything_back(site, tmp_path: Path):
    for start in range(0, 300, 10):
        entries: Any = [{"Id": str(n), "MessageBody": f"noise {start + n}"} for n in range(10)]
        site.sqs.send_message_batch(QueueUrl=site.queues.dlq, Entries=entries)
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, "list"], env={**base_env(), **site.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    wait_until(lambda: depth(site)[1] > 0, 30, "something held")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode in {130, 0}, err
    assert depth(site) == (300, 0)
