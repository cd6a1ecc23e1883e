"""What to do about one dead letter: the command to type, and why, given what S3 and the index hold now."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery.operations.dead_letters.facts import MAX_REDRIVES, Facts
from recovery.operations.dead_letters.message_types import S3_EVENT, MessageTypes
from worker.core.base.classify import FailureKind
from worker.core.extract import FAILURES
from worker.core.index import Stored
from worker.core.s3.events import ObjectRef

GONE = "not there"


@dataclass(frozen=True, slots=True)
class Present:
    """One object that a dead letter refers to, as it is now."""

    ref: ObjectRef
    etag: str | None
    """S3's; None where nothing was found, or S3 could not be asked."""
    s3: str
    """For a person."""
    stored: Stored | None
    """What the index holds; None where it holds nothing, or could not be asked."""
    index: str
    """For a person."""

    @property
    def is_indexed(self) -> bool:
        """Whether the index holds the object as it is now, with its text."""
        stored = self.stored
        return (
            stored is not None and stored.etag is not None and stored.etag == self.etag
            and stored.extraction_status not in FAILURES
        )  # fmt: skip

    @property
    def is_unchanged(self) -> bool:
        """Whether S3 still holds what the event referred to, as far as the event says."""
        return self.etag is not None and self.ref.etag is not None and self.etag == self.ref.etag

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {
            "bucket": self.ref.bucket, "key": self.ref.key, "s3": self.s3, "etag": self.etag, "index": self.index,
            "indexed": self.is_indexed,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Advice:
    """One command, and why this one."""

    command: str
    why: str

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {"command": self.command, "why": self.why}


def advise(facts: Facts, present: Sequence[Present], types: MessageTypes, *, index_is_set: bool) -> Advice:
    """What an operator should do next."""
    fault = types.fault(facts.dead_letter.body)
    if fault is not None:
        return _command("delete", facts, f"it can never be handled: {fault}", reason="malformed")
    if facts.type != S3_EVENT:
        return _redrive(facts, "it is valid, and only its own consumer can handle it")
    if not index_is_set:
        return _redrive(facts, "it is valid; without INDEX_URL nothing more can be told, nor recovered, from here")
    if present and all(one.is_indexed for one in present):
        return _command("recover", facts, "the index holds the object as it is now: it is only taken off the DLQ")
    if present and all(one.s3 == GONE for one in present):
        return _command(
            "recover", facts, "the object is gone: its document is removed, if there is one, and the body audited"
        )
    return _by_kind(facts, present)


def _by_kind(facts: Facts, present: Sequence[Present]) -> Advice:
    """For an object that is there, and not in the index as it is."""
    kind = facts.dead_letter.kind
    if kind is FailureKind.USER_ERROR and all(one.is_unchanged for one in present):
        why = "the file is at fault, and has not changed since; it can be found by its name all the same"
        return _command("delete", facts, why, reason="unreadable file")
    if kind is FailureKind.USER_ERROR:
        return _command("recover", facts, "the file was at fault, and may have been replaced since")
    if kind is FailureKind.SYSTEM_ERROR:
        return _command(
            "recover", facts, "set-up or code was at fault: once that is corrected, this indexes it at once"
        )
    return _command(
        "recover", facts, "what failed may work again: this indexes the object as it is now, and says what happened"
    )


def _redrive(facts: Facts, why: str) -> Advice:
    redrives = facts.dead_letter.redrives
    if redrives >= MAX_REDRIVES:
        return _command("delete", facts, f"it came back {redrives} times; {why}", reason="comes back each time")
    return _command("redrive", facts, why)


def _command(verb: str, facts: Facts, why: str, *, reason: str = "") -> Advice:
    ending = f" --reason '{reason}'" if reason else ""
    return Advice(f"dlq {verb} --message-id {facts.dead_letter.id}{ending}", why)
