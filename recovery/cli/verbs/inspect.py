"""`dlq inspect`: shows a complete message, the current state of its objects, and a recommended command."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from textwrap import indent

import orjson
from rich.console import Console
from rich.text import Text

from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report, found_code
from recovery.cli.verb import verb
from recovery.cli.view.status import retries, status
from recovery.cli.view.tables import facts_table, shown, table
from recovery.operations.advice import Advice
from recovery.operations.dead_letters.facts import Ids
from recovery.operations.dead_letters.stored import is_retry
from recovery.operations.inspect import Inspection, Recovery
from recovery.operations.inspect import inspect as inspect_messages
from recovery.operations.recovering.outlook import dry_engine
from recovery.operations.recovering.preconditions import check_state_and_index
from worker.core.base.errors import ConfigError, DependencyError, ExitCode
from worker.core.base.text import exact, printable
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.failure_record import ATTRIBUTE
from worker.core.sqs.stored_dead_letter import StoredDeadLetter, StoredState
from worker.layout import Command, Sentence, show
from worker.terminal import iso, print_json, span, stdout

_DEEPER = "      "
"""What the second line begins with, and all others, where a line of the body or the stack is wrapped."""
_HISTORY = (
    "kind", "error_type", "reason", "message", "fingerprint", "attempts", "redrives", "first_failed_at", "last_failed_at",
    "source_queue", "source_message_id", "worker", "correlation_id", "dead_letter_id", "source_service",
    "routing_key", "metadata",
)  # fmt: skip


@verb(epilog="Examples: dlq inspect 5f0c3a | dlq inspect 5f0c3a 77ab90 --json | jq '.[].failure'")
def inspect(context: CommandContext, ids: Ids) -> ExitCode:
    """Show complete messages: body, attributes, failure, current state in S3 and in the index, and what to do.

    Exit codes: 0, 1 not found, 3 some not found.
    """
    with context.claiming() as claims:
        found = find_and_report(context, claims, ids)
    with _recovery(context) as recovery:
        inspected = inspect_messages(context.clients, recovery, found.facts)
    context.count("inspect", len(inspected))
    if context.as_json:
        print_json([one.as_json(retention_s=context.retention_s) for one in inspected])
    else:
        for one in inspected:
            _show(stdout(), one, context.retention_s)
    return found_code(found)


@contextmanager
def _recovery(context: CommandContext) -> Iterator[Recovery]:
    """What says what `dlq recover` would do now, or why there is none."""
    clients = context.clients  # they read no content of objects, unlike those of recovery
    try:
        settings = context.worker_settings()
        own = context.indexing_clients(settings)
    except ConfigError as error:
        yield Recovery(why_no_index=f"not asked: {str(error).splitlines()[0]}")
        return
    with ExitStack() as stack:
        stack.callback(own.index.close)
        try:
            check_state_and_index(settings, own)
        except (ConfigError, DependencyError) as error:
            yield Recovery(own.index, unavailable=str(error))
            return
        engine = dry_engine(settings, own, clients.types, context.signals.stop, stack)
        yield Recovery(own.index, engine=engine)


def _show(out: Console, inspected: Inspection, retention_s: int) -> None:
    facts, dead_letter, age_s = inspected.facts, inspected.facts.dead_letter, inspected.facts.age_s()
    head = [
        ("type", facts.type),
        ("about", Text(exact(facts.about))),
        ("sent", f"{span(age_s)} ago; {_expiry(dead_letter, retention_s - age_s)}"),
        ("receives", f"{dead_letter.receives:,} (your own looks included)"),
        *_stored(inspected.stored),
    ]
    failure = {} if dead_letter.failure is None else dead_letter.failure.as_json()
    history = [(name, _cell(failure[name])) for name in _HISTORY if name in failure]
    now = [
        row
        for each in inspected.present
        for row in (
            ("object", Text(exact(f"s3://{each.ref.bucket}/{each.ref.key}"))), ("in S3", each.s3), ("in the index", each.index)
        )
    ]  # fmt: skip
    attributes = [
        (name, value.get("DataType"), value.get("StringValue", value.get("BinaryValue")))
        for name, value in dead_letter.attributes.items() if name != ATTRIBUTE
    ]  # fmt: skip
    no_record = [("no record", "SQS's redrive policy moved it here, and records no reason")]
    show(
        out, Text(shown(dead_letter.id), "bold"), facts_table(head), facts_table(history or no_record, called="failure")
    )
    if facts.failure.stack:
        show(out, Sentence(Text(_indented(facts.failure.stack), "dim"), then=_DEEPER))
    if attributes:
        show(out, table(("attribute", "type", "value"), attributes))
    if now:
        show(out, facts_table(now, called="now"))
    show(out, Text("body", "dim"), Sentence(_indented(_pretty(dead_letter.body)), then=_DEEPER))
    _show_advice(out, inspected.advice)


def _show_advice(out: Console, advice: Advice) -> None:
    """What to correct first, the command that helps then, the reason, and the commands that give up instead."""
    if advice.first:
        show(out, Sentence(f"first {shown(advice.first)}; then"))
    show(out, Command(shown(advice.command), before="→ "), Sentence(f"  because {shown(advice.why)}", then="    "))
    if advice.instead:
        show(
            out,
            Text(
                "or give it up, with all others that this selects:"
                if "--group" in advice.instead[0]
                else "or give it up:"
            ),
        )
        show(out, *(Command(shown(command), before="→ ") for command in advice.instead))
    show(out, Text())


def _expiry(dead_letter: DeadLetter, left_s: int) -> str:
    return f"stored in {dead_letter.stored_key}" if dead_letter.stored_key else f"SQS drops it in {span(left_s)}"


def _stored(stored: StoredDeadLetter | None) -> list[tuple[str, object]]:
    """What its record in `dead-letters/` says about its life until now."""
    if stored is None:
        return []
    said: list[tuple[str, object]] = [("status", status(stored))]
    said += [("owner", stored.owner)] if stored.owner else []
    said += [("note", stored.note)] if stored.note else []
    if stored.retry.at_ms is not None:
        said.append(("next retry", f"{iso(stored.retry.at_ms / 1000)}, after {retries(stored, ordinal=False)}"))
    rows = said + [("came here", f"{iso(at_ms / 1000)} as {one}") for one, at_ms in stored.arrivals.items()]
    if stored.sent is not None:
        now = "; its result is not known yet" if stored.state is StoredState.SENT else ""
        what = "retried" if is_retry(stored.sent.run) else "redriven"
        rows.append((what, f"{iso(stored.sent.at_ms / 1000)} by {stored.sent.by} to {stored.sent.to}{now}"))
    if stored.claim is not None:
        rows.append(
            ("claimed", f"until {iso(stored.claim.until_ms / 1000)} by {stored.claim.holder} ({stored.claim.run})")
        )
    return rows


def _cell(value: object) -> object:
    return orjson.dumps(value).decode() if isinstance(value, dict) else value


def _pretty(body: str) -> str:
    """Indent JSON, and leave anything else unchanged."""
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except (ValueError, TypeError):
        return body


def _indented(text: str) -> str:
    """Escape and indent untrusted text, so that none of its lines can be mistaken for our own output, such as the advice."""
    return indent(printable(text).rstrip(), "    ", lambda _: True)
