"""What follows from a verdict: archive or audit first, then delete. A letter leaves the DLQ only when it is safe elsewhere."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from recovery.actions import Finding, Verdict
from recovery.archive import Archive
from recovery.audit import audit
from recovery.hold import Hold
from recovery.letters import Letter
from worker.core.classify import is_passing
from worker.core.errors import QueueError, StoreError
from worker.core.logs import emit
from worker.core.outside import Outside
from worker.core.queue import MAX_BATCH
from worker.core.retry import in_place

EXPIRING_S = 48 * 3600
"""A letter that is kept and has less time left than this is archived: SQS would drop it."""
EXPIRING = "expiring"
_AUDITED = frozenset({Finding.GONE, Finding.SKIPPED})


class Settler:
    """Settles verdicts. May run on several threads at once."""

    def __init__(self, outside: Outside, hold: Hold, archive: Archive, pool: Executor, *, retention_s: int) -> None:
        """`retention_s`: how long the DLQ keeps a message, counted from when it was first sent."""
        self._outside = outside
        self._hold = hold
        self._archive = archive
        self._pool = pool
        self._retention_s = retention_s
        self._never = threading.Event()

    def settle(self, verdicts: Sequence[Verdict]) -> tuple[list[Verdict], int]:
        """The verdicts as they came out, and how many settled letters SQS or S3 did not delete (harmless)."""
        verdicts = self._audited(list(self._pool.map(self._archived, map(self._expiring, verdicts))))
        settled = [verdict.letter for verdict in verdicts if verdict.finding is not Finding.KEPT]
        return verdicts, self.delete(settled)

    def delete(self, letters: Sequence[Letter]) -> int:
        """Delete letters that are safe elsewhere; how many are still there, for a later run to find done already."""
        held = [letter for letter in letters if letter.receipt]
        left = 0
        for start in range(0, len(held), MAX_BATCH):
            left += self._delete_ten(held[start : start + MAX_BATCH])
        keys = [letter.spill_key for letter in letters if letter.spill_key]
        try:
            self._try(lambda: self._outside.state.delete_all(keys))
        except StoreError as error:
            emit("recover.delete_failed", "warning", count=len(keys), code=error.code, error=str(error))
            left += len(keys)
        return left

    def _delete_ten(self, letters: Sequence[Letter]) -> int:
        try:
            refused = self._try(lambda: self._outside.dlq.delete([letter.receipt for letter in letters]))
        except QueueError as error:
            emit("recover.delete_failed", "warning", count=len(letters), code=error.code, error=str(error))
            return len(letters)
        finally:
            self._hold.forget(letters)
        for refusal in refused.values():
            emit("recover.delete_failed", "warning", count=1, code=refusal.code, error=refusal.message)
        return len(refused)

    def _expiring(self, verdict: Verdict) -> Verdict:
        letter = verdict.letter
        if verdict.finding is not Finding.KEPT or not letter.sent_ms or letter.spill_key:
            return verdict
        left_s = letter.sent_ms / 1000 + self._retention_s - time.time()
        if left_s >= EXPIRING_S:
            return verdict
        reason = (
            f"{EXPIRING}: SQS would drop it in {max(0, left_s) / 3600:.0f} h; kept so far because: {verdict.reason}"
        )
        return replace(verdict, finding=Finding.ARCHIVED, reason=reason, error_type=EXPIRING)

    def _archived(self, verdict: Verdict) -> Verdict:
        if verdict.finding is not Finding.ARCHIVED:
            return verdict
        try:
            self._try(
                lambda: self._archive.put(
                    verdict.letter, about=verdict.about, reason=verdict.reason, error_type=verdict.error_type
                )
            )
        except StoreError as error:
            return _kept(verdict, error)
        return verdict

    def _audited(self, verdicts: list[Verdict]) -> list[Verdict]:
        """The bodies of what is deleted without a trace in the index are kept in the audit."""
        vanishing = [verdict for verdict in verdicts if verdict.finding in _AUDITED]
        if not vanishing:
            return verdicts
        letters = [verdict.letter for verdict in vanishing]
        try:
            self._try(
                lambda: audit(
                    self._archive.state, "recover", run=self._archive.run, ids=[letter.id for letter in letters],
                    result={one.letter.id: one.reason or one.finding for one in vanishing}, letters=letters,
                )
            )  # fmt: skip
        except StoreError as error:
            return [_kept(verdict, error) if verdict.finding in _AUDITED else verdict for verdict in verdicts]
        return verdicts

    def _try(self, call: Callable[[], Any]) -> Any:
        return in_place(call, passing=is_passing, stop=self._never)


def _kept(verdict: Verdict, error: StoreError) -> Verdict:
    reason = f"the state bucket did not take it: {error}"
    return replace(verdict, finding=Finding.KEPT, reason=reason, error_type=f"StoreError {error.code}")
