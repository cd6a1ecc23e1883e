"""Docs that drift fail the build: `python -m tools.docs --write` makes the tables anew, `--check` compares.

A table stands between `<!-- begin NAME -->` and `<!-- end NAME -->`; what is around it is written by hand. Whatever a
page mentions (settings, commands, make targets, events, metrics, files, links) has to exist.
"""

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from tools import alarms, performance, reference
from tools.events import events
from tools.meanings import MEANINGS
from tools.mentions import Known, unknown_mentions

ROOT = Path(__file__).resolve().parents[1]
TABLES: dict[str, Callable[[], list[str]]] = {
    "settings": reference.settings_table,
    "dlq settings": reference.dlq_settings_table,
    "commands": reference.commands_list,
    "exit codes": reference.exit_codes_table,
    "events": reference.events_table,
    "metrics": reference.metrics_table,
    "cloudwatch": alarms.figures_table,
    "alarms": alarms.alarms_table,
    "figures": performance.figures_table,
    "contenders": performance.contenders_table,
    "delays": performance.delays_table,
    "machine": performance.machine_list,
}
_BLOCK = re.compile(r"(<!-- begin (?P<name>[\w ]+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def main() -> int:
    """The number of faults, each named on stderr."""
    if "--write" in sys.argv[1:]:
        for page in pages(ROOT):
            page.write_text(filled(page.read_text()))
    faults = check(ROOT)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    return len(faults)


def pages(root: Path) -> list[Path]:
    """Every page that is checked."""
    written = [root / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "SECURITY")]
    return [*written, *sorted((root / "docs").rglob("*.md"))]


def filled(text: str) -> str:
    """A page with its tables as the code has them now."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{chr(10).join(TABLES[block['name']]()).strip()}\n\n{block[3]}", text)


def check(root: Path) -> list[str]:
    """What the pages say that is not so, one sentence each."""
    known = Known.of(root)
    faults = []
    for page in pages(root):
        text, where = page.read_text(), page.relative_to(root).as_posix()
        if filled(text) != text:
            faults.append(f"{where}: its tables differ from the code; run python -m tools.docs --write")
        faults += [f"{where}: {mention}" for mention in unknown_mentions(text, page, root, known)]
    return faults + _meanings_that_drifted(root) + _packages_that_drifted(root)


def _meanings_that_drifted(root: Path) -> list[str]:
    emitted = {event.name for event in events(root)}
    missing = [
        f"tools/meanings.py does not say what the event {name} means" for name in sorted(emitted - MEANINGS.keys())
    ]
    return missing + [
        f"tools/meanings.py explains {name}, which nothing emits" for name in sorted(MEANINGS.keys() - emitted)
    ]


def _packages_that_drifted(root: Path) -> list[str]:
    """Every dependency has its reason in the architecture page, and no reason outlives its dependency."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = {
        re.split(r"[\[<>=~! ;]", one)[0] for one in project["dependencies"] + project["optional-dependencies"]["demo"]
    }
    table = (root / "docs/architecture.md").read_text().partition("| package | because |")[2].partition("\n\n")[0]
    explained = {name for row in table.splitlines() for name in re.findall(r"`([\w-]+)`", row.partition(" | ")[0])}
    return [f"docs/architecture.md gives no reason for {name}" for name in sorted(wanted - explained)] + [
        f"docs/architecture.md gives a reason for {name}, which is no dependency" for name in sorted(explained - wanted)
    ]


if __name__ == "__main__":
    sys.exit(main())
