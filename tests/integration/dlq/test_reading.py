"""The `dlq` verbs that only read: what they print, and that they release all messages."""

import json

from testing.aws import s3_event, s3_record
from tests.integration.dlq.verbs import (
    MAPS,
    about,
    ask,
    dead_letter,
    dead_lettered_by_sqs,
    depth,
    dlq,
    dlq_process,
    failure,
)


def test_reading_verbs_show_every_message_and_release_all_of_them(site):
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

    listed = dlq_process(site, "list")
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
    assert depth(site) == (15, 0), "reading consumes nothing"
    assert site.state_keys("s3-index-worker/holders/") == []


def test_inspect_shows_the_current_state_and_a_command(site):
    key = "契約/a b.txt"
    site.put(key, "本文")
    name = about(site, key)
    [seen] = ask(site, "inspect", "--message-id", name)
    assert (seen["now"][0]["key"], seen["now"][0]["indexed"]) == (key, False)
    assert seen["advice"]["command"] == f"dlq recover {name}", seen["advice"]
    shown = dlq(site, "inspect", "--message-id", name)
    assert shown.returncode == 0, shown.stderr
    for text in (key, "TimeoutError: 例", "File …", f"dlq recover {name}", '"Records": ['):
        assert text in shown.stdout
    assert ask(site, "recover", "--message-id", name)["recovered"] == 1
    assert depth(site) == (0, 0)
    assert site.documents().keys() == {key}

    again, gone = about(site, key), about(site, "gone.txt")
    bad, maps = dead_letter(site, "noise"), dead_letter(site, json.dumps(MAPS))
    by_id = {one["message_id"]: one for one in ask(site, "inspect", "--message-id", again, gone, bad, maps)}
    assert by_id[again]["now"][0]["indexed"] is True
    assert "holds the object as it is now" in by_id[again]["advice"]["why"]
    assert by_id[gone]["now"][0]["s3"] == "not there"
    assert by_id[bad]["advice"]["command"].startswith(f"dlq delete {bad} --reason")
    assert by_id[maps]["advice"]["command"] == f"dlq redrive {maps}"
    without = {one["message_id"]: one for one in ask(site, "inspect", "--message-id", again, INDEX_URL="")}
    assert "not asked: INDEX_URL is missing" in without[again]["now"][0]["index"]
    unavailable = ask(site, "inspect", "--message-id", again, INDEX_URL="http://127.0.0.1:9")[0]
    assert "cannot be asked" in unavailable["now"][0]["index"]
    assert dlq(site, "inspect", "--message-id", "nobody").returncode == 1
    assert dlq(site, "inspect", "--message-id", bad, "--message-id", "nobody").returncode == 3
    assert depth(site) == (4, 0)


def test_control_characters_never_reach_the_terminal(site):
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


def test_coverage_mentions_messages_that_another_consumer_holds(site):
    for n in range(12):
        about(site, f"{n}.txt")
    site.sqs.receive_message(QueueUrl=site.queues.dlq, MaxNumberOfMessages=5)
    done = dlq(site, "list")
    assert "of about 12; the rest is in flight elsewhere" in done.stderr
    assert depth(site)[1] > 0


def test_ids_are_arguments_whole_or_by_their_first_characters(site):
    one, two = about(site, "一.txt"), about(site, "二.txt")
    assert [row["message_id"] for row in ask(site, "inspect", one[:13])] == [one]
    both = ask(site, "redrive", one[:13], "--message-id", two, "--dry-run")
    assert sorted(both["would_send"]) == sorted([one, two])
    short = dlq(site, "inspect", one[:5])
    assert (short.returncode, "at least its first 6 characters" in " ".join(short.stderr.split())) == (64, True)
    unknown = dlq(site, "inspect", "abcdef-nobody")
    assert (unknown.returncode, "abcdef-nobody: neither in the DLQ nor in dead-letters/" in unknown.stderr) == (1, True)
    assert dlq(site, "inspect").returncode == 64
    assert dlq(site, "recover", one, "--error", "OSError").returncode == 64
    assert depth(site) == (2, 0)


def test_an_id_that_fits_several_messages_lists_them(site):
    record = {"source_queue": "https://sqs/files"}
    names = {about(site, f"{n}.txt", source_message_id=f"20261130-{n}", **record): n for n in range(2)}
    refused = dlq(site, "inspect", "20261130")
    assert refused.returncode == 64
    assert "'20261130' fits 2 messages; give more characters of the id" in refused.stderr
    for name, number in names.items():
        [line] = [line for line in refused.stderr.splitlines() if name in line]
        assert f"TimeoutError, {site.bucket}/{number}.txt" in line
    assert ask(site, "inspect", "20261130-1")[0]["message_id"] == next(n for n, at in names.items() if at == 1)


def test_recover_and_abandon_take_a_filter(site):
    for number in range(3):
        site.put(f"{number}.txt", b"text")
        about(site, f"{number}.txt", error_type="OSError" if number else "KeyError")
    assert dlq(site, "recover").returncode == 64
    asked = dlq(site, "recover", "--error", "OSError")
    assert (asked.returncode, "recover 2 messages" in asked.stderr) == (64, True), "nobody is there to confirm it"
    assert ask(site, "recover", "--error", "OSError", "--yes")["recovered"] == 2
    [left] = ask(site, "list")
    assert left["error_type"] == "KeyError"
    assert len(ask(site, "abandon", left["message_id"][:13], "--reason", "x")["sent"]) == 1
    assert depth(site) == (0, 0)
