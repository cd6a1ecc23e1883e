"""Generate docs/reference/api.md from the description of the manager's API: routes, parameters, answers, what to type."""

import functools
import shlex
from typing import Any, cast

import orjson

from recovery.ledger.ledger import Ledger
from recovery.manager.acting.verbs import Verbs
from recovery.manager.audit_reader import AuditReader
from recovery.manager.present import Looker
from recovery.manager.settings_facts import SettingsReader
from recovery.manager.sources import Sources
from recovery.manager.system_facts import SystemFacts
from recovery.manager.web.app import Health, Service, Status, make_app
from recovery.manager.web.openapi import describe
from recovery.manager.web.problems import EVERYWHERE, SAYS
from recovery.manager.web.rates import Rates
from recovery.manager.web.sign_in import SignIn
from tools.reference import row
from worker.core.s3.state import State

ADDRESS = "http://127.0.0.1:8024"
_REFERENCE = "#/components/schemas/"
Schema = dict[str, Any]


@functools.cache
def description() -> Schema:
    """What `/openapi.json` serves; for that, an application needs nothing behind it."""
    nothing = Service(
        ledger=cast("Ledger", None),
        state=cast("State", None),
        metrics=bytes,
        verbs=cast("Verbs", None),
        sources=cast("Sources", None),
        looker=cast("Looker", None),
        count=lambda _: None,
        health=lambda: Health(Status.HEALTHY, queue_connected=True),
        dlq_depth=lambda: None,
        facts=cast("SystemFacts", None),
        audit=cast("AuditReader", None),
        settings=cast("SettingsReader", None),
        sign_in=SignIn(by="", rates=Rates(1)),
        allowed_hosts=frozenset(),
    )
    return describe(make_app(nothing))


def routes() -> list[str]:
    """Every route: what it is for, its parameters, its answers, an example."""
    made = description()
    lines: list[str] = []
    for tag in made["tags"]:
        lines += [f"## {tag['name'].capitalize()}", "", tag["description"], ""]
        for path, operations in made["paths"].items():
            for method, operation in operations.items():
                if tag["name"] in operation["tags"]:
                    lines += _route(method.upper(), path, operation)
    return lines


def problems() -> list[str]:
    """Every status that is an error, and what it means."""
    return ["| status | meaning |", "|---|---|", *(row(str(status), text) for status, text in SAYS.items())]


def answers() -> list[str]:
    """Every object that stands in an answer, with its fields."""
    lines: list[str] = []
    for name, schema in sorted(description()["components"]["schemas"].items()):
        if "properties" not in schema:
            continue
        lines += [f"### {name}", "", schema.get("description", ""), "", "| field | type | meaning |", "|---|---|---|"]
        lines += [
            row(f"`{field}`", _type(one), one.get("description", "")) for field, one in schema["properties"].items()
        ]
        lines.append("")
    return lines


def curl(path: str, parameters: list[Schema], *, method: str = "GET", body: str = "") -> str:
    """What to type: with the examples of the parameters that have one."""
    options = []
    headers = []
    for one in parameters:
        for example in one["schema"].get("examples", [])[:1]:
            if one["in"] == "path":
                path = path.replace(f"{{{one['name']}}}", str(example))
            elif one["in"] == "query":
                given = shlex.quote(f"{one['name']}={example}")
                options.append(f"--data-urlencode {given}")
            else:
                given = shlex.quote(f"{one['name']}: {example}")
                headers.append(f"-H {given}")
    if method == "GET":
        return " ".join(["curl", "-fsSG" if options else "-fsS", ADDRESS + path, *options])
    if body:
        headers += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(body)}"]
    return " ".join(["curl", "-fsS", "-X", method, ADDRESS + path, *headers])


def _route(method: str, path: str, operation: Schema) -> list[str]:
    parameters = operation.get("parameters", [])
    lines = [f"### {method} {path}", "", operation["description"], ""]
    body = _body(operation)
    if body:
        lines += [f"Body: {_named(body)}, as `application/json`.", ""]
    if parameters:
        lines += [
            "| parameter | in | type | default | meaning |",
            "|---|---|---|---|---|",
            *map(_parameter, parameters),
            "",
        ]
    lines += ["| status | answer |", "|---|---|"]
    lines += [
        row(status, _answer(status, answer))
        for status, answer in operation["responses"].items()
        if int(status) not in EVERYWHERE
    ]
    example = orjson.dumps(description()["components"]["schemas"][body]["examples"][0]).decode() if body else ""
    return [*lines, "", f"    {curl(path, parameters, method=method, body=example)}", ""]


def _body(operation: Schema) -> str:
    """The name of what is sent; empty if nothing is."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return str(content.get("schema", {}).get("$ref", "")).removeprefix(_REFERENCE)


def _parameter(one: Schema) -> str:
    schema = one["schema"]
    default = schema.get("default", "")
    shown = f"`{str(default).lower() if isinstance(default, bool) else default}`" if default != "" else ""
    return row(f"`{one['name']}`", one["in"], _type(schema), shown, one.get("description", ""))


def _answer(status: str, answer: Schema) -> str:
    if not status.startswith("2") or "content" not in answer:
        return str(answer["description"])
    headers = "".join(f" Header `{name}`: {one['description']}" for name, one in answer.get("headers", {}).items())
    shown = " or ".join(f"{_type(one['schema'])}, as `{media}`" for media, one in answer["content"].items())
    return f"{shown}.{headers}"


def _type(schema: Schema) -> str:
    """A type in words; an object of its own as a link to its fields."""
    if "$ref" in schema:
        return _named(schema["$ref"].removeprefix(_REFERENCE))
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    match schema.get("type"):
        case None:
            return "any"
        case "array":
            return f"array of {_type(schema['items'])}"
        case "object":
            more = schema.get("additionalProperties")
            return f"object of {_type(more)}" if isinstance(more, dict) else "object"
        case "string" if schema.get("format") == "date-time":
            return "time"
        case kind:
            return f"{kind}{_bounds(schema)}"


def _named(name: str) -> str:
    schema = description()["components"]["schemas"][name]
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    return f"[{name}](#{name.lower()})"


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**62:
        return f", {low:,g} to {high:,.12g}"
    return f", {low:,g} or more" if low is not None else ""
