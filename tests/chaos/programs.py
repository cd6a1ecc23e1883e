"""The programs under attack, each as a play: a load, one fault or none, a heal, and what the oracle says at the end."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.stage import Stage, fresh_name
from tests.support.aws import queue_depth, s3_event, s3_record
from tests.support.faults import Strike
from tests.support.oracle import Judgement
from tests.support.retryrecords import put_record, record_of
from tests.support.worker import base_env
from worker.core.state import ARCHIVE_PREFIX

HELD_S = 4.0
"""A fault that lasts is healed so long after it struck first."""
STRUCK_WITHIN_S = 12.0
QUIET_WITHIN_S = 45.0
COMMAND_S = 90.0
CLAIM_ENDS_S = 3.5
"""A hurried restore that was cut off may be taken over after so long."""
TRIES = 6
"""A command is run so often, at most, until it says that nothing is left."""
EXPECTED_CODES = {0, 3, 69}
"""After 78 systemd starts a worker no more: right where the settings are wrong, and here they are not."""
LETTERS, RECORDS = 40, 30


@dataclass(frozen=True, slots=True)
class Case:
    """One call, one fault."""

    program: str
    call: str
    fault: str
    for_ever: bool
    occurrence: str
    """first, middle or last."""
    first: int
    """The number of the call that this is."""
    at_start: bool = False
    """The call is made only when the program starts."""

    @property
    def is_long(self) -> bool:
        """Whether it waits for timeouts or starts a program anew: too long for a sample."""
        return self.at_start or self.fault in {"timeout", "unreachable"}

    def __str__(self) -> str:
        return (
            f"{self.program}: {self.call} × {self.fault}, {'for ever' if self.for_ever else 'once'}, {self.occurrence}"
        )


@dataclass
class Result:
    """What a case came to."""

    case: Case
    hits: int
    judgement: Judgement
    codes: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def crashed(self) -> list[int]:
        """Exit codes that nobody has promised."""
        # A command's user reads why; to a worker S3 or SQS themselves must have said that the request is wrong.
        says_so = {78} if self.case.fault == "400" or self.case.program != "worker" else set()
        return sorted(set(self.codes) - EXPECTED_CODES - says_so)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost or stuck, and no program crashed."""
        return self.judgement.holds and not self.crashed

    def __str__(self) -> str:
        verdict = "ok" if self.holds else "BROKEN"
        codes = f", exit {dict(self.codes)}" if self.codes else ""
        return f"{verdict:6} {self.case} · {self.hits} hits{codes}, {self.seconds:.1f} s · {self.judgement}"

    def as_json(self) -> dict[str, Any]:
        """For the table."""
        found = self.judgement
        return {
            **asdict(self.case), "hits": self.hits, "codes": dict(self.codes), "seconds": round(self.seconds, 1),
            "events": found.events, "lost": len(found.lost), "stuck": len(found.stuck), "duplicates": found.duplicates,
            "set_aside": found.set_aside,
        }  # fmt: skip


Play = Callable[[Stage, Strike | None, Case | None], Result]


# -- the programs ------------------------------------------------------------------------------------------------


def play_worker(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """A worker and a load."""
    if case is not None and case.at_start:
        on.stop()
        if case.call.startswith("index PUT"):
            on.drop_index()
    on.rule(*filter(None, [strike]))
    on.keep_alive()
    on.load(fresh_name())
    codes: Counter[int] = Counter()
    if strike is not None and strike.for_ever:
        _let_it_strike(on, strike, codes)
        strike.heal()
        on.wire.reach()
    quiet, more = on.wait_quiet(QUIET_WITHIN_S)
    judgement = on.judge()
    if not quiet and judgement.holds:
        judgement.stuck.append("it is not quiet")
    return Result(case or CLEAN, strike.hits if strike else 0, judgement, codes + more)


def _let_it_strike(on: Stage, strike: Strike, codes: Counter[int]) -> None:
    until = time.monotonic() + STRUCK_WITHIN_S
    struck = False
    while time.monotonic() < until:
        if strike.hits and not struck:
            struck, until = True, time.monotonic() + HELD_S
        code = on.keep_alive()
        if code is not None:
            codes[code] += 1
        time.sleep(0.2)


def play_recover(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`recover_dlq` on forty letters and two that spilled."""
    on.sweep()
    name = fresh_name()
    keys = [f"{name}/文書 {number:02}.txt" for number in range(LETTERS)]
    for number, key in enumerate(keys):
        if number % 10 == 9:
            on.send_letter(f"noise {key}", is_letter=True)
            continue
        if number % 10 != 8:  # of the others, the object is gone
            on.site.put(key, f"text of {key}")
        on.send_letter(s3_event(s3_record(on.site.bucket, key)), key, spilled=number in {0, 1})
    return _play_command(on, strike, case, "recovery.recover_dlq", "--json", "--batch-size", "10")


def play_replay(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`replay_retry_index` on thirty records, one that is none, and one that the index refuses."""
    on.sweep()
    name = fresh_name()
    keys = [f"{name}/記録 {number:02}.txt" for number in range(RECORDS)]
    for number, key in enumerate(keys):
        etag = "gone" if number % 10 == 9 else on.site.put(key, f"text of {key}")
        put_record(on.site, record_of(on.site, key, "changed since" if number % 10 == 8 else etag))
        on.oracle.expect(key, key, key)
    on.site.s3.put_object(Bucket=on.site.state_bucket, Key="retry-index/2026-04-01/none.json", Body=b"no record")
    return _play_command(on, strike, case, "recovery.replay_retry_index", "--json")


def play_redrive(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq redrive-all`: every letter is in the source queue or the DLQ afterwards."""
    _some_letters(on)
    command = ("recovery.cli", "redrive-all", "--all", "--yes", "--json")
    return _play_command(on, strike, case, *command, source_too=True)


def play_abandon(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq abandon`: every letter is in the archive or the DLQ afterwards."""
    _some_letters(on)
    return _play_command(on, strike, case, "recovery.cli", "abandon", "--all", "--reason", "chaos", "--yes", "--json")


def play_restore(on: Stage, strike: Strike | None, case: Case | None) -> Result:
    """`dlq restore`, cut off and done again once its claims have ended: every letter is in the DLQ afterwards."""
    _some_letters(on)
    on.rule()
    run_command(on, "recovery.cli", "abandon", "--all", "--reason", "chaos", "--yes")
    archived = on.site.state_keys(ARCHIVE_PREFIX)
    command = ("recovery.cli", "restore", "--run", on.site.state_record(archived[0])["run"], "--yes", "--json")
    on.rule(*filter(None, [strike]))
    codes = Counter([run_command(on, *command)])
    if strike is not None:
        strike.heal()
        on.wire.reach()
        time.sleep(CLAIM_ENDS_S)
        codes[run_command(on, *command)] += 1
    for key in archived:  # it keeps what it has sent
        on.site.s3.delete_object(Bucket=on.site.state_bucket, Key=key)
    return Result(case or CLEAN, strike.hits if strike else 0, on.judge(), codes)


def _some_letters(on: Stage) -> None:
    on.sweep()
    name = fresh_name()
    for number in range(LETTERS // 2):
        on.send_letter(s3_event(s3_record(on.site.bucket, f"{name}/{number}.txt")), is_letter=True)


def _play_command(
    on: Stage, strike: Strike | None, case: Case | None, *command: str, source_too: bool = False
) -> Result:  # fmt: skip
    """Run it under the fault, then without, until it says that nothing is left."""
    on.rule(*filter(None, [strike]))
    codes = Counter([run_command(on, *command)])
    if strike is not None:
        strike.heal()
        on.wire.reach()
    last = -1
    for _ in range(TRIES):
        last = run_command(on, *command)
        codes[last] += 1
        if last in {0, 1} and not any(queue_depth(on.site.sqs, on.site.queues.dlq)):  # 1 of `dlq`: nothing was found
            break
        time.sleep(1)
    if command[0] == "recovery.cli":
        del codes[1]
    judgement = on.judge(source_too=source_too)
    if last not in {0, 1}:
        judgement.stuck.append(f"{command[0]} still exits with {last}")
    return Result(case or CLEAN, strike.hits if strike else 0, judgement, codes)


def run_command(on: Stage, *command: str) -> int:
    with (on.folder / "command.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.hurried", *command],
            env={**base_env(), "METRICS_PORT": "0", **on.env, "TEMP_DIR": str(on.folder)}, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            return process.wait(COMMAND_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return -9


PROGRAMS: dict[str, Play] = {
    "worker": play_worker,
    "recover_dlq": play_recover,
    "replay_retry_index": play_replay,
    "dlq redrive-all": play_redrive,
    "dlq abandon": play_abandon,
    "dlq restore": play_restore,
}
CLEAN = Case("", "nothing", "clean", for_ever=False, occurrence="", first=0)
