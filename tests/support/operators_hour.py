"""`python -m tests.support.operators_hour`: stages a dead-letter queue on real servers; makes what docs/dlq.md shows.

An operator's hour, typed on a terminal of its own: what is printed, and drawn as SVG, is what `dlq` said there.
"""

import json
import os
import re
import shlex
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from testing.aws import s3_event, s3_record
from testing.servers import ElasticMQServer, OpenSearchServer, SeaweedFSServer
from testing.site import Site, make_site
from testing.worker import base_env, running
from tests.support import terminal

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

DOCS = Path(__file__).parents[2] / "docs"
COLUMNS = 100
GROUPS = {"TimeoutError": "275e5d5eb2d0", "KeyError": "5d9551e44509"}
PICTURED = {name: f"dlq-{name}" for name in ("stats", "groups", "list", "inspect")}
STACKS = {
    "TimeoutError": 'File "worker/core/index/opensearch.py", line 118, in _send\nTimeoutError: no answer from the index in 20 s',
    "KeyError": "File \"maps/tiles.py\", line 41, in tile\nKeyError: 'zoom'",
}


def stage(site: Site, folder: Path) -> str:
    """Thirty timeouts, two broken files that a real worker hands over, and one frontier message; an id to inspect."""
    with running(site.env, folder) as worker:
        for name in ("経理/請求書.pdf", "経理/見積書.pdf"):
            site.put(name, b"%PDF-1.7 cut short")
            site.send(name)
        site.wait_empty()
        assert worker.stop() == 0
    timeouts = []
    for number in range(30):
        key = f"契約/2026-{number:02}.txt"
        site.put(key, f"契約書 {number}")
        timeouts.append(_dead_letter(site, s3_event(s3_record(site.bucket, key)), "RECOVERABLE", "TimeoutError"))
    _dead_letter(site, json.dumps({"type": "maps", "city": "京都"}), "SYSTEM_ERROR", "KeyError")
    return timeouts[0]


def _dead_letter(site: Site, body: str, kind: str, error: str) -> str:
    record = {
        "schema": 1, "kind": kind, "error_type": error, "message": STACKS[error].splitlines()[-1], "stack": STACKS[error],
        "fingerprint": GROUPS[error], "attempts": 1, "redrives": 0,
        "first_failed_at": "2026-04-01T01:12:03.000+00:00", "last_failed_at": "2026-04-01T01:12:03.000+00:00",
        "source_queue": site.queues.source, "source_message_id": "5f0c", "worker": "ip-10-0-1-7:811",
    }  # fmt: skip
    attribute: dict[str, MessageAttributeValueTypeDef] = {
        "failure": {"DataType": "String", "StringValue": json.dumps(record, ensure_ascii=False)}
    }
    return site.sqs.send_message(QueueUrl=site.queues.dlq, MessageBody=body, MessageAttributes=attribute)["MessageId"]


def typed(site: Site, folder: Path, *args: str) -> str:
    """What a verb prints on a terminal."""
    _, said = terminal.typed("recovery.cli", {**base_env(), **site.env}, *args, folder=folder, columns=COLUMNS)
    return re.sub(r"(\x1b\[\?25l)?[^\n]*reading the DLQ ….*\n?(\r?\x1b\[(1A|2K|\?25h))*", "", said)


def picture(command: str, said: str, path: Path, *, title: str = "dlq", columns: int = COLUMNS) -> None:
    """A terminal with a command and what it printed, as SVG; fonts are the reader's own."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=columns, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(f"$ {command}\n{said.rstrip()}"), soft_wrap=True)
        svg = console.export_svg(title=title)
    begin, end = svg.index("@font-face"), svg.rindex("@font-face")
    path.write_text(svg[:begin] + svg[svg.index("}", end) + 1 :])


def main() -> None:
    """Type the hour; everything on stdout, the pictures into docs/."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        site = make_site(
            stack.enter_context(SeaweedFSServer(folder / "s3")),
            stack.enter_context(ElasticMQServer(folder / "sqs")),
            stack.enter_context(OpenSearchServer(folder / "index")),
        )
        first = stage(site, folder)
        hour = [
            "stats", "groups", "list --max-messages 3", f"inspect {first}", f"redrive {first[:8]} --dry-run",
            f"redrive {first[:8]}", "redrive-all --error TimeoutError --max-messages 9 --canary 3 --canary-wait 2 --yes",
            f"redrive-all --group {GROUPS['TimeoutError']} --dry-run",
            "abandon --error UnreadableFileError --reason 'sender asked, ticket 123' --yes",
            "list --archive", "export rest.jsonl", "purge --backup all.jsonl --confirm " + site.queues.dlq.rsplit("/", 1)[-1],
            "import all.jsonl --dry-run", "stats",
        ]  # fmt: skip
        pictured = dict(PICTURED)
        for line in hour:
            args = shlex.split(line)
            said = typed(site, folder, *args)
            print(f"$ dlq {line}\n{Text.from_ansi(said).plain}")
            if name := pictured.pop(args[0], None):
                picture(f"dlq {line}", said, DOCS / f"{name}.svg")
        site.close()


if __name__ == "__main__":
    main()
