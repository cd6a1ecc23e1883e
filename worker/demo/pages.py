"""The output of the demo: the result for each file, searches with their hits, and the messages that failed."""

import mimetypes
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Console
from rich.text import Text

from worker.core.base.text import exact, one_line
from worker.core.index import Index
from worker.core.sqs.failure_record import FailureRecord
from worker.demo.files import Upload, said
from worker.layout import Command, Sentence, show
from worker.render import hit_text, size
from worker.tables import Column, Table

QUESTIONS = ("京都", "見積書 テンプレート", '"quarterly forecast" ext:pptx')
"""Searches in the samples: a word of two characters, two words in any order, an exact phrase in files of one type."""
MAX_ROWS = 60
MAX_HITS = 3
_FILE_COLUMNS = (
    Column("file", text=True), Column("type"), Column("size", right=True), Column("chars", right=True),
    Column("result", text=True, least=12),
)  # fmt: skip

_MEANINGS = {
    "ok": ("indexed", "green"),
    "partial": ("indexed, in part", "yellow"),
    "empty": ("indexed, an empty file", "green"),
    "metadata_only": ("by name: it has no text", "cyan"),
    "archived": ("by name: archived", "cyan"),
    "too_large": ("by name: too large", "cyan"),
}


def introduce(out: Console, upload: Upload, index: str) -> None:
    """Print what is about to happen."""
    out.print(
        Text(f"{_count(len(upload.files), 'file')} of {exact(str(upload.folder))} → S3 → SQS → worker → index", "bold")
    )
    out.print("S3 and SQS run in this process, on loopback; the worker is the real daemon. No AWS account is used.")
    show(out, Sentence(Text(f"index: {index}", "dim")))
    if upload.left_out:
        show(out, Sentence(Text(f"left out: {said(upload.left_out)}", "yellow")))


def show_files(
    out: Console, settled: Mapping[str, Mapping[str, Any]], documents: Mapping[str, Mapping[str, Any]], took_s: float
) -> None:
    """Print a table with a row for each file."""
    rows, cells = sorted(settled), []
    for key in rows[:MAX_ROWS]:
        fields = documents.get(key, {})
        count = fields.get("char_count") or 0
        kind = _kind(str(fields.get("mime_type", "?")), key)
        length = size(fields.get("file_size") or 0)
        cells.append((Text(exact(key)), kind, length, count or None, _became(settled[key], fields)))
    out.print()
    show(out, Table(_FILE_COLUMNS, cells))
    if len(rows) > MAX_ROWS:
        out.print(f"… and {len(rows) - MAX_ROWS} more")
    failed = sum(event["outcome"] == "failed" for event in settled.values())
    out.print()
    out.print(
        f"All {_count(len(rows), 'message')} settled within {took_s:.1f} s of the worker's start.", highlight=False
    )
    out.print(
        f"The index has {_count(len(documents), 'document')}; {_count(failed, 'message')} went to the dead-letter queue."
    )


def show_searches(out: Console, index: Index, questions: Sequence[str]) -> None:
    """Print each search as a command, with its best hits."""
    for question in questions:
        out.print()
        out.print(Text.assemble(("$ ", "dim"), (f"s3-index-worker search {quote(question)}", "bold cyan")))
        show_hits(out, index, question)
    if not questions:
        out.print("\nNo rare word was found in the texts to search for. Every file can be found by its name.")


def show_hits(out: Console, index: Index, question: str) -> int:
    """Print the best hits of a search; how many are printed."""
    result = index.search(question, limit=MAX_HITS)
    for hit in result.hits:
        show(out, Sentence(hit_text(hit), then="    "))
    shown = f", {len(result.hits)} shown" if result.total > len(result.hits) else ""
    out.print(Text(f"{result.total} found{shown}", "dim"))
    return len(result.hits)


def show_dead_letters(out: Console, dead_letters: Sequence[tuple[str, FailureRecord]]) -> None:
    """Print the failed messages, each with its reason."""
    out.print()
    if not dead_letters:
        out.print("The dead-letter queue is empty: every file could be read.")
        return
    out.print(Text("The dead-letter queue has the unchanged message, and beside it the reason why it failed:", "bold"))
    for key, record in dead_letters:
        out.print(Text.assemble((exact(key), "bold"), one_line(f"  {record.kind} · {record.error_type}")))
        show(out, Sentence(Text("  " + exact(record.message), "red"), then="    "))
        facts = (f"{name} {getattr(record, name)}" for name in ("attempts", "first_failed_at", "worker", "fingerprint"))
        show(out, Sentence(Text("  " + one_line(" · ".join(facts)), "dim"), then="    "))


def show_outage(out: Console, stored: int, healed_s: float) -> None:
    """Print what happened to the files that arrived while the index was unavailable."""
    out.print()
    out.print(Text("Then the index was unavailable while files arrived", "bold"))
    show(
        out,
        Sentence(
            f"No message waited: {_count(stored, 'document')} went to retry-index/ in S3. {healed_s:.1f} s after the index was "
            "available again, the worker had indexed them automatically, and retry-index/ was empty.",
        ),
    )


def show_mended(out: Console, good: str) -> None:
    """Print that the broken file has been replaced; its event waits in the queue of a worker that has been stopped."""
    out.print()
    show(
        out,
        Sentence(
            "The worker received SIGTERM: it drained and exited with 0. Someone replaces the broken file with a readable one "
            f"(here, a copy of {exact(good)}), and the operator recovers its message:",
            then="",
        ),
    )


def show_command(out: Console, command: str, said: str) -> None:
    """Print a command and its output."""
    out.print()
    out.print(Text.assemble(("$ ", "dim"), (command, "bold cyan")))
    show(out, Sentence(said.rstrip()))


def show_next(out: Console, *, kept_in: Path | str | None, question: str) -> None:
    """Print what to try next; `kept_in` is the index in which the documents remain, which this search finds something in."""
    out.print()
    out.print(Text("Next", "bold"))
    commands = (
        ("make demo DIR=~/Documents", "the same with your own files; KEEP=1 leaves the index"),
        ("make test", "the tests, with OpenSearch and real SQS and S3 servers"),
        ("README.md", "your own bucket: five settings, then s3-index-worker doctor and run"),
    )
    show(out, Table((Column(""), Column("", text=True, lines=None)), commands))
    if kept_in:
        place = f"file {kept_in}" if isinstance(kept_in, Path) else f"index {kept_in}, at the same INDEX_URL"
        out.print()
        show(
            out,
            Sentence(Text(f"The documents remain in the {place}:", "bold")),
            Command(f"{_program()} demo --search {quote(question)}", before="  "),
            Command(f"{_program()} demo --remove", before="  "),
        )


def show_console(out: Console, address: str, failed: int) -> None:
    """Print where the console is. `failed`: how many messages have just failed, so that it has something to show."""
    out.print()
    what = f"The worker runs again, and {_count(failed, 'message')} failed. See why, and decide what to do with them:"
    show(out, Sentence(Text(what, "bold")), Command(address, before="  "), Sentence("Press Enter to end."))


def show_no_console(out: Console, missing: str) -> None:
    """Print why there is no console, and what to install."""
    out.print()
    said = f"The console is not shown: {missing} is not installed. Install the extra `manager`: pip install '.[demo,manager]'"
    show(out, Sentence(Text(said, "yellow")))


def _program() -> str:
    """How this program was called, for the same shell in the same folder."""
    called = Path(sys.argv[0])
    if called.name != "__main__.py":
        return quote(sys.argv[0])
    python = Path(sys.executable)
    here = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return f"{quote(str(here))} -m worker"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _kind(mime_type: str, key: str) -> str:
    """The usual extension for a MIME type; the file's own extension if it is a possible one for that type."""
    own = Path(key).suffix.lower()
    usual = own if own in mimetypes.guess_all_extensions(mime_type) else mimetypes.guess_extension(mime_type)
    return usual[1:] if usual else one_line(re.sub(r".*/|x-|vnd\.", "", mime_type))


def _became(event: Mapping[str, Any], fields: Mapping[str, Any]) -> Text:
    status = fields.get("extraction", {}).get("status")
    if event["outcome"] == "failed":
        return Text(f"{status}; dead letter" if status else "dead letter", "red")
    if event["note"] != "indexed":
        return Text(event["note"].replace("_", " "), "yellow")
    return Text(*_MEANINGS.get(status, (str(status), "yellow")))
