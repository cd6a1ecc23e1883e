"""`dlq-manager token`: create, list and revoke the tokens by which programs ask the manager."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.manager.roles import Role
from recovery.manager.token_secrets import NAME, digest_of, new_secret
from worker.core.base.errors import ExitCode
from worker.layout import show
from worker.tables import Column, Table
from worker.terminal import Json, configure_command_logs, err, iso, new_app, operator, print_json, say, seconds, stdout

if TYPE_CHECKING:  # needs the packages of the extra, which `main` has to miss politely
    from recovery.ledger.tokens import Token, Tokens

MAX_S = 3_650 * 86_400
app = new_app("token", "Create, list and revoke the tokens by which programs ask the manager.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The token's name.")]


@app.command(epilog="Example: dlq-manager token create --role reader --name prometheus --expires 365d")
def create(
    role: Annotated[Role, typer.Option(help="What it allows; each role may do what the one before may.")],
    name: Annotated[
        str, typer.Option(help="What the audit calls it: up to 64 letters, digits and . _ @ -; never to be used again.")
    ],
    expires: Annotated[
        str | None, typer.Option(metavar="DURATION", help="When it expires, from now: 90d, 12h. Default: never.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create a token and print its secret, this once: the ledger keeps only its SHA-256. Exit codes: 0, 64, 69, 78."""
    from recovery.ledger.tokens import Token

    if not NAME.fullmatch(name):
        right = "it should have up to 64 letters, digits and . _ @ -, and begin with a letter or digit"
        raise typer.BadParameter(f"{name!r}: {right}", param_hint="--name")
    lasts_s = seconds(expires, "--expires")
    if lasts_s is not None and not 0 < lasts_s <= MAX_S:
        raise typer.BadParameter(f"{expires!r}: it should be between 1s and 3650d", param_hint="--expires")
    now_ms, secret = time.time_ns() // 1_000_000, new_secret()
    token = Token(
        name, role.value, digest_of(secret) or "", now_ms, operator(), None if lasts_s is None else now_ms + lasts_s * 1000
    )  # fmt: skip
    with _tokens() as tokens:
        if not tokens.create(token):
            taken = f"there is, or was, a token {name}; it should be another name, because the audit has this one"
            raise typer.BadParameter(taken, param_hint="--name")
    if as_json:
        print_json({**_as_json(token), "token": secret})
        return
    err.print(f"The token {name} for the role {role.value}, which is shown only now:", highlight=False, soft_wrap=True)
    stdout().print(secret, highlight=False, soft_wrap=True)


@app.command("list", epilog="Example: dlq-manager token list --json")
def list_tokens(as_json: Json = False) -> None:
    """List all tokens, present and past. Exit codes: 0, 69, 78."""
    with _tokens() as tokens:
        found = tokens.all()
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    columns = [Column("name", text=True), *map(Column, ("role", "is", "until", "used"))]
    rows = [(one.name, one.role, _is(one), _day(one.revoked_ms or one.expires_ms), _day(one.used_ms)) for one in found]
    show(stdout(), Table(columns, rows))


@app.command(epilog="Example: dlq-manager token revoke prometheus")
def revoke(name: Name, as_json: Json = False) -> None:
    """Revoke a token: from the next request on it is refused, and its streams end. Exit codes: 0, 1 if there is none, 69, 78."""
    with _tokens() as tokens:
        found = tokens.revoke(name, by=operator())
        known = ", ".join(one.name for one in tokens.all() if one.revoked_ms is None) if found is None else ""
    if found is None:
        say("not found", f"there is no token {name}; there are: {known or 'none'}")
        raise typer.Exit(ExitCode.NOT_FOUND)
    if as_json:
        print_json(_as_json(found))
        return
    stdout().print(
        f"{found.name}: revoked {iso((found.revoked_ms or 0) / 1000)} by {found.revoked_by}", highlight=False, soft_wrap=True
    )  # fmt: skip


@contextlib.contextmanager
def _tokens() -> "Iterator[Tokens]":
    """The ledger's tokens. Raises ConfigError or LedgerError."""
    from recovery.manager.assembly import load_settings, open_unchecked

    settings = load_settings()
    configure_command_logs(settings.log_level, settings.log_format)
    with contextlib.closing(open_unchecked(settings)) as ledger:
        yield ledger.tokens


def _is(token: "Token") -> str:
    if token.revoked_ms is not None:
        return "revoked"
    return "valid" if token.is_valid(time.time_ns() // 1_000_000) else "expired"


def _day(at_ms: int | None) -> str:
    return "" if at_ms is None else iso(at_ms / 1000).removesuffix("+00:00")


def _as_json(token: "Token") -> dict[str, object]:
    """Everything but the digest, with times in ISO 8601."""
    times = {name: getattr(token, f"{name}_ms") for name in ("created", "expires", "revoked", "used")}
    return {
        "name": token.name, "role": token.role, "is": _is(token), "created_by": token.created_by,
        "revoked_by": token.revoked_by,
        **{name: None if at_ms is None else iso(at_ms / 1000) for name, at_ms in times.items()},
    }  # fmt: skip
