"""What the forms on the page of one dead letter do: hold, release, owner, note, and the sending of an edited copy."""

from collections.abc import Mapping
from dataclasses import dataclass

from recovery.ledger.errors import LedgerError
from recovery.ledger.operation_items import Result
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import ENDED, Row, State
from recovery.manager.acting.copying import MAX_BODY_CHARS, Copied, CopyRefusedError, CopyUnclearError, copy
from recovery.manager.acting.single import act_on
from recovery.manager.console.bodies import (
    ATTRIBUTES_BYTES,
    BODY_BYTES,
    STACK_BYTES,
    Shown,
    Wrapped,
    fitting,
    shown,
    wrapped,
)
from recovery.manager.redacted import redacted
from recovery.manager.web.bodies import read_one, record_view
from recovery.manager.web.principal import Principal
from recovery.manager.web.problems import MAX_SHOWN_CHARS
from recovery.manager.web.service import Service
from worker.core.base.address import queue_url
from worker.core.base.errors import ConfigError, PausedError, WorkerError
from worker.core.sqs.failure_record import ATTRIBUTE

FIELD = {Verb.HOLD: "reason", Verb.NOTE: "note", Verb.ASSIGN: "owner"}
"""The field of the form of each verb."""


class NotDoneError(Exception):
    """Raised where what a form asks for was not done; says why, for the page."""

    def __init__(self, why: str, *, status: int = 409, is_unclear: bool = False) -> None:
        """`status`: 503 where asking again may help; `is_unclear`: nobody knows whether it was done."""
        super().__init__(why)
        self.status = status
        self.is_unclear = is_unclear


@dataclass(frozen=True, slots=True)
class ShownBody:
    """What is shown of a message to an operator."""

    body: Shown
    attributes: tuple[tuple[str, str, Shown], ...]
    """Name, type and text; bytes as base64."""
    wrapped: tuple[Wrapped, ...]
    """What is wrapped in the body."""
    stack: Shown
    edited: str | None
    """What is put into the form of an edited copy; None if it is too long, or weighs too much for a page."""


def show_body(service: Service, principal: Principal, row: Row) -> ShownBody:
    """The body, once its view is in the audit. Raises NotDoneError, or StoreError: then it must not be shown."""
    stored = read_one(service.state, row)
    if stored is None:
        raise NotDoneError(f"the object of this dead letter, {row.key}, is gone")
    record_view(service, [row], by=principal.name)
    found = redacted(stored.dead_letter, service.redactor)
    given = {name: one for name, one in found.attributes.items() if name != ATTRIBUTE}
    attributes = tuple(
        (
            name,
            one["DataType"],
            shown(str(one.get("StringValue", one.get("BinaryValue", ""))), ATTRIBUTES_BYTES // len(given)),
        )
        for name, one in given.items()
    )
    edited = found.body if fitting(found.body, BODY_BYTES) == len(found.body) else None
    return ShownBody(shown(found.body), attributes, wrapped(found.body), shown(found.stack, STACK_BYTES), edited)


def say(service: Service, principal: Principal, row: Row, verb: Verb, fields: Mapping[str, str]) -> None:
    """Hold, release, write a note or name an owner. Raises NotDoneError, or LedgerError."""
    _check(row, fields)
    field = FIELD.get(verb)
    options = {} if field is None else {field: fields.get(field, "").replace("\r\n", "\n").strip()}
    try:
        [acted] = act_on(service.ledger, service.verbs, verb, [row], options, by=principal.name)
    except ValueError as error:
        raise NotDoneError(str(error)) from error
    except WorkerError as error:
        raise _not_done(error) from error
    if acted.state is not Result.DONE:
        raise NotDoneError(acted.result)


def send_copy(service: Service, principal: Principal, row: Row, fields: Mapping[str, str]) -> Copied:
    """Send an edited copy. Raises NotDoneError, or LedgerError."""
    _check(row, fields)
    try:
        to = queue_url(fields["to"].strip()) if fields.get("to", "").strip() else None
    except ValueError as error:
        raise NotDoneError(f"the queue {fields['to'].strip()[:MAX_SHOWN_CHARS]!r} {error}") from None
    try:
        stored = read_one(service.state, row)
        body = _as_typed(fields.get("body", ""), stored.dead_letter.body if stored else "")
        if len(body) > MAX_BODY_CHARS:
            raise NotDoneError(f"the body has {len(body):,} characters; at most {MAX_BODY_CHARS:,} can be sent")
        return copy(service.ledger, service.verbs.world, row, body, by=principal.name, to=to)
    except CopyRefusedError as error:
        raise NotDoneError(str(error)) from error
    except CopyUnclearError as error:
        raise NotDoneError(str(error), status=503, is_unclear=True) from error
    except WorkerError as error:
        raise _not_done(error) from error


def _not_done(error: WorkerError) -> Exception:
    """What to raise for an error that came before anything was done: without the ledger, there is no page to say it on."""
    if isinstance(error, LedgerError):
        return error
    if isinstance(error, PausedError):
        return NotDoneError(error.sentence)
    return NotDoneError(str(error), status=409 if isinstance(error, ConfigError) else 503)


def _as_typed(body: str, before: str) -> str:
    """A body as it was typed: a form sends every line end as CR LF (HTML, form submission)."""
    return body if "\r\n" in before else body.replace("\r\n", "\n")


def _check(row: Row, fields: Mapping[str, str]) -> None:
    """Only what somebody has seen is acted upon."""
    if fields.get("version") != str(row.version):
        raise NotDoneError("it has changed since you looked at it: look again, and repeat what you wanted")
    if row.state in {*ENDED, State.MISSING}:
        raise NotDoneError(f"it is {row.state.value}: it has no record any more")
