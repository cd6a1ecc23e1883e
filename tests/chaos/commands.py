"""Scenarios for operators' commands: each works on dead letters or retry records, first with a fault, then without."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from testing.aws import drain, queue_depth, s3_event, s3_record
from testing.worker import base_env
from tests.chaos.case import CLEAN, Case, Result
from tests.chaos.stage import Stage, fresh_name
from tests.support.faults import Strike
from tests.support.retry_records import put_record, record_of
from worker.core.base.errors import ExitCode
from worker.core.s3.state import ARCHIVE_PREFIX

COMMAND_S = 90.0
CLAIM_ENDS_S = 3.5
"""How long after a shortened restore was interrupted another may take it over."""
SEEN_AGAIN_WITHIN_S = 8.0
"""A message that could not be released reappears when its visibility timeout ends: five seconds, with waits shortened."""
TRIES = 6
"""How often a command is run, at most, until it reports that nothing is left."""
DEAD_LETTERS, FEWER_DEAD_LETTERS, RECORDS = 40, 20, 30
HUNG, CRASHED = -1001, -1002
"""In place of the exit code of a command that did not end, or ended with a stack trace."""
NUMBER = "{number}"
"""In a command's arguments: the number of the run, for a file that must be new each time."""


def play_recover(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`recover_dlq` on forty dead letters, two of them in `dead-letters/`. `dlq recover` does the same with ids."""
    on.empty_state()
    name = fresh_name()
    for number in range(DEAD_LETTERS):
        key = f"{name}/文書 {number:02}.txt"
        if number % 10 == 9:
            on.send_dead_letter(f"noise {key}", is_dead_letter=True)
            continue
        if number % 10 != 8:  # of the others, the object is gone
            on.site.put(key, f"text of {key}")
        on.send_dead_letter(s3_event(s3_record(on.site.bucket, key)), key, stored=number < 2)
    return _play(on, strike, case, "recovery.cli.recover_dlq", "--json", "--batch-size", "10")


def play_replay(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`replay_retry_index` on thirty records, one that is none, and one that the index refuses."""
    on.empty_state()
    name = fresh_name()
    keys = [f"{name}/記録 {number:02}.txt" for number in range(RECORDS)]
    for number, key in enumerate(keys):
        etag = "gone" if number % 10 == 9 else on.site.put(key, f"text of {key}")
        put_record(on.site, record_of(on.site, key, "changed since" if number % 10 == 8 else etag))
        on.oracle.expect(key, key, key)
    on.site.s3.put_object(Bucket=on.site.state_bucket, Key="retry-index/2026-04-01/none.json", Body=b"no record")
    return _play(on, strike, case, "recovery.cli.replay_retry_index", "--json")


def play_redrive(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq redrive-all`: every dead letter is in the source queue or the DLQ afterwards."""
    _some_dead_letters(on)
    return _play(on, strike, case, "recovery.cli", "redrive-all", "--all", "--yes", "--json", source_too=True)


def play_native(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq redrive-all --native`: the same, moved by SQS itself."""
    _some_dead_letters(on)
    command = ("recovery.cli", "redrive-all", "--native", "--all", "--yes", "--json")
    return _play(on, strike, case, *command, source_too=True)


def play_inspect(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq inspect`, which asks S3 and the index too: every dead letter is in the DLQ afterwards, and visible."""
    names = _some_dead_letters(on)
    on.rule(*filter(None, [strike]))
    which = [word for name in names for word in ("--message-id", name)]
    codes = Counter([run_command(on, "recovery.cli", "inspect", *which, "--json")])
    until = time.monotonic() + SEEN_AGAIN_WITHIN_S
    while any(queue_depth(on.site.sqs, on.site.queues.dlq)[1:]) and time.monotonic() < until:
        time.sleep(0.2)
    return _result(on, strike, case, codes)


def play_abandon(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq abandon`: every dead letter is in the archive or the DLQ afterwards."""
    _some_dead_letters(on)
    return _play(on, strike, case, "recovery.cli", "abandon", "--all", "--reason", "chaos", "--yes", "--json")


def play_restore(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq restore`, interrupted and repeated once its claims have expired: every dead letter is in the DLQ afterwards."""
    _some_dead_letters(on)
    on.rule()
    run_command(on, "recovery.cli", "abandon", "--all", "--reason", "chaos", "--yes")
    archived = on.site.state_keys(ARCHIVE_PREFIX)
    command = ("recovery.cli", "restore", "--run", on.site.state_record(archived[0])["run"], "--yes", "--json")
    on.rule(*filter(None, [strike]))
    codes = Counter([run_command(on, *command)])
    if strike is not None:
        _heal(on, strike)
        time.sleep(CLAIM_ENDS_S)
        codes[run_command(on, *command)] += 1
    for key in archived:  # it keeps what it has sent
        on.site.s3.delete_object(Bucket=on.site.state_bucket, Key=key)
    return _result(on, strike, case, codes)


def play_purge(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq purge`: every dead letter is in a complete file or the DLQ afterwards."""
    _some_dead_letters(on)
    file = on.folder / f"purge-{fresh_name()}-{NUMBER}.jsonl"
    name = on.site.queues.dlq.rpartition("/")[2]
    command = ("recovery.cli", "purge", "--backup", str(file), "--confirm", name, "--json")
    return _play(on, strike, case, *command, files=file.name.replace(NUMBER, "*"))


def play_import(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq import` of an export whose originals are gone; if it reports that not all was sent, it is repeated, which duplicates."""
    _some_dead_letters(on)
    file = on.folder / f"export-{fresh_name()}.jsonl"
    on.rule()
    assert run_command(on, "recovery.cli", "export", str(file)) == 0
    drain(on.site.sqs, on.site.queues.dlq)
    command = ("recovery.cli", "import", str(file), "--yes", "--json")
    on.rule(*filter(None, [strike]))
    codes = Counter([run_command(on, *command)])
    if strike is not None:
        _heal(on, strike)
    if set(codes) != {0}:
        codes[run_command(on, *command)] += 1
    return _result(on, strike, case, codes)


# -- what they have in common ------------------------------------------------------------------------------------


def _some_dead_letters(on: Stage) -> list[str]:
    """Send twenty dead letters, each of which must be accounted for at the end; returns their ids."""
    on.empty_state()
    name = fresh_name()
    bodies = [s3_event(s3_record(on.site.bucket, f"{name}/{number}.txt")) for number in range(FEWER_DEAD_LETTERS)]
    return [on.send_dead_letter(body, is_dead_letter=True) for body in bodies]


def _play(
    on: Stage, strike: Strike | None, case: Case | None, *command: str, **options: Any
) -> Result:  # fmt: skip
    """Run the command with the fault, then without it, until it reports that nothing is left."""
    on.rule(*filter(None, [strike]))
    numbers = iter(range(1 + TRIES))

    def run() -> int:
        number = str(next(numbers))
        return run_command(on, *(word.replace(NUMBER, number) for word in command))

    codes = Counter([run()])
    if strike is not None:
        _heal(on, strike)
    last = -1
    for _ in range(TRIES):
        last = run()
        codes[last] += 1
        if last in {0, 1} and not any(queue_depth(on.site.sqs, on.site.queues.dlq)):  # 1 of `dlq`: nothing was found
            break
        time.sleep(1)
    found = _result(on, strike, case, codes, **options)
    if last not in {0, 1}:
        found.judgement.stuck.append(f"{command[0]} still exits with {last}")
    return found


def _heal(on: Stage, strike: Strike) -> None:
    strike.heal()
    on.fault_proxy.reach()


def _result(
    on: Stage, strike: Strike | None, case: Case | None, codes: Counter[int], *, files: str | None = None, **options: Any
) -> Result:  # fmt: skip
    """What the oracle finds; `files` is a pattern for the names of exports that hold dead letters."""
    if strike is not None:
        _heal(on, strike)
    del codes[ExitCode.NOT_FOUND]  # there was nothing left to be found
    exports: list[Path] = sorted(on.folder.glob(files)) if files else []
    return Result(case or CLEAN, strike.hits if strike else 0, on.judgement(exports=exports, **options), codes)


def run_command(on: Stage, *command: str) -> int:
    """Run a command as a process of its own, with waits shortened; its exit code, or HUNG or CRASHED."""
    path = on.folder / f"command-{fresh_name()}.log"
    with path.open("wb") as log:
        on.command = process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.hurried", *command],
            env={**base_env(), "METRICS_PORT": "0", **on.env, "TEMP_DIR": str(on.folder)}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            code = process.wait(COMMAND_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return HUNG
        finally:
            on.command = None
    # Python's exit code for a crash is 1, which the commands use when nothing was found.
    return CRASHED if b"\nTraceback" in b"\n" + path.read_bytes() else code
