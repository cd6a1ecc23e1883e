"""Recommends a command for a dead letter: the one that does what recovery's own verdict says, or what else helps."""

import shlex
from dataclasses import dataclass, replace

from recovery.operations.dead_letters.facts import MAX_REDRIVES, Facts
from recovery.operations.dead_letters.message_types import S3_EVENT, UNKNOWN, MessageTypes
from recovery.operations.dead_letters.short_ids import as_argument
from recovery.operations.engine import Disposition, Verdict
from recovery.operations.recovering.outlook import sentence
from recovery.operations.transfer.sending import Rules
from worker.core.base.text import exact
from worker.core.index import Stored
from worker.core.indexing.pipeline import is_current
from worker.core.s3.events import ObjectRef
from worker.core.s3.objects import ObjectState
from worker.core.sqs.dead_letter import Refused

GONE = "not there"
DOCTOR = "s3-index-worker doctor"
MALFORMED, FAILS_AGAIN = "malformed", "fails again each time"
"""What the archive says of dead letters that are deleted as the advice recommends."""


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

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {
            "bucket": self.ref.bucket, "key": self.ref.key, "s3": self.s3,
            "etag": None if self.state is None else self.state.etag, "index": self.index, "indexed": self.is_indexed,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outlook:
    """What commands would find now."""

    verdict: Verdict | None = None
    """Recovery's, of a dry run; None where there is none."""
    unavailable: str = ""
    """Why recovery would not even begin: the index or the state bucket cannot be used. Empty also if no index is set."""
    refused: str = ""
    """Why no command may act on it at this moment: somebody holds it, has sent it, or is acting on it."""
    is_paused: bool = False
    """Whether the fleet is paused."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommended command, and the reason."""

    command: str
    why: str
    first: str = ""
    """What must be corrected before the command can help; empty if it helps now."""
    instead: tuple[str, ...] = ()
    """The commands that give up what `first` would make recoverable; words in capitals are the operator's to replace."""

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {"first": self.first or None, "command": self.command, "why": self.why, "instead": list(self.instead)}


def advise(facts: Facts, rules: Rules, types: MessageTypes, outlook: Outlook) -> Advice:
    """Return the command that an operator should run next; `rules` say what can be sent to a queue."""
    if outlook.refused:
        why = f"{outlook.refused}. Until this has changed, every command leaves it alone; look at it again then"
        return _command("inspect", facts, why)
    fault = types.fault(facts.dead_letter.body)
    if fault is not None and not facts.refs and _is_unusable(outlook.verdict):
        return _delete(facts, f"it can never be processed: {fault}", MALFORMED)
    if facts.type not in {S3_EVENT, UNKNOWN}:
        return _redrive(facts, rules, outlook, "it is valid, and only its own consumer can process it")
    if outlook.unavailable:
        why = f"recovery cannot begin: {outlook.unavailable}. The command says what is wrong; nothing is lost meanwhile"
        return Advice(DOCTOR, why)
    if outlook.verdict is None:
        why = "it is valid; without INDEX_URL, its document cannot be checked or recovered"
        return _redrive(facts, rules, outlook, why)
    return _recover(facts, outlook.verdict, outlook)


def _is_unusable(verdict: Verdict | None) -> bool:
    """Whether recovery has no work for a message without objects: it is no test event or the like."""
    return verdict is None or verdict.disposition in {Disposition.ARCHIVED, Disposition.KEPT}


def _recover(facts: Facts, verdict: Verdict, outlook: Outlook) -> Advice:
    why = sentence(verdict)
    match verdict.disposition:
        case Disposition.RECOVERED:
            why += "; if the index refuses the document, it goes to retry-index/"
        case Disposition.ARCHIVED:
            why += ". What it names is indexed nevertheless, if only by its name" if facts.refs else ""
        case Disposition.KEPT if verdict.is_final:
            advice = _command("recover", facts, f"{why}. Until then, the command keeps it", outlook=outlook)
            return replace(advice, first=_correction(facts, verdict), instead=_giving_up(facts, verdict))
        case Disposition.KEPT:
            why += ". The same command tries again, and keeps it as long as this lasts"
    return _command("recover", facts, why, outlook=outlook)


def _correction(facts: Facts, verdict: Verdict) -> str:
    """What the operator has to correct, as an instruction."""
    bucket, key = (exact(facts.refs[0].bucket), exact(facts.refs[0].key)) if facts.refs else ("", "")
    match verdict.error_type.split()[-1:]:
        case ["NoSuchBucket"]:
            return f"create s3://{bucket} again, if it should exist"
        case ["AccessDenied" | "AllAccessDisabled"]:
            return f"grant s3:GetObject on s3://{bucket}/* to the worker's role, and kms:Decrypt if it is encrypted"
        case ["UnreadableFileError"]:
            return f"replace s3://{bucket}/{key} by a file that can be read"
    return "correct the cause, which is named below"


def _giving_up(facts: Facts, verdict: Verdict) -> tuple[str, ...]:
    """The commands that give up all messages of its cause; if their bucket is gone for good, its documents too.

    A group may have messages of several buckets, of which the others may come back.
    """
    which = f"--group {shlex.quote(facts.fingerprint)}" if facts.fingerprint else as_argument(facts.dead_letter.id)
    if not (facts.refs and verdict.error_type.endswith("NoSuchBucket")):
        return (f"dlq abandon {which} --reason WHY",)
    bucket = facts.refs[0].bucket
    if facts.fingerprint:
        which += f" --match {shlex.quote(f's3://{bucket}/')}"
    return f"dlq abandon {which} --reason WHY", f"s3-index-worker forget {shlex.quote(f's3://{bucket}')}"


def _redrive(facts: Facts, rules: Rules, outlook: Outlook, why: str) -> Advice:
    entry = rules.redriven(facts.dead_letter)
    if not isinstance(entry, Refused):
        return _command("redrive", facts, why, outlook=outlook)
    redrives = facts.dead_letter.redrives
    if redrives >= MAX_REDRIVES:
        return _delete(facts, f"it has been redriven {redrives} times and failed again; {why}", FAILS_AGAIN)
    return _command("redrive", facts, f"{why}. {entry.reason}", outlook=outlook, options=" --force")


def _delete(facts: Facts, why: str, reason: str) -> Advice:
    return _command("delete", facts, why, options=f" --reason {shlex.quote(reason)}")


def _command(verb: str, facts: Facts, why: str, *, outlook: Outlook | None = None, options: str = "") -> Advice:
    if outlook is not None and outlook.is_paused:
        options += " --while-paused"
        why += ". The fleet is paused: without --while-paused, the command refuses"
    return Advice(f"dlq {verb} {as_argument(facts.dead_letter.id)}{options}", why)
