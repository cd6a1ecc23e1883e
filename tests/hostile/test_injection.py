"""Attack 8: untrusted names and texts in logs, tables, JSON and metrics. None forges a line, moves a cursor or acts as markup."""

import io
import json
import os
import pty
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from rich.console import Console

from recovery.cli.recovery_report import WORDING
from recovery.cli.view.report import report_table
from recovery.cli.view.tables import table
from recovery.operations.engine import Disposition
from recovery.operations.recovering.request import RECOVERY
from recovery.operations.report import Report
from worker.core.base.events import LogEvent
from worker.core.index import Hit
from worker.core.sqs.failure_record import FailureRecord
from worker.metrics import Metrics
from worker.render import hit_text
from worker.terminal import print_json

EVIL = {
    "newline": 'a\n{"event":"message.settled","outcome":"done"}',
    "carriage return": "a\rforged",
    "CSI": "a\x1b[2J\x1b[1;1Hforged",
    "OSC 8": "a\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "OSC 52": "a\x1b]52;c;cm0gLXJmIH4=\x07",
    "C1 CSI": "a\x9b2Jforged",
    "C1 next line": "a\x85forged",
    "line separator": "a\u2028forged",
    "right to left": "a\u202egpj.exe",
    "isolate": "a\u2066b\u2069",
    "html": "<script>alert(1)</script>",
    "markup": "[red]a[/red] [link=http://evil.example]b[/link] [/]",
    "braces": "{} {0} {event} %s %(event)s",
    "priority": "a\n<2>critical: forged",
}  # fmt: skip
HOSTILE_TEXTS = pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL.keys())
LOG = """
import sys
sys.path[:] = {path!r}
from worker.core.base.logs import configure, emit
configure(form={form!r})
evil = {evil!r}
emit("test.first", "info", key=evil, nested={{evil: [evil, (evil,)]}}, message_id="1")
try:
    raise ValueError(evil)
except ValueError as error:
    emit("test.second", "error", error=repr(error), exc_info=error)
"""


def active(text: str) -> list[str]:
    """The control characters of an output, apart from those of rich's own colours."""
    return sorted({c for c in text if not c.isprintable() and c not in "\n\u3000"})


def logged(form: str, evil: str) -> bytes:
    code = LOG.format(path=sys.path, form=form, evil=evil)
    env = {name: value for name, value in os.environ.items() if name != "JOURNAL_STREAM"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=True, timeout=60)
    return done.stderr


def printed(renderable: object) -> str:
    out = io.StringIO()
    Console(file=out, width=300, force_terminal=True, color_system=None).print(renderable)
    return out.getvalue()


def test_no_text_forges_a_json_line_of_the_log():
    everything = " ".join(EVIL.values())
    lines = logged("json", everything).decode().rstrip("\n").split("\n")
    assert [json.loads(line)["event"] for line in lines] == ["test.first", "test.second"]
    assert active("".join(lines)) == []


def test_no_text_forges_a_line_of_the_log_on_a_terminal():
    lines = logged("console", " ".join(EVIL.values())).decode().rstrip("\n").split("\n")
    assert active("".join(lines)) == []
    assert [line for line in lines if line.startswith("20")] == [lines[0], lines[1]]
    assert all(line.startswith("  | ") for line in lines[2:])


@HOSTILE_TEXTS
def test_a_table_s_cell_is_one_harmless_line(evil):
    shown = printed(table(("message id", "bucket/key"), [("id", evil)]))
    assert active(shown) == []
    assert shown.count("\n") == 2
    assert evil.partition("\n")[0][:1] in shown


@HOSTILE_TEXTS
def test_a_hit_is_shown_without_effect(evil):
    shown = printed(hit_text(Hit("bucket", evil, 1.0, {"mime_type": evil, "last_modified": evil}, [evil])))
    assert active(shown) == []
    assert shown.count("\n") == 3


@HOSTILE_TEXTS
def test_the_report_of_a_recovery_shows_a_reason_as_one_harmless_line(evil):
    plain, report = (Report(RECOVERY, dry_run=False, about={}) for _ in range(2))
    for made, text in ((plain, "x"), (report, evil)):
        made.add(Disposition.ARCHIVED, sample=text, reason=f"because {text}", error_type=text)
    shown = printed(report_table(report, WORDING))
    assert active(shown) == []
    assert shown.count("\n") == printed(report_table(plain, WORDING)).count("\n")


@HOSTILE_TEXTS
def test_json_for_programs_says_the_same_and_moves_no_cursor(evil):
    out = io.StringIO()
    with redirect_stdout(out):
        print_json({"key": evil, evil: [evil]})
    assert json.loads(out.getvalue()) == {"key": evil, evil: [evil]}
    assert active(out.getvalue()) == []
    assert out.getvalue().count("\n") == 1


@HOSTILE_TEXTS
def test_a_failure_record_of_any_error_is_json_that_sqs_takes(evil):
    record = FailureRecord.of_error(
        ValueError(evil), earlier=None, attributes={}, receives=1, source_queue="q", message_id="m", worker="w"
    ).as_text()
    assert json.loads(record)["error_type"] == "ValueError"
    assert not any(ord(c) < 32 for c in record)


@HOSTILE_TEXTS
def test_no_name_becomes_a_label_or_a_line_of_the_metrics(evil):
    metrics, calm = Metrics(), Metrics()
    for made, text in ((metrics, evil), (calm, "calm")):
        made.observe(
            LogEvent.MESSAGE_SETTLED,
            {"outcome": "done", "note": text, "key": text, "duration_ms": 1.0, "message_id": text},
        )
    names = [
        [line.partition(" ")[0] for line in generate_latest(made.registry).decode().split("\n")]
        for made in (metrics, calm)
    ]
    assert names[0] == names[1]


def test_an_error_that_ends_a_command_moves_no_cursor_on_a_terminal(tmp_path: Path):
    text = "".join(EVIL.values())
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from worker.terminal import new_app, run_app\nfrom worker.core.base.errors import ConfigError\n"
        f"app = new_app('x', 'x')\n@app.command()\ndef go() -> None:\n    raise ConfigError({text!r})\nrun_app(app)\n"
    )
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "NO_COLOR": "1", "TERM": "xterm"},
    ) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(controller, 65536)
            except OSError:
                break
            shown += part
        assert process.wait(30) == 78
    os.close(controller)
    said = shown.decode().replace("\r\n", "\n").replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert active(said) == []
    assert all(line.startswith(("configuration: ", "  ")) or not line for line in said.split("\n"))
