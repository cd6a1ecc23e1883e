"""The dead letters that one run is acting on, wherever they are: nobody else may act on them meanwhile.

A dead letter in the DLQ is claimed by receiving it, because it then stays invisible. A stored one is claimed in its record,
which one run at a time can write. Once the run has acted, a dead letter of the DLQ is deleted there; a stored one is marked as
sent, or deleted once the audit says what has become of it.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Self, TypeVar

from recovery.operations.dead_letters.stored import Passing, why_not
from worker.core import audit
from worker.core.audit import AuditEvent, Run
from worker.core.base.classify import is_transient
from worker.core.base.clock import S3Clock
from worker.core.base.concurrency import at_once
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.retry import retry_transient
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.queue import MAX_BATCH, Queue, in_batch
from worker.core.sqs.stored_dead_letter import Claim, Retry, Sending, StoredDeadLetter, StoredState
from worker.core.sqs.visibility import VisibilityExtender

T = TypeVar("T")

CLAIM_S = 900
"""A claim whose run was killed keeps others waiting so long at most; as long as a message may be in flight (DESIGN)."""
THREADS = 16
"""Number of records written at once."""


class Unreadable(Passing):
    """Why nothing can be done with a dead letter while S3 refuses."""

    __slots__ = ()


class Claims:
    """The claims of one run. May be used from any thread, but each dead letter by one at a time."""

    def __init__(
        self, dlq: Queue, state: State | None, run: Run, extender: VisibilityExtender, clock: S3Clock, *,
        refuse: Callable[[StoredDeadLetter], str] = lambda _: "",
    ) -> None:  # fmt: skip
        """`extender` keeps invisible what was received from the DLQ; `clock` is S3's, which dates claims.

        `refuse` says why this run in particular must not act on a record as it is now; nothing if it may.
        """
        self.extender = extender
        self.copies: dict[str, list[DeadLetter]] = {}
        """Messages of the DLQ that are copies of stored dead letters, by dead letter id; they are deleted with these."""
        self.sendings: dict[str, Sending] = {}
        """What the records say of those that were settled as sent, by dead letter id."""
        self._dlq = dlq
        self._state = state
        self._run = run
        self._clock = clock
        self._refuse = refuse
        self._held: dict[str, StoredDeadLetter] = {}
        """The claimed records, by dead letter id."""
        self._taken_ms: dict[str, int] = {}
        """When each was last claimed: whoever sends it does so after that time."""
        self._never = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """At the end, however it comes, whatever is still claimed is released."""
        with self.extender.running():
            try:
                yield self
            finally:
                self.release()

    def take(self, dead_letters: Iterable[DeadLetter]) -> dict[str, str]:
        """Claim the stored ones among these. Returns those that must not be acted upon, by id, with the reason."""
        taken = list(dead_letters)
        left = {name: why for name, why in self._each(self._take, taken) if why}
        self._taken_ms |= dict.fromkeys((one.id for one in taken if one.id not in left), self._clock.earliest_ms())
        return left

    def sent(
        self, dead_letters: Sequence[DeadLetter], *, to: str, unconfirmed_s: float, by_schedule: bool = False
    ) -> dict[str, str]:
        """Settle dead letters that a queue has accepted. Returns those that stay as they were as well, by id, with the reason.

        They count as sent when they were claimed: a worker may have been faster than the answer of SQS. `unconfirmed_s` is
        the time in which they should be processed or return; until then, no one sends them again. `by_schedule` counts a retry.
        """
        now_ms, retries = self._clock.now_ms(), int(by_schedule)

        def mark(dead_letter: DeadLetter) -> str:
            held, at_ms = self._held.pop(dead_letter.id), self._taken_ms.pop(dead_letter.id, now_ms)
            sending = Sending(at_ms, self._run.by, self._run.name, to, now_ms + int(unconfirmed_s * 1000))
            self.sendings[dead_letter.id] = sending
            done = _sent(held, sending, retries)
            return self._try(lambda: "" if not self._write(done) else self._mark_changed(held, sending, retries))

        left = {name: why for name, why in self._each(mark, dead_letters) if why}
        return left | self._delete_received(dead_letters, but=left)

    def remove(
        self, dead_letters: Sequence[DeadLetter], outcome: Mapping[str, str] | str, *, reason: str = ""
    ) -> dict[str, str]:
        """Delete dead letters that are safe elsewhere. Returns those that were not deleted, by id, with the reason.

        What has become of a stored one (`outcome`: of each, by id, or of all) is in the audit before its record is deleted,
        with the reason that somebody gave: nothing else tells a record that was dealt with from one that was lost.
        """
        stored = [one for one in dead_letters if one.stored_key]
        left: dict[str, str] = {}
        if stored and self._state is not None:
            why = self._try(lambda: self._delete_stored(stored, outcome, reason))
            left = {one.id: why for one in stored if why and self._is_there(one)}
            for one in stored:
                if one.id not in left:
                    self._held.pop(one.id, None)
        return left | self._delete_received(dead_letters, but=left)

    def forget(self, dead_letter: DeadLetter) -> None:
        """Let the claim on a stored dead letter be: its record is about to be destroyed, and must not be written again."""
        self._held.pop(dead_letter.id, None)

    def release(self) -> None:
        """End the claims on all stored dead letters that were not settled."""

        def let_go(held: StoredDeadLetter) -> str:
            return self._try(lambda: self._write(replace(held, claim=None)))

        held = list(self._held.values())
        self._held.clear()
        for one, why in zip(held, _at_once(let_go, held), strict=True):
            if why:  # the claim ends by itself
                emit(LogEvent.CLAIM_NOT_ENDED, "warning", name=one.key, error=why)

    # -- stored dead letters -----------------------------------------------------------------------------------------

    def _take(self, dead_letter: DeadLetter) -> str:
        """Claim one; why that is not possible, or nothing."""
        if dead_letter.id in self._held and not self._is_ending(self._held[dead_letter.id]):
            return ""
        for _ in range(dead_letter_store.ATTEMPTS):
            found = dead_letter_store.read(self._need_state(), dead_letter.stored_key)
            if found is None:
                return "it is no longer stored: someone has dealt with it meanwhile, as the audit says"
            now_ms = self._clock.now_ms()
            if reason := why_not(found, run=self._run.name, now_ms=now_ms) or self._refuse(found):
                return reason
            claim = Claim(self._run.by, self._run.name, now_ms + CLAIM_S * 1000)
            written = dead_letter_store.write(self._need_state(), replace(found, claim=claim))
            if written is not None:
                self._held[dead_letter.id] = written
                return ""
        return Passing("others are acting on it at this moment")

    def _is_ending(self, held: StoredDeadLetter) -> bool:
        """Whether a claim has used up half its time: it is then renewed before anything is done."""
        return held.claim is None or held.claim.until_ms - self._clock.now_ms() < CLAIM_S * 1000 / 2

    def _write(self, stored: StoredDeadLetter) -> str:
        """Write a record that this run has claimed; why it was not written, or nothing."""
        return "" if dead_letter_store.write(self._need_state(), stored) else "its record has changed meanwhile"

    def _mark_changed(self, held: StoredDeadLetter, sending: Sending, retries: int) -> str:
        """Mark as sent what has changed since it was claimed. If it came here once more meanwhile, it stays open."""
        found = dead_letter_store.read(self._need_state(), held.key)
        if found is None:
            return ""
        came_back = found.arrivals != held.arrivals
        done = _sent(found, sending, retries)
        return self._write(
            replace(done, state=found.state, retry=replace(found.retry, count=done.retry.count)) if came_back else done
        )

    def _delete_stored(self, stored: Sequence[DeadLetter], outcome: Mapping[str, str] | str, reason: str) -> str:
        state = self._need_state()
        results = {one.id: outcome if isinstance(outcome, str) else outcome.get(one.id, "") for one in stored}
        details = {"reason": reason} if reason else {}
        audit.write(state, AuditEvent(self._run.action, self._run.name, self._run.by, tuple(results), results, details))
        state.delete_all([one.stored_key for one in stored])
        return ""

    def _is_there(self, dead_letter: DeadLetter) -> bool:
        """Whether a record that could not be deleted is still there, or may be: others of the same call may be gone."""
        try:
            return self._need_state().get(dead_letter.stored_key) is not None
        except StoreError:
            return True

    def _need_state(self) -> State:
        if self._state is None:
            raise StoreError("there is no state bucket", code="NoSuchBucket")
        return self._state

    def _each(self, act: Callable[[DeadLetter], str], dead_letters: Iterable[DeadLetter]) -> list[tuple[str, str]]:
        """Do something with each stored one, several at once: its id, and what that says. Never raises StoreError."""
        stored = [one for one in dead_letters if one.stored_key]
        results = _at_once(lambda one: self._try(lambda: act(one)), stored)
        return [(one.id, why) for one, why in zip(stored, results, strict=True)]

    def _try(self, call: Callable[[], str]) -> str:
        try:
            return retry_transient(call, transient=is_transient, stop=self._never)
        except (StoreError, ValueError) as error:
            return Unreadable(f"its record could not be read or written: {error}")

    # -- the DLQ -----------------------------------------------------------------------------------------------------

    def _delete_received(self, dead_letters: Sequence[DeadLetter], *, but: Mapping[str, str]) -> dict[str, str]:
        """Delete from the DLQ what came from there, and the copies of stored ones. Never raises."""
        settled = [one for one in dead_letters if one.id not in but]
        received = [one for one in settled if one.receipt]
        received += [copy for one in settled for copy in self.copies.pop(one.id, ())]
        left: dict[str, str] = {}
        for start in range(0, len(received), MAX_BATCH):
            batch = received[start : start + MAX_BATCH]
            refused = in_batch(self._dlq.delete, [one.receipt for one in batch], stop=self._never)
            self.extender.forget(batch)
            left |= {batch[at].id: f"{refusal.code}: {refusal.message}" for at, refusal in refused.items()}
        return left


def _sent(stored: StoredDeadLetter, sending: Sending, retries: int) -> StoredDeadLetter:
    """A record after its dead letter was sent: nobody acts on it, and nothing will send it by itself."""
    retry = Retry(stored.retry.count + retries)
    return replace(stored, state=StoredState.SENT, sent=sending, claim=None, retry=retry)


def _at_once(act: Callable[[T], str], items: Sequence[T]) -> list[str]:
    return at_once(act, items, threads=THREADS, name="claims")
