"""`s3-index-worker index`: one request to the index, signed in as the worker is. The answer goes to stdout."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import orjson
import typer

from worker.core.base.aws import Aws
from worker.core.base.errors import ConfigError, ExitCode
from worker.core.base.settings_model import load_as
from worker.core.base.text import escaped_json, printable
from worker.core.index.open import is_sqlite
from worker.core.index.settings import IndexSettings
from worker.terminal import Json, agreed, configure_command_logs, err, print_json, say

STDIN = "-"
READS = frozenset(
    {"_search", "_count", "_mget", "_msearch", "_analyze", "_validate", "_explain", "_field_caps", "_termvectors"}
)
"""The APIs to which a POST changes nothing: the first part of a path that begins with an underscore."""
MISSING, WRONG = 404, 400
"""HTTP statuses: what is named is not there; the request is not understood."""


class Method(StrEnum):
    """The HTTP methods that may be sent. DELETE is not among them: a slip would be the loss of the index."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"


def index(
    method: Annotated[Method, typer.Argument(help="GET, POST or PUT.", case_sensitive=False)],
    path: Annotated[str, typer.Argument(help="What follows the address: /_cluster/health, /files/_search?size=1.")],
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="The body, in JSON; `-` reads it from stdin: --data - < FILE.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Send one request to INDEX_URL, with the worker's own sign-in (user or signature), and print the answer.

    It asks before it sends what may change something. Exit codes: 0, 1 not there, 3 declined, 64 wrong request, 69, 78.
    """
    target, body = _target(path), _body(data)
    settings = load_as(IndexSettings)
    configure_command_logs("info", "auto")
    if is_sqlite(settings):
        raise ConfigError(
            "INDEX_URL is an SQLite file, to which no requests can be sent: `s3-index-worker search` and `doctor` read it"
        )
    if _may_change(method, target) and not yes and not agreed(f"Send {method} {printable(path)}?"):
        err.print("nothing was sent")
        raise typer.Exit(ExitCode.INCOMPLETE)
    from worker.core.index.client import Client  # opensearch-py takes 0.2 s to load

    client = Client(settings, Aws(region=settings.aws_region).credentials)
    try:
        with _refusals():
            content = client.exchange(method, target, body)
    finally:
        client.close()
    _show(content, as_json=as_json)


def _target(path: str) -> str:
    """The path as it is sent: non-ASCII characters are percent-encoded. Raises a usage error if it cannot be one."""
    if "://" in path.partition("?")[0] or re.search(r"[\s#\\]", path) or not path.isprintable():
        raise typer.BadParameter(
            f"{printable(path)!r} should be a path such as /_cluster/health, without host, spaces and #",
            param_hint="PATH",
        )
    return quote(path if path.startswith("/") else f"/{path}", safe="/%?&=+,:;*@!$'()~")


def _body(data: str | None) -> bytes | None:
    """What is sent: JSON, or several lines of JSON, as for _bulk. Raises a usage error if it is neither."""
    if data is None:
        return None
    if data.startswith("@"):
        raise typer.BadParameter("a file is given by the shell: --data - < FILE", param_hint="--data")
    content = sys.stdin.buffer.read() if data == STDIN else data.encode()
    try:
        orjson.loads(content)
    except ValueError as error:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) < 2 or not all(map(_is_json, lines)):
            raise typer.BadParameter(f"it should be JSON: {error}", param_hint="--data") from None
        return b"\n".join(lines) + b"\n"
    return content


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except ValueError:
        return False
    return True


def _may_change(method: Method, target: str) -> bool:
    api = next((part for part in target.partition("?")[0].split("/") if part.startswith("_")), "")
    return method is not Method.GET and api not in READS


@contextmanager
def _refusals() -> Iterator[None]:
    """A refusal that says something about the request has an exit code of its own; others count as an index that is unavailable."""
    from worker.core.index.client import RefusedError

    try:
        yield
    except RefusedError as error:
        code = {MISSING: ExitCode.NOT_FOUND, WRONG: ExitCode.USAGE}.get(error.status)
        if code is None:
            raise
        say("refused", str(error))
        raise typer.Exit(code) from None


def _show(content: bytes, *, as_json: bool) -> None:
    """Print JSON on indented lines, or on one with --json, and other answers, as those of _cat, as the text that they are."""
    try:
        answer = orjson.loads(content)
    except ValueError:
        answer = content.decode(errors="replace")
    if as_json:
        print_json(answer)
    elif isinstance(answer, str):
        sys.stdout.write(printable(answer.rstrip("\n")) + "\n")
    else:
        sys.stdout.write(escaped_json(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()) + "\n")
    sys.stdout.flush()
