"""Recommends a command for a dead letter, based on the current state of its objects in S3 and in the index."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery.operations.dead_letters.facts import MAX_REDRIVES, Facts
from recovery.operations.dead_letters.message_types import S3_EVENT, MessageTypes
from worker.core.base.classify import FailureKind
from worker.core.index import Stored
from worker.core.indexing.pipeline import is_current
from worker.core.s3.events import ObjectRef
from worker.core.s3.objects import ObjectState

GONE = "not there"


@dataclass(frozen=True, slots=True)
class Present:
    """The current state of one object that a dead letter refers to."""

    ref: ObjectRef
    state: ObjectState | None
    """Its state in S3; None if it does not exist or S3 did not answer."""
    s3: str
    """The same as text for the operator, with the reason if it is not known."""
    stored: Stored | None
    """Its document in the index; None if there is none or the index did not answer."""
    index: str
    """Its state in the index, as text for the operator."""

    @property
    def is_indexed(self) -> bool:
        """Whether the index contains the object in its current state, with its text."""
        return is_current(self.stored, self.state)

    @property
    def is_unchanged(self) -> bool:
        """Whether the object in S3 is the version that the event referred to; False if the event has no etag."""
        return self.etag is not None and self.etag == self.ref.etag

    @property
    def etag(self) -> str | None:
        """Its etag in S3."""
        return None if self.state is None else self.state.etag

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {
            "bucket": self.ref.bucket, "key": self.ref.key, "s3": self.s3, "etag": self.etag, "index": self.index,
            "indexed": self.is_indexed,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommended command, and the reason."""

    command: str
    why: str

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {"command": self.command, "why": self.why}


def advise(facts: Facts, present: Sequence[Present], types: MessageTypes, *, index_is_set: bool) -> Advice:
    """Return the command that an operator should run next."""
    fault = types.fault(facts.dead_letter.body)
    if fault is not None:
        return _command("delete", facts, f"it can never be processed: {fault}", reason="malformed")
    if facts.type != S3_EVENT:
        return _redrive(facts, "it is valid, and only its own consumer can process it")
    if not index_is_set:
        return _redrive(facts, "it is valid; without INDEX_URL, its document cannot be checked or recovered")
    if present and all(one.is_indexed for one in present):
        return _command(
            "recover", facts, "the index holds the object as it is now: this only deletes the message from the DLQ"
        )
    if present and all(one.s3 == GONE for one in present):
        return _command(
            "recover",
            facts,
            "the object is gone: this removes its document, if there is one, and keeps the message in the audit",
        )
    return _by_kind(facts, present)


def _by_kind(facts: Facts, present: Sequence[Present]) -> Advice:
    """The advice for an object that exists but whose current version is not in the index."""
    kind = facts.dead_letter.kind
    if kind is FailureKind.USER_ERROR and all(one.is_unchanged for one in present):
        why = "the file cannot be read, and has not changed since; it can still be found by its name"
        return _command("delete", facts, why, reason="unreadable file")
    if kind is FailureKind.USER_ERROR:
        return _command("recover", facts, "the file could not be read, and may have been replaced since")
    if kind is FailureKind.SYSTEM_ERROR:
        return _command(
            "recover",
            facts,
            "the configuration or the code was wrong: once this is corrected, the command indexes the object at once",
        )
    return _command(
        "recover", facts, "the cause may be gone: this indexes the object as it is now, and reports the result"
    )


def _redrive(facts: Facts, why: str) -> Advice:
    redrives = facts.dead_letter.redrives
    if redrives >= MAX_REDRIVES:
        return _command(
            "delete",
            facts,
            f"it has been redriven {redrives} times and failed again; {why}",
            reason="fails again each time",
        )
    return _command("redrive", facts, why)


def _command(verb: str, facts: Facts, why: str, *, reason: str = "") -> Advice:
    ending = f" --reason '{reason}'" if reason else ""
    return Advice(f"dlq {verb} --message-id {facts.dead_letter.id}{ending}", why)
