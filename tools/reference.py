"""Generate the tables of docs/reference/ from the code: settings, commands, exit codes, events."""

import ast
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from recovery.cli import backfill_index, reconcile_index, recover_dlq, reindex_index, replay_retry_index
from recovery.cli import main as dlq
from recovery.cli.settings import ALIASES, ToolSettings
from recovery.manager import cli as manager
from recovery.manager.settings import ManagerSettings
from tools.events import events, meanings
from worker import cli
from worker.core.base.reasons import Reason
from worker.core.base.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
COMMAND_LINES: dict[str, typer.Typer] = {
    "s3-index-worker": cli.app,
    "recover_dlq": recover_dlq.app,
    "replay_retry_index": replay_retry_index.app,
    "reconcile_index": reconcile_index.app,
    "backfill_index": backfill_index.app,
    "reindex_index": reindex_index.app,
    "dlq": dlq.app,
    "dlq-manager": manager.app,
}
"""All programs that we install, with their typer apps."""
_COMPUTED = {
    "extract_processes": "one per core, at most 8",
    "temp_dir": "`$TMPDIR` or `/tmp`",
    "worker_name": "`HOST:PID`",
}
"""Defaults that depend on the machine."""


# -- settings ----------------------------------------------------------------------------------------------------


def settings_table() -> list[str]:
    """Name, default, bounds and purpose of every setting, by the sections in the model's source."""
    lines: list[str] = []
    section = ""
    for of, name in _fields_by_section():
        if of != section:
            section = of
            lines += ["", f"## {section}", "", "| setting | default | bounds | purpose |", "|---|---|---|---|"]
        field = Settings.model_fields[name]
        names = " or ".join(f"`{one}`" for one in environment_names(name, field))
        lines.append(row(names, _default(name, field), _bounds(name, field), field.description or ""))
    return lines[1:]


def dlq_settings_table() -> list[str]:
    """The settings of `dlq` that the worker does not have, or for which it knows fewer names."""
    lines = ["| setting | purpose |", "|---|---|"]
    also = {names[0]: names for names in ALIASES.values()}
    for name, field in ToolSettings.model_fields.items():
        names = also.get(name.upper(), (name.upper(),))
        if len(names) > 1 or name not in Settings.model_fields:
            lines.append(f"| {' or '.join(f'`{one}`' for one in names)} | {field.description} |")
    return lines


def manager_settings_table() -> list[str]:
    """The settings that `dlq-manager` has beside the worker's."""
    lines = ["| setting | default | bounds | purpose |", "|---|---|---|---|"]
    for name, field in ManagerSettings.model_fields.items():
        if name not in Settings.model_fields:
            default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
            shown = f"`{default}`" if default not in (None, [], "") else ""
            lines.append(row(f"`{name.upper()}`", shown, _bounds(name, field), field.description or ""))
    return lines


def environment_names(name: str, field: FieldInfo) -> list[str]:
    """The environment variables of a setting, the usual one first."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name.upper()]


def _fields_by_section() -> Iterator[tuple[str, str]]:
    """(section, field) in the order of the model; a section begins with a `# -- name ---` line in its source."""
    section = ""
    for line in (ROOT / "worker/core/base/settings.py").read_text().splitlines():
        if heading := re.match(r"    # -- (\w+) -", line):
            section = heading[1][0].upper() + heading[1][1:]
        elif (field := re.match(r"    (\w+): ", line)) and field[1] in Settings.model_fields:
            yield section, field[1]


def _default(name: str, field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default_factory is not None:
        return _COMPUTED[name]
    value = field.default
    if value in (None, [], ()) or value is PydanticUndefined:
        return ""
    if isinstance(value, dict):
        value = ",".join(f"{key}={one:f}".rstrip("0") for key, one in value.items())
    return _amount(name, str(value).lower() if isinstance(value, bool) else value)


def _bounds(name: str, field: FieldInfo) -> str:
    choices = getattr(field.annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return ", ".join(f"`{choice}`" for choice in choices)
    if field.annotation is bool:
        return "`true`, `false`"
    found = {
        sign: getattr(bound, sign) for bound in field.metadata for sign in ("ge", "gt", "le") if hasattr(bound, sign)
    }
    low = _amount(name, found["ge"]) if "ge" in found else f"over {_amount(name, found['gt'])}" if "gt" in found else ""
    high = _amount(name, found["le"]) if "le" in found else ""
    return f"{low} to {high}" if low and high else f"{low} or more" if low else high


def _amount(name: str, value: Any) -> str:
    """A value as it would be typed; bytes are also shown in larger units."""
    if "_bytes" in name and isinstance(value, int) and value >= 1024:
        for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if value % factor == 0:
                return f"`{value}` ({value // factor} {unit})"
    return f"`{value}`"


# -- commands ----------------------------------------------------------------------------------------------------


def commands_list() -> list[str]:
    """All commands with their arguments, options and examples."""
    return [line for name, command in commands().items() for line in (f"## {name}", "", *_help_of(name, command))]


def exit_codes_table() -> list[str]:
    """All exit codes."""
    rows = [row(f"`{code}`", name, meaning) for name, code, meaning in exit_codes()]
    return ["| code | name | meaning |", "|---|---|---|", *rows]


def reasons_table() -> list[str]:
    """The codes for why a message or a file is at fault."""
    rows = [row(f"`{reason.value}`", reason.sentence) for reason in Reason]
    return ["| reason | meaning |", "|---|---|", *rows]


def commands() -> dict[str, Any]:
    """The commands by what is typed (`recover_dlq`, `s3-index-worker run`), as click objects made by typer."""
    found: dict[str, Any] = {}
    for program, app in COMMAND_LINES.items():
        found |= _commands_of(program, typer.main.get_command(app))
    return found


def _commands_of(typed: str, made: Any) -> dict[str, Any]:
    """A command, or all those of a group of commands."""
    verbs = getattr(made, "commands", None)
    if verbs is None:
        return {typed: made}
    return {name: one for verb, group in verbs.items() for name, one in _commands_of(f"{typed} {verb}", group).items()}


def exit_codes() -> list[tuple[str, int, str]]:
    """Name, number and docstring of every member of ExitCode."""
    tree = ast.parse((ROOT / "worker/core/base/errors.py").read_text())
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ExitCode")
    members: dict[str, tuple[int, str]] = {}
    name = ""
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int(code))):
                members[name] = (code, "")
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                members[name] = (members[name][0], " ".join(text.split()))
    found = ((name, code, text or "Done.") for name, (code, text) in members.items())
    return sorted(found, key=lambda member: member[1])


def _help_of(name: str, command: Any) -> list[str]:
    arguments = [
        one.name.upper() if one.required else f"[{one.name.upper()}]" for one in command.params if _is_argument(one)
    ]
    needed = [_spelling(one).strip("`") for one in command.params if one.required and not _is_argument(one)]
    usage = " ".join([name, *arguments, *needed])
    lines = [" ".join((command.help or "").split()), "", f"    {usage}", ""]
    if command.params:
        lines += ["| argument or option | meaning |", "|---|---|"]
        lines += [*(row(_spelling(one), _meaning(one)) for one in command.params), ""]
    examples, program = (command.epilog or "").partition(": ")[2], name.partition(" ")[0]
    return [*lines, "For example:", "", *(f"    {one}" for one in re.split(rf" \| (?={program}\b)", examples)), ""]


def _is_argument(parameter: Any) -> bool:
    return str(parameter.param_type_name) == "argument"


def _spelling(parameter: Any) -> str:
    name = parameter.name.upper().replace("_", "-")
    if _is_argument(parameter):
        return f"`{name}`"
    return f"`{', '.join(parameter.opts)}{'' if parameter.is_flag else ' ' + name}`"


def _meaning(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    choices = ", ".join(f"`{choice}`" for choice in kind) if isinstance(kind, type) and issubclass(kind, Enum) else ""
    text = (parameter.help or "") + (f" One of {choices}." if choices else "")
    text += " Required." if parameter.required else ""
    return f"{text} Default: {parameter.default}." if parameter.default else text


# -- events ------------------------------------------------------------------------------------------------------


def events_table() -> list[str]:
    """Every log event, and what it means."""
    meaning_of = meanings(ROOT)
    lines = ["| event | level | fields | meaning | from |", "|---|---|---|---|---|"]
    for event in events(ROOT):
        fields = ", ".join(
            "`exception`" if field == "exc_info" else f"`{field}`" for field in event.fields if field != "…"
        )
        modules = ", ".join(f"`{module}`" for module in event.modules)
        lines.append(row(f"`{event.name}`", " or ".join(event.levels), fields, meaning_of[event.name], modules))
    return lines


def row(*cells: str) -> str:
    """One row of a table in Markdown."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"
