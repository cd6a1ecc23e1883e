"""What the demo says: what became of each file, searches with their hits, and the messages that failed."""

import mimetypes
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.core.base.text import one_line
from worker.core.index import Hit, Index
from worker.core.sqs.failure_record import FailureRecord
from worker.render import hit_text, size

QUESTIONS = ("京都", "見積書 テンプレート", '"quarterly forecast" ext:pptx')
"""Asked of our samples: a word of two characters, two words in any order, an exact phrase in files of one kind."""
MAX_ROWS = 60
MAX_HITS = 3

_WORDS = re.compile(r"[^\W\d_]{2,}")
_MEANINGS = {
    "ok": ("indexed", "green"),
    "empty": ("indexed, an empty file", "green"),
    "metadata_only": ("by name: no text in it", "cyan"),
    "archived": ("by name: in an archive", "cyan"),
    "too_large": ("by name: too large", "cyan"),
}


def introduce(out: Console, folder: Path, count: int, left_out: int, index: str) -> None:
    """What is about to happen."""
    out.print(Text(f"{_count(count, 'file')} of {folder} → S3 → SQS → worker → index", "bold"))
    out.print("S3 and SQS run inside this process, on loopback; the worker is the real daemon. No account is involved.")
    out.print(Text(f"index: {index}", "dim"), soft_wrap=True)
    if left_out:
        out.print(Text(f"left out: {_count(left_out, 'file')}, beyond the first 1,000 or over 100 MiB", "yellow"))


def show_files(
    out: Console, settled: Mapping[str, Mapping[str, Any]], documents: Mapping[str, Mapping[str, Any]], took_s: float
) -> None:
    """One row a file."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("file", overflow="fold")
    table.add_column("type", no_wrap=True, max_width=10)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("chars", justify="right", no_wrap=True)
    table.add_column("what became of it", no_wrap=True)
    rows = sorted(settled)
    for key in rows[:MAX_ROWS]:
        fields = documents.get(key, {})
        count = fields.get("char_count") or 0
        kind = _kind(str(fields.get("mime_type", "?")), key)
        length = size(fields.get("file_size") or 0)
        table.add_row(one_line(key), kind, length, f"{count:,}" if count else "", _became(settled[key], fields))
    out.print()
    out.print(table)
    if len(rows) > MAX_ROWS:
        out.print(f"… and {len(rows) - MAX_ROWS} more")
    failed = sum(event["outcome"] == "failed" for event in settled.values())
    out.print()
    out.print(
        f"All {_count(len(rows), 'message')} settled within {took_s:.1f} s of the worker's start.", highlight=False
    )
    out.print(
        f"The index holds {_count(len(documents), 'document')}; the dead-letter queue got {_count(failed, 'message')}."
    )


def show_searches(out: Console, index: Index, questions: Sequence[str]) -> None:
    """Each question as a command, and its best hits."""
    for question in questions:
        result = index.search(question, limit=MAX_HITS)
        out.print()
        out.print(Text.assemble(("$ ", "dim"), (f"s3-index-worker search {quote(question)}", "bold cyan")))
        for hit in result.hits:
            out.print(hit_text(hit), soft_wrap=True)
        shown = f", {len(result.hits)} shown" if result.total > len(result.hits) else ""
        out.print(Text(f"{result.total} found{shown}", "dim"))


def questions(documents: Sequence[Hit]) -> list[str]:
    """Three words to ask of files we do not know: the commonest in their names."""
    names = [str(hit.fields.get("file_name", "")).rsplit(".", 1)[0] for hit in documents]
    common = Counter(word.lower() for name in names for word in set(_WORDS.findall(name)))
    return [word for word, _ in common.most_common(3)]


def show_dead_letters(out: Console, dead_letters: Sequence[tuple[str, FailureRecord]]) -> None:
    """The failed messages, each with its reason."""
    out.print()
    if not dead_letters:
        out.print("The dead-letter queue is empty: every file could be read.")
        return
    out.print(Text("In the dead-letter queue, the message untouched and beside it why it failed:", "bold"))
    for key, record in dead_letters:
        out.print(Text.assemble((one_line(key), "bold"), f"  {record.kind} · {record.error_type}"))
        out.print(Text("  " + one_line(record.message), "red"), soft_wrap=True)
        facts = (f"{name} {getattr(record, name)}" for name in ("attempts", "first_failed_at", "worker", "fingerprint"))
        out.print(Text("  " + one_line(" · ".join(facts)), "dim"), soft_wrap=True)


def show_outage(out: Console, stored: int, healed_s: float) -> None:
    """What became of the files that arrived while the index was away."""
    out.print()
    out.print(Text("Then the index went away while files arrived", "bold"))
    out.print(
        f"No message waited: {_count(stored, 'document')} went to retry-index/ in S3. {healed_s:.1f} s after the index was back, "
        "the worker\nhad brought them in by itself, and retry-index/ was empty again.",
        highlight=False,
    )


def show_mended(out: Console, good: str) -> None:
    """The bad file has been replaced; its event is in the queue of a worker that has been stopped."""
    out.print()
    out.print(
        "The worker was told to stop: it drained and exited with 0. Somebody replaces the broken file with a readable one"
    )
    out.print(Text(f"(here, by a copy of {one_line(good)}), and the operator brings its message back:"), soft_wrap=True)


def show_command(out: Console, command: str, said: str) -> None:
    """A command, and what it printed."""
    out.print()
    out.print(Text.assemble(("$ ", "dim"), (command, "bold cyan")))
    out.print(Text(said.rstrip()), soft_wrap=True)


def show_next(out: Console, *, kept_in: str | None) -> None:
    """What to try now; `kept_in` names the index on the user's cluster that the documents stay in."""
    out.print()
    out.print(Text("Next", "bold"))
    out.print("  make demo DIR=~/Documents   the same with files of yours")
    out.print("  make test                   every test, against OpenSearch, a real SQS server and S3")
    out.print("  README.md                   your own bucket: five settings, then s3-index-worker doctor and run")
    if kept_in:
        out.print(f"  The documents stay in the index {kept_in} until you delete it.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _kind(mime_type: str, key: str) -> str:
    """A MIME type as the extension that people know it by, the file's own where that is one of its kind."""
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
