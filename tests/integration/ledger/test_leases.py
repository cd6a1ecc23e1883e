"""A lease has one holder, whoever asks at the same moment, until it expires."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recovery.ledger.ledger import Ledger

ROOT = Path(__file__).resolve().parents[3]
CLAIM = """
import os, sys
from recovery.ledger.ledger import open_ledger
begin, go = os.pipe()
for place in range(8):
    if os.fork() == 0:
        os.close(go)
        ledger = open_ledger(sys.argv[1])
        os.read(begin, 1)  # until the parent has closed the pipe
        sys.stdout.write(f"{ledger.claim('intake', f'rival-{place}', 60)}\\n")
        sys.stdout.flush()
        ledger.close()
        os._exit(0)
os.close(go)
for place in range(8):
    os.wait()
"""


def test_one_of_eight_threads_gets_a_lease_each_time(ledger: Ledger) -> None:
    for epoch in range(1, 6):
        with ThreadPoolExecutor(8) as pool:
            epochs = list(pool.map(lambda place: ledger.claim("intake", f"rival-{place}", 60), range(8)))
        assert sorted(filter(None, epochs)) == [epoch]
        assert ledger.release("intake", f"rival-{epochs.index(epoch)}", epoch)


def test_one_of_eight_processes_gets_a_lease(ledger: Ledger, ledger_url: str) -> None:
    assert ledger.claim("intake", "earlier", 0.001) == 1
    command = [sys.executable, "-c", CLAIM, ledger_url]
    answers = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=120).stdout
    assert sorted(answers.split()) == ["2", *["None"] * 7]


def test_an_expired_lease_is_taken_over_and_lost_to_its_holder(ledger: Ledger) -> None:
    assert ledger.claim("intake", "a", 0.3) == 1
    assert ledger.claim("intake", "b", 60) is None
    time.sleep(0.35)
    assert ledger.claim("intake", "b", 60) == 2
    assert not ledger.renew("intake", "a", 1, 60)
    assert not ledger.release("intake", "a", 1)
    assert ledger.claim("intake", "c", 60) is None


def test_a_renewed_lease_lasts(ledger: Ledger) -> None:
    assert ledger.claim("intake", "a", 0.2) == 1
    assert ledger.renew("intake", "a", 1, 60)
    time.sleep(0.25)
    assert ledger.claim("intake", "b", 60) is None


def test_a_released_lease_is_free_at_once_and_is_not_renewed(ledger: Ledger) -> None:
    assert ledger.claim("intake", "a", 60) == 1
    assert ledger.release("intake", "a", 1)
    assert not ledger.renew("intake", "a", 1, 60)
    assert ledger.claim("intake", "b", 60) == 2


def test_leases_of_other_names_are_others(ledger: Ledger) -> None:
    assert ledger.claim("intake", "a", 60) == 1
    assert ledger.claim("retries", "b", 60) == 1


def test_a_mark_is_what_was_set_last(ledger: Ledger) -> None:
    assert ledger.get_mark("audit") is None
    for value in ("2026-11-01", "2026-11-02"):
        ledger.set_mark("audit", value)
        assert ledger.get_mark("audit") == value
