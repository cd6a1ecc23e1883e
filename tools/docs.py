"""Keep the docs consistent with the code: `python -m tools.docs --write` generates the tables, `--check` compares them.

A table is between `<!-- begin NAME -->` and `<!-- end NAME -->`; the text around it is written by hand. Everything that a
page mentions (settings, commands, make targets, events, metrics, files, links) must exist. A translated page says the same.

cogapp does this too, but runs code that stands in the page: each marker would hold an import and a call, where here it is
a name, and `_BLOCK` and `filled` are all that it would replace.
"""

import re
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from tools import alarms, api, metrics, performance, prometheus_rules, reference
from tools.events import EVENTS_MODULE, events, meanings
from tools.help_texts import help_files
from tools.mentions import Known, unknown_mentions
from tools.translated import translations_that_drifted

ROOT = Path(__file__).resolve().parents[1]
TABLES: dict[str, Callable[[], list[str]]] = {
    "settings": reference.settings_table,
    "dlq settings": reference.dlq_settings_table,
    "manager settings": reference.manager_settings_table,
    "commands": reference.commands_list,
    "exit codes": reference.exit_codes_table,
    "reasons": reference.reasons_table,
    "events": reference.events_table,
    "metrics": metrics.worker_table,
    "manager metrics": metrics.manager_table,
    "prometheus alerts": prometheus_rules.alerts_table,
    "cloudwatch": alarms.figures_table,
    "alarms": alarms.alarms_table,
    "api routes": api.routes,
    "api problems": api.problems,
    "api answers": api.answers,
    "figures": performance.figures_table,
    "contenders": performance.contenders_table,
    "delays": performance.delays_table,
    "machine": performance.machine_list,
}
_BLOCK = re.compile(r"(<!-- begin (?P<name>[\w ]+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def main() -> int:
    """Print each fault on stderr; return their number."""
    if "--write" in sys.argv[1:]:
        for page in pages(ROOT):
            page.write_text(filled(page.read_text()))
        for file, text in help_files(ROOT).items():
            file.write_text(text)
    faults = check(ROOT)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    return len(faults)


def pages(root: Path) -> list[Path]:
    """All pages that are checked."""
    written = [root / f"{name}.md" for name in ("README", "README.ja", "CHANGELOG", "CONTRIBUTING", "SECURITY")]
    return [*written, *sorted((root / "docs").rglob("*.md"))]


def filled(text: str) -> str:
    """A page with its tables generated from the present code."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{chr(10).join(TABLES[block['name']]()).strip()}\n\n{block[3]}", text)


def check(root: Path) -> list[str]:
    """The faults of the pages, one sentence each."""
    known = Known.of(root)
    faults = []
    for page in pages(root):
        text, where = page.read_text(), page.relative_to(root).as_posix()
        if filled(text) != text:
            faults.append(f"{where}: its tables differ from the code; run python -m tools.docs --write")
        faults += [f"{where}: {mention}" for mention in unknown_mentions(text, page, root, known)]
    drifted = _help_that_drifted(root) + _meanings_that_drifted(root) + _packages_that_drifted(root)
    return faults + drifted + translations_that_drifted(root)


def _help_that_drifted(root: Path) -> list[str]:
    """The texts of `--help`, which are made from the commands, as are the pages' tables."""
    drifted = (file for file, text in help_files(root).items() if not file.exists() or file.read_text() != text)
    return [f"{file.relative_to(root)} differs from the code; run python -m tools.docs --write" for file in drifted]


def _meanings_that_drifted(root: Path) -> list[str]:
    emitted = {event.name for event in events(root)}
    said = meanings(root)
    missing = [f"{EVENTS_MODULE} does not say what {name} means" for name, meaning in said.items() if not meaning]
    return missing + [f"{EVENTS_MODULE} has {name}, which nothing emits" for name in sorted(said.keys() - emitted)]


def _packages_that_drifted(root: Path) -> list[str]:
    """The architecture page gives a reason for every dependency, and for nothing else."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    shipped = [*project["dependencies"], *(one for name in ("demo", "manager", "inventory") for one in extras[name])]
    wanted = {re.split(r"[\[<>=~! ;]", one)[0] for one in shipped}
    table = (root / "docs/architecture.md").read_text().partition("| package | because |")[2].partition("\n\n")[0]
    explained = {name for row in table.splitlines() for name in re.findall(r"`([\w-]+)`", row.partition(" | ")[0])}
    return [f"docs/architecture.md gives no reason for {name}" for name in sorted(wanted - explained)] + [
        f"docs/architecture.md gives a reason for {name}, which is not a dependency"
        for name in sorted(explained - wanted)
    ]


if __name__ == "__main__":
    sys.exit(main())
