"""`s3-index-worker budget`."""

from typing import Annotated

import typer
from rich.text import Text

from worker.core.audit import AuditEvent, Run, record
from worker.core.base.budget import Cap, parse_caps
from worker.core.base.errors import ExitCode
from worker.core.base.text import exact
from worker.core.clients import connect
from worker.core.s3.budget_ledger import BudgetLedger, Standing
from worker.core.s3.state import HELD_PREFIX, State, safe_name
from worker.layout import Sentence, show
from worker.tables import Column, Table
from worker.terminal import Json, err, load_for_command, operator, print_json, show_recorded, stdout

MAX_COUNTED = 10_000
"""Limit up to which held objects are counted."""


def budget(
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--raise",
            metavar="CAP=NUMBER",
            help="Add this much to a cap of BUDGET_CAPS until midnight (UTC); repeatable.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what the fleet has used of each cap of the day, and what is left; or raise caps for today.

    What counts as used is what workers have leased: up to 1% of a cap for each of them may not be used yet.
    Exit codes: 0 shown, 1 no cap is set, 3 raised, but not recorded in the audit, 64, 69, 78.
    """
    settings = load_for_command()
    caps = {cap.name: cap for cap in settings.budget_caps}
    if not caps:
        err.print("BUDGET_CAPS is not set: nothing is limited")
        raise typer.Exit(ExitCode.NOT_FOUND)
    raised = _raises(more or [], caps)
    clients = connect(settings)
    clients.state.calibrate_clock()
    ledger = BudgetLedger(clients.state, clients.objects.clock)
    day, recorded = ledger.today(), ExitCode.OK
    if raised:
        ledger.raise_caps(day, {cap.name: cap.units for cap in raised})
        details = {"day": day, **{cap.name: cap.amount(cap.units) for cap in raised}}
        run = Run.new("s3-index-worker budget", action="raise", by=operator())
        recorded = show_recorded(record(clients.state, AuditEvent.of(run, (), {"raised": len(raised)}, details)))
    _show(day, list(caps.values()), ledger.standings(day, caps.values()), clients.state, as_json=as_json)
    raise typer.Exit(recorded)


def _raises(given: list[str], caps: dict[str, Cap]) -> tuple[Cap, ...]:
    try:
        raised = parse_caps(",".join(given))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--raise") from None
    if unknown := [cap.name for cap in raised if cap.name not in caps]:
        raise typer.BadParameter(f"BUDGET_CAPS has no {unknown[0]}", param_hint="--raise")
    return raised


def _show(day: str, caps: list[Cap], standings: dict[str, Standing], state: State, *, as_json: bool) -> None:
    held = {cap.scope: _held(state, cap.scope) for cap in caps}
    rows = [
        {
            "cap": cap.name,
            "used": cap.amount(standings[cap.name].used),
            "left": cap.amount(max(0, standings[cap.name].limit - standings[cap.name].used)),
            "limit": cap.amount(standings[cap.name].limit),
            "held": held[cap.scope],
        }
        for cap in caps
    ]
    if as_json:
        print_json({"day": day, "caps": rows})
        return
    columns = [
        Column("cap", text=True),
        *(Column(name, right=True) for name in ("used", "left", "limit", "objects held")),
    ]
    shown = [
        (Text(exact(str(row["cap"]))), *(f"{row[name]:,.10g}" for name in ("used", "left", "limit")), row["held"])
        for row in rows
    ]
    show(stdout(), Sentence(f"{day} (UTC)"), Table(columns, shown))


def _held(state: State, scope: str) -> int:
    """How many objects are held for the caps of a scope; one on everything holds none, it stops the polling."""
    return state.count(f"{HELD_PREFIX}{safe_name(scope)}/", at_most=MAX_COUNTED) if scope else 0
