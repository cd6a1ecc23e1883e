"""What arrives gets one row, whatever is delivered twice, whoever takes it in, and whenever its writer dies."""

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from recovery.ledger.ledger import Ledger, open_ledger
from recovery.ledger.lookups import Known
from recovery.ledger.rows import Arrival, State, Taken
from recovery.ledger.selection import Selection
from testing.ledgers import MINUTE_MS, NOW_MS, arrival, recounted, row
from testing.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
TAKE_IN = """
import sys
from recovery.ledger.ledger import open_ledger
from testing.ledgers import arrival
ledger = open_ledger(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for start in range(0, int(sys.argv[2]), 50):
    taken = ledger.take_in([arrival(f"{number:06d}") for number in range(start, start + 50)])
    print(sum(one == "new" for one in taken.values()), flush=True)
ledger.close()
"""


def start(url: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", TAKE_IN, url, str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_a_new_dead_letter_has_a_row_with_all_that_was_given(ledger: Ledger) -> None:
    given = row("a", fault="no key", retry_at_ms=5, state=State.SCHEDULED, object_key=None)
    assert ledger.take_in([Arrival("m-1", given, NOW_MS)]) == {"m-1": Taken.NEW}
    assert ledger.get("a") == ledger.get("m-1") == replace(given, id=1, changed_ms=NOW_MS)
    assert ledger.known_messages(["m-1", "m-2"]) == {"m-1": "a"}
    assert ledger.by_identity(["a", "b"]).keys() == {"a"}


def test_what_came_is_known_by_its_dlq_ids_and_its_records_unless_they_are_missing(ledger: Ledger) -> None:
    ledger.take_in([arrival("a"), arrival("b")])
    ledger.change("b", version=1, by="check", action="missing", state=State.MISSING)
    rows = ledger.by_identity("ab")
    found = ledger.known(["m-a", "m-b", "m-c"], ["a", "b", "c"])
    assert found == Known(frozenset({"m-a"}), {name: rows[name].key for name in "ab"})
    assert ledger.known([], []) == Known(frozenset(), {})


def test_a_known_dlq_id_changes_nothing(ledger: Ledger) -> None:
    ledger.take_in([arrival("a")])
    before = ledger.get("a")
    again = arrival("a", message="another", last_seen_ms=NOW_MS + MINUTE_MS, at_ms=NOW_MS + MINUTE_MS)
    assert ledger.take_in([again, again]) == {"m-a": Taken.REPEATED}
    assert ledger.get("a") == before
    assert sum(ledger.stats().hourly) == sum(ledger.stats().hourly[-1:])
    assert ledger.events("a") == []


def test_a_return_is_one_attempt_more_and_keeps_what_people_said(ledger: Ledger) -> None:
    ledger.take_in([arrival("a")])
    ledger.change("a", version=1, by="ana", action="note", owner="ana", note="mine", hold="wait")
    ledger.change("a", version=2, by="ana", action="redrive", state=State.SENT, redrives=1, sent_by="ana", retries=2)
    later = NOW_MS + MINUTE_MS
    back = arrival(
        "a", "m-2", at_ms=later, error_type="AccessDenied", message="denied", first_failed_ms=later, first_seen_ms=later,
        last_seen_ms=later, sent_ms=later,
    )  # fmt: skip
    assert ledger.take_in([back]) == {"m-2": Taken.RETURNED}
    found = ledger.get("m-2")
    assert found == replace(
        back.row, id=1, version=4, generation=4, attempts=2, redrives=1, retries=2, owner="ana", note="mine", hold="wait",
        sent_by="ana", first_failed_ms=NOW_MS - MINUTE_MS, first_seen_ms=NOW_MS, changed_ms=later,
    )  # fmt: skip
    assert ledger.get("m-a") == found
    assert ledger.messages_of("a") == [("m-a", NOW_MS), ("m-2", later)]
    event = ledger.events("a")[-1]
    assert (event.action, event.by, event.at_ms) == ("returned", "intake", later)
    assert event.details == {"message_id": "m-2", "from": "sent", "error_type": "AccessDenied"}
    assert ledger.count(Selection(text_contains="denied")) == 1
    assert ledger.count(Selection(text_contains="no answer")) == 0


def test_a_dead_letter_that_is_twice_in_a_batch_has_one_row_and_two_attempts(ledger: Ledger) -> None:
    batch = [arrival("a", "m-1"), arrival("b"), arrival("a", "m-2"), arrival("a", "m-2")]
    assert ledger.take_in(batch) == {"m-1": Taken.NEW, "m-b": Taken.NEW, "m-2": Taken.RETURNED}
    assert [ledger.by_identity("ab")[name].attempts for name in "ab"] == [2, 1]


def test_texts_that_no_database_takes_are_made_storable(ledger: Ledger) -> None:
    ledger.take_in([arrival("a", message="nul \x00 and \ud800", object_key="a\x00b", error_type="E\x00")])
    found = ledger.get("a")
    assert found is not None
    assert (found.message, found.object_key, found.error_type) == ("nul \ufffd and \ufffd", "a\ufffdb", "E\ufffd")


def test_nothing_is_taken_in_of_an_empty_batch(ledger: Ledger) -> None:
    assert ledger.take_in([]) == {}


def test_two_processes_that_take_in_the_same_batches_make_one_row_of_each(ledger: Ledger, ledger_url: str) -> None:
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(start(ledger_url, 500)) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            go(process)
        new = [sum(map(int, process.stdout or ())) for process in processes]
    assert sum(new) == 500
    assert ledger.count(Selection()) == sum(1 for _ in ledger.rows(Selection())) == 500
    assert {one.attempts for one in ledger.rows(Selection())} == {1}


def test_eight_threads_that_take_in_the_same_batch_make_one_row_of_each(ledger: Ledger) -> None:
    batch = [arrival(f"{number:03d}") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: ledger.take_in(batch), range(8)))
    new = [one for answer in taken for one in answer.values() if one is Taken.NEW]
    assert len(new) == ledger.count(Selection()) == 40


def test_a_killed_writer_leaves_whole_batches_and_a_ledger_that_opens(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    confirmed = 0
    for _ in range(5):
        with start(url, 1_000_000) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            go(process)
            for _ in range(4 + confirmed // 50):  # repeated ones first, then new ones
                line = process.stdout.readline()
            confirmed += 0 if line == "0\n" else 50
            os.kill(process.pid, signal.SIGKILL)
            process.stdout.read()
        wait_until(lambda process=process: process.poll() is not None, 10, "the writer to be dead")  # type: ignore[misc]
        with contextlib.closing(open_ledger(url)) as ledger:
            names = {one.identity for one in ledger.rows(Selection())}
            stats = ledger.stats()
            recounted(ledger)
            assert ledger.stats() == stats
            assert stats.waiting == len(names) >= confirmed
            assert len(names) % 50 == 0
            assert names == {f"{number:06d}" for number in range(len(names))}
            assert ledger.known_messages(f"m-{name}" for name in names).keys() == {f"m-{name}" for name in names}
            assert ledger.count(Selection(key_contains="経理"), at_most=10**6) == len(names)
