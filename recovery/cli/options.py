"""Options that several verbs share, each group of them one parameter of a verb; and what makes a function a verb."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from recovery.cli.context import CommandContext
from recovery.cli.settings import ToolOptions, load_tool
from recovery.operations.dead_letters.facts import Filter, Ids
from worker.core.base import logs
from worker.core.base.classify import FailureKind
from worker.core.base.errors import ExitCode
from worker.terminal import Json, Signals, err, new_app, seconds

Verb = Callable[..., ExitCode]


def _not_blank(reason: str) -> str:
    if not reason.strip():
        raise typer.BadParameter("is empty; it must say why, for whoever finds the message in the archive")
    return reason


DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
WhilePaused = Annotated[bool, typer.Option("--while-paused", help="Work although the fleet is paused.")]
Force = Annotated[bool, typer.Option("--force", help="Also what was redriven three times already.")]
Rate = Annotated[float | None, typer.Option(min=0.1, help="Messages a second at most.")]
Reason = Annotated[str, typer.Option(help="Why; kept beside the message, and in the audit.", callback=_not_blank)]
MaxSeen = Annotated[int, typer.Option(min=1, help="Messages looked at, at most.")]
MaxTaken = Annotated[int | None, typer.Option(min=1, help="Messages taken, at most.")]
All = Annotated[bool, typer.Option("--all", help="Every message is meant: no filter, no cap.")]
To = Annotated[str | None, typer.Option(help="URL or name of the queue to send to, instead of SQS_QUEUE_URL.")]

app = new_app(
    "Look at the dead-letter queue, and move what is in it. Looking changes nothing; what changes something asks first. "
    "(`dlq-redrive` is the deprecated name of this program.)",
    no_args_is_help=True,
)


def _ids(
    message_id: Annotated[list[str], typer.Option(help="Id of a message in the DLQ; several may follow.")],
    others: Annotated[list[str] | None, typer.Argument(help="More ids.", show_default=False)] = None,
) -> Ids:
    return Ids(frozenset(message_id) | frozenset(others or ()))


def _filter(
    kind: Annotated[FailureKind | None, typer.Option(help="Only failures of this kind.", case_sensitive=False)] = None,
    error: Annotated[str | None, typer.Option(help="Only failures with this error type.")] = None,
    message_type: Annotated[
        str | None, typer.Option("--type", help="Only messages of this type: s3-event, maps, web.")
    ] = None,
    older_than: Annotated[str | None, typer.Option(help="Only first sent so long ago: 90s, 30m, 2h, 1d.")] = None,
    match: Annotated[str | None, typer.Option(help="Only with this text in the body or a key.")] = None,
    group: Annotated[str | None, typer.Option(help="Only of this fingerprint, as `dlq groups` shows it.")] = None,
) -> Filter:
    return Filter(kind, error, message_type, seconds(older_than, "--older-than"), match or None, group or None)


def _common(
    dlq: Annotated[
        str | None,
        typer.Option(help="URL or name of the dead-letter queue, instead of DLQ_QUEUE_URL (DLQ_URL: deprecated)."),
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(help="URL or name of the source queue, instead of SQS_QUEUE_URL (FRONTIER_URL: deprecated)."),
    ] = None,
    region: Annotated[str | None, typer.Option(help="AWS region.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Address of SQS, where it is not AWS's own.")] = None,
    profile: Annotated[str | None, typer.Option(help="Profile of the AWS configuration.")] = None,
) -> ToolOptions:
    """What every verb takes."""
    return ToolOptions(dlq, queue, region, endpoint_url, profile)


def _as_json(as_json: Json = False) -> bool:
    return as_json


_GROUPS: dict[type, Callable[..., Any]] = {Ids: _ids, Filter: _filter}


def verb(*, epilog: str, name: str | None = None) -> Callable[[Verb], Verb]:
    """Make a function a verb of `dlq`: its context is made for it, and parameters that are groups become their options."""

    def register(function: Verb) -> Verb:
        called = name or function.__name__.replace("_", "-")
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]  # without the context

        @functools.wraps(function)
        def run(**given: Any) -> None:
            options, as_json = _build(_common, given), _build(_as_json, given)
            arguments = {one.name: _argument(one, given) for one in own}
            with Signals().heeded() as signals:
                code = function(_open(called, options, signals, as_json=as_json), **arguments)
            raise typer.Exit(signals.exit_code or code)

        parameters = [shown for one in own for shown in _options_of(one)]
        parameters += [*_options(_common).values(), *_options(_as_json).values()]
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        app.command(called, epilog=epilog)(run)
        return function

    return register


def require_filter_or_all(chosen: Filter, max_messages: int | None, *, everything: bool) -> None:
    """Raises a usage error where everything is meant, and nobody has said so."""
    if chosen.is_empty and max_messages is None and not everything:
        raise typer.BadParameter(
            "is needed to mean every message; else give a filter or --max-messages", param_hint="--all"
        )


def _open(called: str, options: ToolOptions, signals: Signals, *, as_json: bool) -> CommandContext:
    settings, aws = load_tool(options)
    logs.configure(level="error" if err.is_terminal else settings.log_level, form=settings.log_format)
    context = CommandContext(settings, aws, called, signals, as_json=as_json, options=options)
    context.check_dlq()
    return context


def _options_of(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """The options of a verb's parameter: itself, or those of its group."""
    make = _GROUPS.get(parameter.annotation) if isinstance(parameter.annotation, type) else None
    return [parameter] if make is None else list(_options(make).values())


def _argument(parameter: inspect.Parameter, given: dict[str, Any]) -> Any:
    """The value of a verb's parameter, taken out of what the command line gave."""
    make = _GROUPS.get(parameter.annotation) if isinstance(parameter.annotation, type) else None
    return given.pop(parameter.name) if make is None else _build(make, given)


def _build(make: Callable[..., Any], given: dict[str, Any]) -> Any:
    """What a group of options comes to; they are taken out of what the command line gave."""
    return make(**{option: given.pop(option) for option in _options(make)})


def _options(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(make, eval_str=True).parameters)
