"""`python -m benchmarks.recall DIR`: recall by format, and each phrase that the worker does not find.

Every file of the folder is read by the worker (in real child processes) and by the independent tools that are available.
Up to five phrases of each file are taken from what each tool read, and searched for in what the worker read. In PDFs and
texts, only phrases count on which two tools agree. Without DIR, the tests' own files are measured.

A text whose folder is named after a charset (EUC-JP/letter.txt) is read with that charset instead.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import commit, machine
from benchmarks.recall import packages, programs, report
from benchmarks.recall.compare import Measured, Truth, measured, told_before, told_by
from benchmarks.recall.corpus import write_corpus
from benchmarks.recall.cost import Cost, costs
from benchmarks.recall.explanations import explanations
from benchmarks.recall.independent import Tool, format_of
from benchmarks.recall.ours import NoReaderError, Reader

OURS = "worker"
BEFORE = "before"
UNUSABLE = 2
"""Exit code: the folder cannot be measured."""


def main() -> int:
    """Measure and report; return the exit code."""
    asked = _parser().parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s3iw-recall-")))
        known: Mapping[Path, list[str]] = {}
        base: Path | None = asked.dir
        if base is None:
            base = folder / "corpus"
            known = write_corpus(base)
        try:
            return _measure(asked, base, known, folder, stack)
        except (NoReaderError, UnusableFolderError) as error:
            print(error, file=sys.stderr)
            return UNUSABLE


class UnusableFolderError(Exception):
    """Raised when there is nothing to measure, or nothing to measure it by."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recall", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "dir", nargs="?", type=Path, metavar="DIR", help="folder of files; all its folders are read too"
    )
    parser.add_argument("--only", nargs="+", metavar="FORMAT", help="only these formats, for example: --only pdf docx")
    parser.add_argument(
        "--before", type=Path, metavar="CHECKOUT", help="also measure this other checkout, with its .venv"
    )
    parser.add_argument("--cost", action="store_true", help="also measure CPU and wall time, in a second pass")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured to this file")
    parser.add_argument(
        "--again", type=Path, metavar="FILE", help="ask for the phrases that --json wrote, not the tools"
    )
    parser.add_argument("--no-tika", action="store_true", help="do without Apache Tika, which is fetched and started")
    return parser


def _measure(
    asked: argparse.Namespace, base: Path, known: Mapping[Path, list[str]], folder: Path, stack: ExitStack
) -> int:
    files = files_of(base, asked.only)
    readers = {OURS: stack.enter_context(Reader())}
    if asked.before is not None:
        readers[BEFORE] = stack.enter_context(Reader(asked.before.resolve()))
    tools: list[Tool] = []
    tika = None
    if asked.again is None or asked.cost:
        tools, tika = stack.enter_context(_available(folder, with_tika=not asked.no_tika))
    truth_of = told_by(tools, known) if asked.again is None else _recorded(asked.again, base)
    found: list[Measured] = []
    for one in measured(files, base, truth_of, readers):
        found.append(one)
        if len(found) % 100 == 0:
            print(f"{len(found)} of {len(files)} files", file=sys.stderr, flush=True)
    if tika is not None and asked.again is not None:
        tika.warm_up(files)
    spent = costs(files, readers, tika) if asked.cost else []
    print("\n".join([*_lines(found, spent, list(readers)), "", *_missing(tools)]))
    if asked.json is not None:
        about = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(), "machine": machine()}
        missing = {tool.name: tool.missing for tool in tools}
        record = report.record(found, spent, {**about, "tools": missing})
        asked.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return 0


def _recorded(record: Path, base: Path) -> Callable[[Path], Truth]:
    try:
        return told_before(record, base)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableFolderError(f"{record} is not what --json has written: {error}") from error


def _lines(found: list[Measured], spent: list[Cost], labels: list[str]) -> list[str]:
    reasons = explanations()
    lines = [*report.misses(found, OURS, reasons), "", *report.table(found, labels, reasons), ""]
    lines += report.explained(found, OURS, reasons)
    return [*lines, "", *report.cost_table(spent)] if spent else lines


def files_of(base: Path, only: list[str] | None) -> list[Path]:
    """The files of a folder, ordered by format and name. Raises UnusableFolderError, with a reason that helps."""
    if not base.exists():
        raise UnusableFolderError(f"there is no folder {base}")
    if not base.is_dir():
        raise UnusableFolderError(f"{base} is a file: name the folder that it is in")
    files = [path for path in base.rglob("*") if path.is_file() and not path.name.startswith(".")]
    if not files:
        raise UnusableFolderError(f"{base} has no files")
    wanted = [path for path in files if not only or format_of(path) in only]
    if not wanted:
        formats = ", ".join(sorted({format_of(path) for path in files}))
        raise UnusableFolderError(f"{base} has no {' or '.join(only or [])} files, only: {formats}")
    return sorted(wanted, key=lambda path: (format_of(path), path))


@contextmanager
def _available(folder: Path, *, with_tika: bool) -> Iterator[tuple[list[Tool], programs.Tika | None]]:
    tools, server = [*programs.tools(), *packages.tools()], None
    if with_tika:
        server, tika = programs.started_tika(folder / "tika")
        tools.insert(2, tika)  # before pypdf, which reads PDFs less well
    try:
        yield tools, server
    finally:
        if server is not None:
            server.stop()


def _missing(tools: list[Tool]) -> list[str]:
    if not tools:
        return []
    used = ", ".join(tool.name for tool in tools if tool.missing is None)
    return [f"compared with: {used or 'nothing'}", *(f"missing: {tool.missing}" for tool in tools if tool.missing)]


if __name__ == "__main__":
    sys.exit(main())
