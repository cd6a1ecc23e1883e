"""The `dlq` verbs that send or recover messages: redrive, redrive-all, recover."""

import json

from testing.aws import create_queues, drain, queue_depth, s3_event, s3_record
from testing.waiting import wait_until
from testing.worker import running
from tests.integration.dlq.verbs import BINARY, MAPS, about, ask, dead_letter, depth, dlq, failure
from tests.support.in_process import run_in_process
from worker.cli import main


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


def test_attributes_are_sent_unchanged_and_the_redrive_is_counted(site):
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


def test_redrive_all_sends_the_messages_that_the_filters_select(site):
    for n in range(25):
        about(site, f"{n}.txt", error_type="TimeoutError" if n < 20 else "KeyError")
    assert dlq(site, "redrive-all", "--yes").returncode == 64, "--all is required"
    assert dlq(site, "redrive-all", "--error", "KeyError").returncode == 64, "there is no terminal to ask on"
    assert len(ask(site, "redrive-all", "--all", "--dry-run")["would_send"]) == 25
    assert depth(site) == (25, 0)
    assert len(ask(site, "redrive-all", "--group", "fp-KeyError", "--yes")["sent"]) == 5
    assert len(ask(site, "redrive-all", "--max-messages", "7", "--yes", "--rate", "20")["sent"]) == 7
    figures = ask(site, "redrive-all", "--all", "--yes", "--canary", "3", "--canary-wait", "1")
    assert (figures["canary"], len(figures["sent"])) == ({"sent": 3, "came_back": 0}, 13)
    assert (depth(site), site.depth()[0]) == ((0, 0), 25)
    assert dlq(site, "redrive-all", "--all", "--yes").returncode == 1


def test_a_canary_that_a_worker_dead_letters_again_stops_the_redrive(site, tmp_path):
    """To this worker, all of these messages are malformed, so that it sends them to the DLQ again at once."""
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


def test_sqs_moves_everything_if_no_message_must_be_checked(site):
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


def test_a_paused_fleet_is_given_no_work(site):
    name = about(site, "a.txt")
    assert run_in_process(main, site.env, "pause", "--reason", "索引の更新").returncode == 0
    done = dlq(site, "redrive", "--message-id", name)
    assert (done.returncode, "索引の更新" in done.stderr) == (75, True)
    assert dlq(site, "redrive", "--message-id", name, "--dry-run").returncode == 0
    assert dlq(site, "redrive", "--message-id", name, "--while-paused").returncode == 0


def test_a_redrive_from_a_source_that_dead_letters_elsewhere_requires_to(site):
    other = create_queues(site.sqs, f"{site.bucket}-other")
    name = about(site, "a.txt")
    done = dlq(site, "redrive", "--message-id", name, SQS_QUEUE_URL=other.source)
    assert (done.returncode, "--to" in done.stderr) == (78, True)
    done = dlq(site, "redrive", "--message-id", name, "--to", other.source, SQS_QUEUE_URL=other.source)
    assert done.returncode == 0, done.stderr
    assert queue_depth(site.sqs, other.source)[0] == 1
