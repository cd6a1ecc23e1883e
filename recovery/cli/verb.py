"""`verb` registers a function as a verb of `dlq`. Options that belong together are grouped into one parameter."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from recovery.cli.context import CommandContext
from recovery.cli.options import Kind, OlderThan
from recovery.cli.settings import ToolOptions, load_tool
from recovery.operations.dead_letters.facts import Filter, Ids
from worker.core.base.errors import ExitCode
from worker.terminal import Json, Signals, configure_logs, new_app, seconds

Verb = Callable[..., ExitCode]

app = new_app(
    "Inspect the dead-letter queue, and move its messages. Inspecting changes nothing; a change to more than one message is "
    "confirmed first. "
    "(`dlq-redrive` is the deprecated name of this program.)",
    no_args_is_help=True,
)


def _ids(
    message_id: Annotated[list[str], typer.Option(help="Id of a message in the DLQ; more ids can follow.")],
    others: Annotated[list[str] | None, typer.Argument(help="More ids.", show_default=False)] = None,
) -> Ids:
    return Ids(frozenset(message_id) | frozenset(others or ()))


def _filter(
    kind: Kind = None,
    error: Annotated[str | None, typer.Option(help="Only failures with this error type.")] = None,
    message_type: Annotated[
        str | None,
        typer.Option("--type", help="Only messages of this type: s3-event, maps, web, or one in MESSAGE_TYPES_DIR."),
    ] = None,
    older_than: OlderThan = None,
    match: Annotated[str | None, typer.Option(help="Only messages with this text in the body or in a key.")] = None,
    group: Annotated[
        str | None, typer.Option(help="Only messages with this fingerprint, as shown by `dlq groups`.")
    ] = None,
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
    endpoint_url: Annotated[str | None, typer.Option(help="Endpoint of SQS, if it is not AWS's own.")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile, from its configuration files.")] = None,
) -> ToolOptions:
    """The options of every verb."""
    return ToolOptions(dlq, queue, region, endpoint_url, profile)


def _as_json(as_json: Json = False) -> bool:
    return as_json


_GROUPS: dict[type, Callable[..., Any]] = {Ids: _ids, Filter: _filter}


def verb(*, epilog: str, name: str | None = None) -> Callable[[Verb], Verb]:
    """Register a function as a verb of `dlq`. Its context is created for it; a grouped parameter becomes several options."""

    def register(function: Verb) -> Verb:
        called = name or function.__name__.replace("_", "-")
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]  # without the context

        @functools.wraps(function)
        def run(**given: Any) -> None:
            options, as_json = _build(_common, given), _build(_as_json, given)
            arguments = {one.name: _argument(one, given) for one in own}
            signals = Signals()
            context = _open(called, options, signals, as_json=as_json)  # Ctrl-C ends this at once: nothing is held yet
            with signals.heeded():
                code = function(context, **arguments)
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
    """Raises a usage error if every message is selected without --all."""
    if chosen.is_empty and max_messages is None and not everything:
        raise typer.BadParameter(
            "is required to select every message; otherwise, give a filter or --max-messages", param_hint="--all"
        )


def _open(called: str, options: ToolOptions, signals: Signals, *, as_json: bool) -> CommandContext:
    settings, aws = load_tool(options)
    configure_logs(settings.log_level, settings.log_format)
    context = CommandContext(settings, aws, called, signals, as_json=as_json, options=options)
    context.check_dlq()
    return context


def _options_of(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """Return the options of a verb's parameter: the parameter itself, or the options of its group."""
    make = _group(parameter)
    return [parameter] if make is None else list(_options(make).values())


def _argument(parameter: inspect.Parameter, given: dict[str, Any]) -> Any:
    """Return the value of a verb's parameter, and remove its options from `given`."""
    make = _group(parameter)
    return given.pop(parameter.name) if make is None else _build(make, given)


def _group(parameter: inspect.Parameter) -> Callable[..., Any] | None:
    """Return what makes the value of a grouped parameter from its options; None for an ordinary parameter."""
    return _GROUPS.get(parameter.annotation) if isinstance(parameter.annotation, type) else None


def _build(make: Callable[..., Any], given: dict[str, Any]) -> Any:
    """Build the value of a group of options, and remove them from `given`."""
    return make(**{option: given.pop(option) for option in _options(make)})


def _options(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(make, eval_str=True).parameters)
