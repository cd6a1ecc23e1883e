"""Every event that the code logs, read from its `emit(…)` calls and from LogEvent: name, level, fields, module, meaning."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.core.base.events import LogEvent

EVENTS_MODULE = "worker/core/base/events.py"


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """One event as the code emits it, from one place or several."""

    name: str
    levels: tuple[str, ...]
    fields: tuple[str, ...]
    modules: tuple[str, ...]


def events(root: Path, packages: Sequence[str] = ("worker", "recovery")) -> list[Event]:
    """All events under these packages, by name."""
    found: dict[str, list[Event]] = {}
    for path in sorted(path for package in packages for path in (root / package).rglob("*.py")):
        module = path.relative_to(root).as_posix()
        for event in _of_module(ast.parse(path.read_text()), module):
            found.setdefault(event.name, []).append(event)
    return [_merged(found[name]) for name in sorted(found)]


def _of_module(tree: ast.Module, module: str) -> Iterator[Event]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        for call in (*_calls(function, "emit"), *_calls(function, "_write")):
            for name in _names(call, function, tree):
                level = call.args[1] if len(call.args) > 1 else ast.Constant("info")
                fields = tuple(keyword.arg or "…" for keyword in call.keywords)
                yield Event(name, _constants(level) or ("varies",), fields, (module,))


def _names(call: ast.Call, function: ast.FunctionDef, tree: ast.Module) -> list[str]:
    """The event's name; where it is a parameter of the function around it, what that is called with."""
    first = call.args[0]
    if not isinstance(first, ast.Name):
        return list(_constants(first))
    parameters = [argument.arg for argument in function.args.args if argument.arg != "self"]
    if first.id not in parameters:
        return []
    position = parameters.index(first.id)
    return [name for outer in _calls(tree, function.name) for name in _constants(outer.args[position])]


def _calls(inside: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(inside):
        if isinstance(node, ast.Call):
            function = node.func
            called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
            if called == name:
                yield node


def _constants(node: ast.expr) -> tuple[str, ...]:
    """The strings that an expression may be: one, or both of `a if … else b`; a member of LogEvent by its value."""
    if isinstance(node, ast.IfExp):
        return _constants(node.body) + _constants(node.orelse)
    if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == LogEvent.__name__:
        return (LogEvent[node.attr].value,)
    return (node.value,) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ()


def meanings(root: Path) -> dict[str, str]:
    """Name and docstring of every member of LogEvent."""
    tree = ast.parse((root / EVENTS_MODULE).read_text())
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    found: dict[str, str] = {}
    name = ""
    for node in body:
        match node:
            case ast.Assign(value=ast.Constant(value=str(name))):
                found[name] = ""
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                found[name] = " ".join(text.split())
    return found


def _merged(same: list[Event]) -> Event:
    def union(attribute: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value for event in same for value in getattr(event, attribute)))

    return Event(same[0].name, union("levels"), union("fields"), union("modules"))
