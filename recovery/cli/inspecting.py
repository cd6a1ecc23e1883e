"""`inspect`: one message whole, what S3 and the index hold of it now, and what to do about it."""

from textwrap import indent
from typing import Any

import orjson
from rich.console import Console, Group
from rich.text import Text

from recovery.cli.context import CommandContext
from recovery.cli.finding import find
from recovery.cli.options import Ids, verb
from recovery.cli.tables import shown, span, table
from recovery.operations.advice import GONE, Advice, Present, advise
from recovery.operations.grouping import Facts
from worker.core.base.errors import ConfigError, ExitCode, IndexUnavailableError, ObjectGoneError, StoreError
from worker.core.base.settings import load
from worker.core.base.text import printable
from worker.core.index import Index, Stored
from worker.core.index.open import open_index
from worker.core.s3.events import ObjectRef
from worker.core.sqs.failure_record import ATTRIBUTE, lossless
from worker.terminal import print_json, stdout

_HISTORY = (
    "kind", "error_type", "message", "fingerprint", "attempts", "redrives", "first_failed_at", "last_failed_at",
    "source_queue", "source_message_id", "worker", "correlation_id",
)  # fmt: skip


@verb(epilog="Examples: dlq inspect --message-id 5f0c… | dlq inspect --message-id 5f0c… --json | jq .failure")
def inspect(context: CommandContext, ids: Ids) -> ExitCode:
    """Show messages whole: body, attributes, why they failed, what S3 and the index hold now, and what to do.

    Exit codes: 0, 1 not found, 3 some not found.
    """
    with context.keep_invisible() as extender:
        found = find(context, extender, ids)
    index, why_not = _index(context)
    try:
        seen = [(facts, _present(context, facts, index, why_not)) for facts in found.facts]
    finally:
        if index is not None:
            index.close()
    context.count("inspect", len(seen))
    advised = [(facts, now, advise(facts, now, context.types, index_is_set=index is not None)) for facts, now in seen]
    if context.as_json:
        print_json([_as_json(context, *one) for one in advised])
    else:
        for one in advised:
            _show(stdout(), context, *one)
    return found.exit_code


def _index(context: CommandContext) -> tuple[Index | None, str]:
    """The index, or why it cannot be asked."""
    try:
        return open_index(load(), context.aws.credentials), ""
    except ConfigError as error:
        return None, f"not asked: {str(error).splitlines()[0]}"


def _present(context: CommandContext, facts: Facts, index: Index | None, why_not: str) -> list[Present]:
    """Every object of a letter as it is now; what cannot be reached says so."""
    held: dict[tuple[str, str], Stored | None] = {}
    names = list({(ref.bucket, ref.key) for ref in facts.refs})
    if index is not None and names:
        try:
            held = dict(zip(names, index.stored(names), strict=True))
        except IndexUnavailableError as error:
            why_not = f"cannot be asked: {error}"
    found = []
    for ref in facts.refs:
        etag, s3 = _in_s3(context, ref)
        stored = held.get((ref.bucket, ref.key))
        found.append(Present(ref, etag, s3, stored, _in_index(stored) if held else why_not))
    return found


def _in_s3(context: CommandContext, ref: ObjectRef) -> tuple[str | None, str]:
    """The present etag, and a sentence: gone only where a GET answered NoSuchKey."""
    try:
        snapshot = context.objects.read(ref.bucket, ref.key)
    except ObjectGoneError:
        return None, GONE
    except StoreError as error:
        return None, f"cannot be asked: {error}"
    snapshot.discard()
    changed = "" if ref.etag in {None, snapshot.etag} else ", changed since the event"
    return (
        snapshot.etag,
        f"{snapshot.size:,} bytes, etag {snapshot.etag}, last modified {snapshot.last_modified}{changed}",
    )


def _in_index(stored: Stored | None) -> str:
    if stored is None:
        return "nothing"
    return f"a document with etag {stored.etag}, extraction {stored.extraction_status or 'unknown'}"


def _as_json(context: CommandContext, facts: Facts, present: list[Present], advice: Advice) -> dict[str, Any]:
    dead_letter = facts.dead_letter
    return {
        **facts.as_json(retention_s=context.retention_s),
        **lossless(dead_letter.id, dead_letter.body, dead_letter.system, dead_letter.attributes),
        "failure": dead_letter.failure or None,
        "now": [
            {"bucket": one.ref.bucket, "key": one.ref.key, "s3": one.s3, "etag": one.etag, "index": one.index,
             "indexed": one.is_indexed}
            for one in present
        ],
        "advice": {"command": advice.command, "why": advice.why},
    }  # fmt: skip


def _show(out: Console, context: CommandContext, facts: Facts, present: list[Present], advice: Advice) -> None:
    dead_letter, one = facts.dead_letter, facts.as_json(retention_s=context.retention_s)
    head = [
        ("type", facts.type), ("about", facts.about),
        ("sent", f"{span(one['age_s'])} ago; SQS drops it in {span(one['expires_in_s'])}"),
        ("receives", one["receives"]),
    ]  # fmt: skip
    failure = dead_letter.failure
    history: list[tuple[str, Any]] = [(name, failure[name]) for name in _HISTORY if failure.get(name) is not None]
    now = [(f"s3://{each.ref.bucket}/{each.ref.key}", each.s3, each.index) for each in present]
    attributes = [
        (name, value.get("DataType"), value.get("StringValue", value.get("BinaryValue")))
        for name, value in dead_letter.attributes.items() if name != ATTRIBUTE
    ]  # fmt: skip
    out.print(Text(shown(dead_letter.id), "bold"), soft_wrap=True)
    out.print(table(("", ""), head))
    out.print(
        table(("failure", ""), history or [("no record", "SQS's redrive policy brought it here, and does not say why")])
    )
    if failure.get("stack"):
        out.print(Text(_set_in(str(failure["stack"])), "dim"), soft_wrap=True)
    if attributes:
        out.print(table(("attribute", "type", "value"), attributes))
    if now:
        out.print(table(("object", "in S3 now", "in the index now"), now))
    out.print(Group(Text("body", "dim"), Text(_set_in(_pretty(dead_letter.body)))), soft_wrap=True)
    out.print(
        Text.assemble(("→ ", "bold"), (shown(advice.command), "bold"), f"\n  because {shown(advice.why)}\n"),
        soft_wrap=True,
    )


def _pretty(body: str) -> str:
    """JSON indented, anything else as it is."""
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except ValueError:
        return body


def _set_in(text: str) -> str:
    """A stranger's lines, set in: none can be taken for ours, such as the advice below; nothing in it moves the cursor."""
    return indent(printable(text).rstrip(), "    ", lambda _: True)
