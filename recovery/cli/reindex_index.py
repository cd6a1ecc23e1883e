"""`reindex_index`: make a new index beside the old one, fill it while workers write to both, and let searches read it."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from recovery.cli.options import WhilePaused, Yes
from recovery.cli.places import DEFAULT_PLACES, default_places
from recovery.cli.view.progress import ProgressBar
from recovery.cli.view.reindexed import ended_sentence, question, result_sentences, situation_sentences
from recovery.cli.view.tables import print_sentence
from recovery.operations.progress import Progress
from recovery.operations.reindex import Plan, plan, reindex
from recovery.operations.reindexing.ending import Ending, situation
from recovery.operations.reindexing.request import DEFAULT_GRACE_S, Reindexed, ReindexRequest
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.audit import Run
from worker.core.base.errors import ExitCode
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.settings import Settings
from worker.core.clients import Clients, connect
from worker.core.index.exchange import Exchange
from worker.core.index.open import open_exchange
from worker.core.s3.objects import Place
from worker.core.s3.reindexing import Phase, Reindex, Source
from worker.terminal import (
    Json,
    Signals,
    agreed,
    distinct_places,
    err,
    load_for_command,
    new_app,
    operator,
    place_of,
    print_json,
    run_app,
    say,
    seconds,
    show_recorded,
    tell,
)

COMMAND = "reindex_index"
LeaveOut = Annotated[
    bool,
    typer.Option(
        "--leave-out", help="With --from-s3: leave out documents of other buckets, and those without bucket or key."
    ),
]
RemoveMany = Annotated[
    bool,
    typer.Option(
        "--remove-many",
        help="Remove documents without an object from the new index, however many; you have checked that.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Switch, roll back, or delete the old index despite an objection; you have looked into it.",
    ),
]
app = new_app("reindex_index")


def main() -> None:
    """Run the command and exit."""
    run_app(app)


@app.command(
    epilog="Examples: reindex_index --from-index | reindex_index s3://our-files --from-s3 --grace 2d | reindex_index --status | "
    "reindex_index --rollback | reindex_index --finish"
)
def reindex_index(
    buckets: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Buckets whose objects the new index is to hold: s3://BUCKET. Default: {DEFAULT_PLACES}.",
            metavar="S3-URL",
            show_default=False,
        ),
    ] = None,
    from_s3: Annotated[
        bool, typer.Option("--from-s3", help="Fill the new index from S3: every object is read again.")
    ] = False,
    from_index: Annotated[
        bool, typer.Option("--from-index", help="Fill the new index from the old one: its documents are copied.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Show the reindex that is under way.")] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="After the switch: let searches read the old index again, at once.")
    ] = False,
    abort_: Annotated[
        bool, typer.Option("--abort", help="Before the switch: end the reindex, and delete the new index.")
    ] = False,
    finish_: Annotated[
        bool, typer.Option("--finish", help="After the switch: end the reindex, and delete the old index.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Objects read per second at most. Default: any.")] = None,
    grace: Annotated[
        str | None,
        typer.Option(
            help=f"How long the old index is kept and written to after the switch, at least. Default: {DEFAULT_GRACE_S // 86_400}d."
        ),
    ] = None,
    leave_out: LeaveOut = False,
    remove_many: RemoveMany = False,
    force: Force = False,
    while_paused: WhilePaused = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Replace the index with a new one, without a gap in the searches and without losing a write.

    The new index is made by the index template, beside the old one, and every worker writes to both. It is filled, compared with
    the buckets and repaired; searches read it once it is no worse than the old one. The old index is kept for a while, and
    --rollback moves back to it. An interrupted run is continued by the same command. Exit codes: 0 done, 1 no reindex is under way
    (--status), 3 not switched, declined, or not complete, 64, 69, 70, 75, 78, 130, 143.
    """
    what = _one_of(
        {
            "--from-s3": from_s3, "--from-index": from_index, "--status": status, "--rollback": rollback, "--abort": abort_,
            "--finish": finish_,
        }
    )  # fmt: skip
    if buckets and not what.startswith("--from"):
        raise typer.BadParameter(f"cannot be given with {what}", param_hint="s3://BUCKET")
    places, source = _buckets(buckets or []), Source.S3 if from_s3 else Source.INDEX
    request = ReindexRequest(
        _run("reindex"), source, places, rate, seconds(grace, "--grace"), force, remove_many, while_paused
    )
    raise typer.Exit(_done(what, request, leave_out=leave_out, yes=yes, as_json=as_json))


def _done(what: str, request: ReindexRequest, *, leave_out: bool, yes: bool, as_json: bool) -> ExitCode:
    """Do what was asked for."""
    settings = load_for_command()
    clients = connect(settings)
    exchange = open_exchange(settings, clients.aws.credentials)
    command = _Command(settings, clients, exchange, leaves_out=leave_out, yes=yes, as_json=as_json)
    if what == "--status":
        return command.show_situation()
    if not what.startswith("--from"):
        return command.end(what, force=request.force)
    return command.reindex(replace(request, buckets=request.buckets or tuple(default_places(settings, clients))))


def _one_of(chosen: dict[str, bool]) -> str:
    """The option that was given. Raises a usage error unless it is exactly one."""
    names = [name for name, is_given in chosen.items() if is_given]
    if len(names) != 1:
        raise typer.BadParameter(
            f"exactly one is required, not {' and '.join(names) or 'none'}", param_hint=" / ".join(chosen)
        )
    return names[0]


def _buckets(given: list[str]) -> tuple[Place, ...]:
    return tuple(distinct_places([_bucket(one) for one in given]))


def _bucket(given: str) -> Place:
    """A whole bucket. Raises a usage error for a part of one: the rest of it would be missing in the new index."""
    place = place_of(given)
    if place.prefix:
        raise typer.BadParameter(f"{given!r} should be a whole bucket: s3://{place.bucket}", param_hint="s3://BUCKET")
    return place


def _run(action: str) -> Run:
    return Run.new(COMMAND, action=action, by=operator())


class _Command:
    """One run of the command."""

    def __init__(
        self, settings: Settings, clients: Clients, exchange: Exchange, *, leaves_out: bool, yes: bool, as_json: bool
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._exchange = exchange
        self._leaves_out = leaves_out
        self._yes = yes
        self._as_json = as_json
        self._signals = Signals()

    def show_situation(self) -> ExitCode:
        """Show the reindex under way; NOT_FOUND if there is none."""
        found = situation(self._settings, self._clients, self._exchange)
        if self._as_json:
            print_json(found.as_json())
        else:
            for sentence in situation_sentences(found):
                print_sentence(sentence)
        return ExitCode.OK if found.reindex else ExitCode.NOT_FOUND

    def end(self, what: str, *, force: bool) -> ExitCode:
        """Go back, or end the reindex."""
        found = situation(self._settings, self._clients, self._exchange).reindex
        if found is not None and what != "--rollback" and not self._agrees(_deletes(what, found)):
            return ExitCode.INCOMPLETE
        run = _run(what.strip("-"))
        with self._signals.heeded() as signals:
            ending = Ending(self._settings, self._clients, self._exchange, run, stop=signals.stop, say=_say)
            if what == "--rollback":
                ended = ending.roll_back(force=force)
            else:
                ended = ending.abort() if what == "--abort" else ending.finish(force=force)
        code = show_recorded(ended.recorded)
        if self._as_json:
            done = ended.reindex
            print_json({"old": done.old, "new": done.new, "phase": done.phase, "complete": ended.is_complete})
        else:
            print_sentence(ended_sentence(ended))
        return self._signals.exit_code or max(code, ExitCode.OK if ended.is_complete else ExitCode.INCOMPLETE)

    def reindex(self, request: ReindexRequest) -> ExitCode:
        """Plan, ask, and do it."""
        refuse_while_paused(self._clients.state, while_paused=request.while_paused)  # not only once somebody has agreed
        planned = plan(self._settings, self._clients, self._exchange, request)
        why = "" if self._leaves_out else _lost(planned, request)
        if why:
            say("refused", f"{why}; if they are not to be found any more, use --leave-out. Nothing was changed")
            return ExitCode.INCOMPLETE
        if not self._agrees(question(planned, request)):
            return ExitCode.INCOMPLETE
        folder = Path(os.environ.get("STATE_DIRECTORY") or self._settings.temp_dir) / f"reindex-{os.getuid()}"
        with self._signals.heeded() as signals, ProgressBar(planned.documents, _log) as bar:
            result = reindex(
                self._settings, self._clients, self._exchange, request, planned, folder, stop=signals.stop, on_progress=bar.show
            )  # fmt: skip
        return self._show(result)

    def _agrees(self, asked: str) -> bool:
        if self._yes or agreed(asked):
            return True
        err.print("nothing was changed")
        return False

    def _show(self, result: Reindexed) -> ExitCode:
        codes = [ExitCode.OK if result.is_switched else ExitCode.INCOMPLETE]
        if self._as_json:
            print_json(result.as_json())
        else:
            for sentence in result_sentences(result):
                print_sentence(sentence)
        if result.recorded is not None:
            codes.append(show_recorded(result.recorded))
        return self._signals.exit_code or max(codes)


def _deletes(what: str, found: Reindex) -> str:
    name = found.left_over if found.phase is Phase.ENDING else found.new if what == "--abort" else found.old
    return f"delete {name}?" if name else "complete what the switch has left to be done?"


def _lost(planned: Plan, request: ReindexRequest) -> str:
    """What the new index would lack from the beginning; empty if nothing."""
    old = planned.reindex.old
    if request.source is Source.INDEX:
        return ""  # a copy brings everything over
    if planned.uncovered:
        names = ", ".join(f"s3://{name}" for name in sorted(planned.uncovered)[:5])
        return (
            f"{old} has documents of buckets that were not given, and that would be missing in the new index: {names}"
        )
    if planned.nameless:
        return f"{old} has {planned.nameless:,} documents without bucket or key, which only --from-index brings into the new index"
    return ""


def _say(note: str) -> None:
    tell(note)


def _log(now: Progress, per_second: float) -> None:
    emit(LogEvent.REINDEX_PROGRESS, done=now.done, total=now.total, per_second=per_second, counts=dict(now.counts))


if __name__ == "__main__":
    main()
