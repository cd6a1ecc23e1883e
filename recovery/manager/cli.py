"""`dlq-manager`: serve, rebuild, migrate, doctor, notify-test, token."""

import os
import sys
from typing import Annotated

import typer

from recovery.manager import token_cli
from worker.core.base import logs
from worker.core.base.errors import ExitCode
from worker.terminal import (
    Json,
    Signals,
    agreed,
    configure_logs,
    err,
    new_app,
    operator,
    print_json,
    run_app,
    say,
    stdout,
    tell,
)

app = new_app(
    "dlq-manager",
    "Takes dead letters in, and answers questions about them over HTTP. Settings come from the environment: see "
    "docs/reference/settings.md.",
    no_args_is_help=True,
)
app.add_typer(token_cli.app, name="token")


def main() -> None:
    """Run a command. An error is shown as one sentence on stderr, with its exit code."""
    try:
        import recovery.manager.service  # noqa: F401 (needs the packages of the extra)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"recovery", "worker"}:
            raise
        say("configuration", f"{error.name} is not installed: dlq-manager needs the extra s3-index-worker[manager] "
            "(`make install MANAGER=1`)")  # fmt: skip
        sys.exit(ExitCode.CONFIG)
    run_app(app)


@app.command(epilog="Example: dlq-manager serve")
def serve() -> None:
    """Take in dead letters and serve the API until SIGTERM or SIGINT; a second signal exits at once. Exit codes: 0, 69, 70, 78."""
    from recovery.manager.assembly import connect, load_settings, open_checked
    from recovery.manager.service import Manager

    settings = load_settings()
    logs.configure(level=settings.log_level, form=settings.log_format)
    parts = connect(settings)
    ledger = open_checked(settings, parts, by=operator())
    try:
        code = Manager(settings, parts, ledger, by=f"api@{os.uname().nodename}").run()
    finally:
        ledger.close()
    raise typer.Exit(code)


@app.command(epilog="Example: dlq-manager rebuild --yes")
def rebuild(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Fill a new ledger from the state bucket, and make it the bucket's ledger. No manager may be running meanwhile.

    It says what it cannot restore. Exit codes: 0, 69, 78.
    """
    from recovery.manager.assembly import connect, load_settings, open_unchecked
    from recovery.manager.rebuild import LOST
    from recovery.manager.rebuild import rebuild as rebuild_ledger

    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    parts = connect(settings)
    ledger = open_unchecked(settings)
    what = f"rebuild {ledger.shown} from s3://{parts.state.bucket}, and use it from now on. Not restored: {LOST}."
    tell(what)
    if not yes and not agreed("No other manager may be running. Do you want to rebuild it?"):
        raise typer.Exit(ExitCode.INCOMPLETE)
    with Signals().heeded() as signals, err.status("reading the state bucket …") as status:
        now_ms = parts.clients.objects.clock.now_ms()
        done = rebuild_ledger(
            ledger, parts.state, parts.rows, by=operator(), now_ms=now_ms, stop=signals.stop,
            on_progress=lambda now: status.update(f"reading the state bucket … {now.done:,} read"),
        )  # fmt: skip
    if as_json:
        print_json(done.as_json())
    else:
        stdout().print(
            f"{done.stored:,} stored and {done.archived:,} archived dead letters, {done.events:,} entries of the audit",
            highlight=False,
        )


@app.command(epilog="Example: dlq-manager migrate")
def migrate() -> None:
    """Migrate the ledger's database to this version. SQLite is migrated by `serve` itself; PostgreSQL only by this command."""
    from recovery.manager.assembly import ledger_to_migrate, load_settings

    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    ledger = ledger_to_migrate(settings)
    before = ledger.schema_state()
    ledger.migrate()
    stdout().print(
        f"{ledger.shown}: was {before.value}, is {ledger.schema_state().value}", highlight=False, soft_wrap=True
    )


@app.command(epilog="Example: dlq-manager doctor --json")
def doctor(as_json: Json = False) -> None:
    """Check what the manager needs: dead-letter queue, state bucket, ledger, sign-in, notifications, index, retries.

    It changes nothing. Exit codes: 0, 1 if a check failed.
    """
    from recovery.manager.assembly import connect, load_settings
    from recovery.manager.doctor import checks
    from worker.render import show_checks

    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    raise typer.Exit(show_checks(list(checks(settings, connect(settings))), as_json=as_json))


@app.command("notify-test", epilog="Example: dlq-manager notify-test")
def notify_test(as_json: Json = False) -> None:
    """Send a test message to every address of NOTIFY_URLS and OWNERS. Exit codes: 0, 1 if one was not accepted, 78."""
    from recovery.manager.assembly import load_settings
    from recovery.manager.doctor import sendings
    from worker.render import show_checks

    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    raise typer.Exit(show_checks(list(sendings(settings)), as_json=as_json))


if __name__ == "__main__":
    main()
