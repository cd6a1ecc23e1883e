"""Settles dead letters according to their verdicts: archives or audits them first, and then deletes them from the DLQ.

One that is kept, and that SQS would drop before long, is moved to `dead-letters/`, where it waits as long as it takes.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TypeVar

from recovery.operations.engine import Disposition, Verdict
from recovery.operations.records.archive import Archive
from recovery.operations.transfer.claims import Claims
from worker.core import audit
from worker.core.audit import AuditEvent
from worker.core.base.classify import is_transient
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.retry import retry_transient
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter

T = TypeVar("T")

EXPIRING_S = 48 * 3600
"""A dead letter that is kept, and that SQS is going to drop within this time (in seconds), is moved to `dead-letters/`."""
ARCHIVED = frozenset({Disposition.ARCHIVED, Disposition.SKIPPED})


class Disposer:
    """Settles dead letters. `settle` can run on several threads at once."""

    def __init__(self, claims: Claims, archive: Archive, pool: Executor, *, retention_s: int) -> None:
        """`retention_s` is the retention period of the DLQ in seconds, counted from when a message was first sent."""
        self._claims = claims
        self._archive = archive
        self._pool = pool
        self._retention_s = retention_s
        self._never = threading.Event()

    def settle(self, verdicts: Sequence[Verdict]) -> tuple[list[Verdict], dict[str, str]]:
        """Settle dead letters. Returns the final verdicts, and which settled dead letters are still there, and why (harmless)."""
        verdicts = self._audited(list(self._pool.map(self._archived, verdicts)))
        settled = {
            verdict.dead_letter.id: verdict for verdict in verdicts if verdict.disposition is not Disposition.KEPT
        }
        outcomes = {name: verdict.disposition.value for name, verdict in settled.items()}
        left = self.delete([verdict.dead_letter for verdict in settled.values()], outcomes)
        return list(self._pool.map(self._moved_if_expiring, verdicts)), left

    def delete(self, dead_letters: Sequence[DeadLetter], outcome: Mapping[str, str] | str) -> dict[str, str]:
        """Delete dead letters that are settled; `outcome` says how, of each by id or of all.

        Returns those that could not be deleted, by id, with the reason; a later run finds them already done.
        """
        left = self._claims.remove(dead_letters, outcome)
        for name, why in left.items():
            emit(LogEvent.RECOVER_DELETE_FAILED, "warning", message_id=name, error=why)
        return left

    def _moved_if_expiring(self, verdict: Verdict) -> Verdict:
        dead_letter = verdict.dead_letter
        if verdict.disposition is not Disposition.KEPT or not dead_letter.sent_ms or dead_letter.stored_key:
            return verdict
        left_s = dead_letter.sent_ms / 1000 + self._retention_s - time.time()
        if left_s >= EXPIRING_S:
            return verdict
        now_ms = int(time.time() * 1000)
        try:
            self._try(lambda: dead_letter_store.take_in(self._archive.state, dead_letter, at_ms=now_ms))
        except StoreError as error:
            return replace(verdict, reason=f"SQS drops it in {max(0, left_s) / 3600:.0f} h: {error}; {verdict.reason}")
        self.delete([dead_letter], "")
        return replace(verdict, cause=f"{verdict.cause or verdict.reason}; it would expire soon: now in dead-letters/")

    def _archived(self, verdict: Verdict) -> Verdict:
        if verdict.disposition not in ARCHIVED:
            return verdict
        try:
            self._try(
                lambda: self._archive.put(
                    verdict.dead_letter, about=verdict.about, reason=verdict.reason, error_type=verdict.error_type
                )
            )
        except StoreError as error:
            return _kept(verdict, error)
        return verdict

    def _audited(self, verdicts: list[Verdict]) -> list[Verdict]:
        """Write to the audit, with their bodies, the dead letters that leave no trace in the index; keep them if this fails."""
        vanishing = [verdict for verdict in verdicts if verdict.disposition is Disposition.GONE]
        if not vanishing:
            return verdicts
        dead_letters = tuple(verdict.dead_letter for verdict in vanishing)
        event = AuditEvent(
            "recover",
            self._archive.run,
            self._archive.by,
            ids=tuple(dead_letter.id for dead_letter in dead_letters),
            result={one.dead_letter.id: one.reason or one.disposition.value for one in vanishing},
            dead_letters=dead_letters,
        )
        try:
            self._try(lambda: audit.write(self._archive.state, event))
        except StoreError as error:
            return [_kept(one, error) if one.disposition is Disposition.GONE else one for one in verdicts]
        return verdicts

    def _try(self, call: Callable[[], T]) -> T:
        return retry_transient(call, transient=is_transient, stop=self._never)


def _kept(verdict: Verdict, error: StoreError) -> Verdict:
    reason = f"it could not be written to the state bucket: {error}"
    return replace(verdict, disposition=Disposition.KEPT, reason=reason, error_type=f"StoreError {error.code}")
