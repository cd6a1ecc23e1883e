"""What is wrong with the arguments of a command, in the words of those who type them: name, value, what would be correct."""

import re
from enum import Enum
from typing import Any

import typer
from pydantic import ValidationError
from rich.console import Console

from worker.core.base.text import one_line
from worker.layout import wrapped

_CLAUSE = re.compile(r"(is|are|has|have|can|cannot|must|requires|selects|moves|was|should)\b")
"""How a message begins that goes on from the name of an option: `is required for --direct`."""
_QUOTED = re.compile(r"""('.*?'|".*?"): """)
"""How a message begins that first quotes the value: `'x': it should be …`."""
_PATH = re.compile(r"\w+ ('.*'|\".*\") (?:is|does) ")
"""How typer words what is wrong with a path."""
_OURS = "Value error, "
_LABEL = "Error: "
"""What typer puts before the message."""
_LONGEST_VALUE = 200


class _Worded(typer.BadParameter):
    """A usage error whose message is complete."""

    def format_message(self) -> str:
        return self.message


def show_usage_error(console: Console, error: Any) -> None:
    """Show an error of typer's or of ours on the console of stderr, with the usage of its command."""
    text = sentence(error) if isinstance(error, typer.BadParameter) else error.format_message()
    lines = wrapped(console, one_line(f"{_LABEL}{text}"))
    _Worded("\n".join(lines).removeprefix(_LABEL), error.ctx).show()


def sentence(error: Any) -> str:
    """What is wrong with a value; typer's and pydantic's own words are replaced, ours are kept."""
    parameter, message = error.param, str(error.message).removeprefix(_OURS)
    name = _name(error)
    if not message and parameter is not None:  # typer's MissingParameter
        return f"{name} is missing{_purpose(parameter)}"
    if parameter is not None and (wrong := _wrong_value(name, error)):
        return wrong
    if not name:
        return message
    if _CLAUSE.match(message):
        return f"{name} {message}"
    return f"{name}{'=' if _QUOTED.match(message) else ': '}{message}"


def _name(error: Any) -> str:
    """The option's longest name, or the argument's in capitals, as the help has it; empty if none is known."""
    if error.param_hint is not None:
        hint = error.param_hint
        return hint if isinstance(hint, str) else " and ".join(hint)
    if error.param is None:
        return ""
    if error.param.param_type_name == "option":
        return str(max(error.param.opts, key=len))
    return str(error.param.metavar or error.param.name).upper()


def _purpose(parameter: Any) -> str:
    text = str(getattr(parameter, "help", None) or "")
    return f": {text[0].lower()}{text[1:]}".rstrip(".") if text else ""


def _wrong_value(name: str, error: Any) -> str:
    """A value that does not have the type of its option; empty if that is not what is wrong."""
    kind = error.param.type_descriptor
    if isinstance(error.__cause__, ValidationError):
        shown = repr(error.__cause__.errors()[0]["input"])
    elif kind.is_path and (quoted := _PATH.match(error.message)):
        shown = quoted[1]
    else:
        return ""
    right = _right(kind)
    return f"{name}={one_line(shown[:_LONGEST_VALUE])}: it should be {right}" if right else ""


def _right(kind: Any) -> str:
    """What a parameter may be; empty where its type alone does not say that."""
    if kind.choices:
        *others, last = [str(one.value if isinstance(one, Enum) else one) for one in kind.choices]
        return f"{', '.join(others)} or {last}" if others else last
    annotation, info = kind.annotation, kind.parameter_info
    if annotation in {int, float}:
        return f"{'a whole number' if annotation is int else 'a number'}{_range(info.min, info.max)}"
    if annotation is bool:
        return "yes or no"
    if kind.is_path:
        what = "a folder" if not info.file_okay else "a path" if info.dir_okay else "a file"
        return f"{what} that exists" if info.exists else f"{what} that can be used"
    return ""


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    return f" from {low:,} on" if low is not None else f" up to {high:,}" if high is not None else ""
