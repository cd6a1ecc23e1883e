"""`python -m tests.support.screens`: what commands print about the worst keys, one after another, in one process.

A process for each command would take seconds at each width of a terminal; what is tested here is what they print.
"""

import itertools
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console

from recovery.cli import verb
from recovery.cli.context import CommandContext
from recovery.cli.main import app
from recovery.cli.recovery_report import WORDING
from recovery.cli.view.report import report_table
from recovery.operations.engine import Disposition
from recovery.operations.recovering.request import RECOVERY
from recovery.operations.report import Report
from testing.fakes import Fakes
from testing.memory import BUCKET, STATE
from worker.checks import Check
from worker.core.base.classify import FailureKind
from worker.core.sqs.failure_record import FailureRecord
from worker.demo import pages
from worker.demo.files import Upload
from worker.layout import show
from worker.render import show_checks
from worker.terminal import run_app, say, stdout

KEYS = (
    "経理/2026/03/請求書-0012.pdf", "契約/2026-01.txt", "scans/IMG_0001.tiff", "a/b.txt", "c.txt", "legal/2019/Board minutes.docx",
    "reports/q1.xlsx", "reports/q2.xlsx", "漢" * 341, "長/" + "字" * 340, "x" * 1024, "a/" * 511 + "ab", "one\ntwo\tthree.txt",
    "\x1b[2J\x1b]0;owned\x07[red]x[/red].txt", "\u202eright\u2066left\u200e.txt", "🌸/花見🍡.png", "two  spaces　全角 .txt",
    "\u3099濁点か\u3099.txt",
)  # fmt: skip
"""Usual keys, and of the longest (1,024 bytes), wide, with marks and emoji, and with what controls a terminal."""
ERRORS = (
    ("TimeoutError", "RECOVERABLE", "the index did not answer within 20 s"),
    ("UnreadableFileError", "USER_ERROR", "s3://files/経理/請求書.pdf: " + "この文書は壊れています。" * 20),
    ("NoSuchBucket\x1b[2J", "SYSTEM_ERROR", "two\nlines " + "x" * 300),
)
IDS = [str(uuid.uuid5(uuid.NAMESPACE_URL, key)) for key in KEYS]
IDS[1] = IDS[0][:9] + IDS[1][9:]
"""Two of them have the same first nine characters."""
QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/our-files-and-all-that-others-send-us"
MARK = "-- screen "
ENVIRONMENT = {
    "DLQ_URL": "http://sqs/q/dlq", "FRONTIER_URL": "http://sqs/q/source", "S3_BUCKET": BUCKET, "STATE_BUCKET": STATE,
    "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing",
}  # fmt: skip
VERBS: dict[str, list[str]] = {
    "list": ["list"], "usual": ["list", "--max-messages", "8"], "list columns": ["list", "--columns", "id,key,says"],
    "groups": ["groups"],     "by source": ["groups", "--by", "source"],
    "stats": ["stats"], "inspect": ["inspect", "--message-id", *IDS], "redrive": ["redrive", "--message-id", *IDS[:3], "--dry-run"],
    "refused": ["redrive-all", "--all", "--dry-run", "--kind", "USER_ERROR"],
    "not found": ["inspect", "--message-id", str(uuid.UUID(int=7))], "usage": ["list", "--columns", "kye"],
    "abandon": ["abandon", "--all", "--reason", "検査" * 60, "--yes"], "archive": ["list", "--archive"],
}  # fmt: skip


def main() -> None:
    """Print all screens."""
    os.environ.update(ENVIRONMENT)
    fakes = Fakes()
    _fill(fakes)
    with patch.object(verb, "CommandContext", _on(fakes)):
        for name, args in VERBS.items():
            with patch.object(sys, "argv", ["dlq", *args]):
                _screen(name, partial(run_app, app))
    for name, print_it in {"doctor": _doctor, "report": _report, "demo": _demo}.items():
        _screen(name, print_it)


def _screen(name: str, print_it: Callable[[], object]) -> None:
    print(f"{MARK}{name}", flush=True)
    try:
        print_it()
    except SystemExit as ended:
        print(f"{MARK}exit {ended.code}", flush=True)


def _fill(fakes: Fakes) -> None:
    for number, (name, key, cause) in enumerate(zip(IDS, KEYS, itertools.cycle(ERRORS), strict=False)):
        error, kind, message = cause
        failure = {
            "schema": 1, "error_type": error, "kind": kind, "message": message, "fingerprint": f"{number % 9:012}", "attempts": 1,
            "redrives": 4 * (number % 2), "stack": f"File …\n{message}", "source_queue": QUEUE, "source_message_id": name,
        }  # fmt: skip
        fakes.dead_letter(name, key, failure=failure)
    fakes.dlq.add(str(uuid.UUID(int=1)), json.dumps({"type": "maps", "city": "京都" * 100}), {})


def _on(fakes: Fakes) -> type[CommandContext]:
    class OnFakes(CommandContext):
        """A verb's context over the fakes."""

        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            on_fakes: Any = self
            on_fakes.dlq, on_fakes.objects, on_fakes.state = fakes.dlq, fakes.s3, fakes.state
            on_fakes.source = lambda: fakes.source

    return OnFakes


def _doctor() -> None:
    arn = "arn:aws:sts::123456789012:assumed-role/worker/i-0123456789abcdef0"
    show_checks(
        [
            Check("settings", "ok", "all settings are valid"),
            Check(
                "SQS_QUEUE_URL",
                "error",
                f"AccessDenied: User: {arn} is not authorized: {QUEUE}",
                "grant it\nto the role",
            ),
            Check("s3://経理-files", "warning", "no object can be read: " + KEYS[8], "検査" * 60, took_ms=1234.5),
        ],
        as_json=False,
    )


def _report() -> None:
    report = Report(RECOVERY, dry_run=True, about={})
    for name, (error, _, message) in zip(IDS, itertools.cycle(ERRORS), strict=False):
        report.add(Disposition.KEPT, sample=name, reason=message, error_type=error)
    show(stdout(), report_table(report, WORDING))
    say("not found", f"{IDS[0]}: in neither place; it may have been handled, or be in flight elsewhere")


def _demo() -> None:
    out = Console()
    events = {key: {"outcome": "ok" if number else "failed", "note": "indexed"} for number, key in enumerate(KEYS)}
    fields = {"mime_type": "application/pdf", "file_size": 12_345, "char_count": 999, "extraction": {"status": "ok"}}
    upload = Upload(Path("/home/operator/" + "漢字" * 40), [Path(key) for key in KEYS], {"hidden": 1})
    pages.introduce(out, upload, "sqlite:////tmp/s3-index-worker-demo-abcdefgh/index.sqlite")
    pages.show_files(out, events, dict.fromkeys(KEYS, fields), 3.2)
    for key, (error, kind, message) in _failures():
        pages.show_dead_letters(
            out,
            [
                (
                    key,
                    FailureRecord(
                        error_type=error, kind=FailureKind(kind), message=message, fingerprint="3d2572ea9916"
                    ),
                )
            ],
        )
    pages.show_outage(out, 2, 3.1)
    pages.show_mended(out, KEYS[0])
    pages.show_command(
        out, "recover_dlq", f"recorded in s3-index-worker/audit/2026-11-24/020724393106-recover-a87412.json\n{KEYS[8]}"
    )
    pages.show_next(out, kept_in="s3-index-worker-demo", question="深夜 入荷")


def _failures() -> Iterator[tuple[str, tuple[str, str, str]]]:
    yield from zip(KEYS, itertools.cycle(ERRORS), strict=False)


if __name__ == "__main__":
    main()
