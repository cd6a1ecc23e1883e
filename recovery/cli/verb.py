"""`verb` registers a function as a verb of `dlq`. Options that belong together are grouped into one parameter."""

import functools
import inspect
from collections.abc import Callable
from importlib import import_module
from types import UnionType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from recovery.cli import verbs
from recovery.cli.context import CommandContext
from recovery.cli.options import (
    Error,
    IdArguments,
    Kind,
    Match,
    MessageId,
    MessageType,
    OfGroup,
    OlderThan,
    filter_of,
)
from recovery.cli.settings import ToolOptions, load_tool
from recovery.cli.verbs import MODULES, READ_ONLY
from recovery.operations.dead_letters.facts import Filter, Ids
from recovery.operations.dead_letters.short_ids import MIN_CHARS, ids_of
from worker.core.base.errors import ExitCode
from worker.core.base.text import one_line
from worker.terminal import Json, Signals, configure_command_logs, new_app

Verb = Callable[..., ExitCode]


class Verbs(TyperGroup):
    """The verbs of `dlq`: the module of each is imported when it is used, which registers it."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (as typer calls it)
        """The names of all verbs."""
        return list(MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 (as typer calls it)
        """A verb; None if there is none of this name."""
        if cmd_name not in self.commands:
            for module in (
                {MODULES[cmd_name]} if cmd_name in MODULES else {*MODULES.values()}
            ):  # or all, to name the nearest
                import_module(f"{verbs.__name__}.{module}")
            self.commands = typer.main.get_group(app).commands
        return self.commands.get(cmd_name)


app = new_app(
    "dlq",
    "Inspect the dead-letter queue, and move its messages. Inspecting changes nothing; a change to more than one message is "
    "confirmed first. "
    "(`dlq-redrive` is the deprecated name of this program.)",
    no_args_is_help=True,
    cls=Verbs,
)
app.callback()(lambda: None)  # so that typer never takes a single verb for the whole program


def _ids(given: IdArguments = None, message_id: MessageId = None) -> Ids:
    ids = _optional_ids(given, message_id)
    if ids is None:
        raise typer.BadParameter(
            f"is missing: give an id, or its first {MIN_CHARS} characters or more", param_hint="ID"
        )
    return ids


def _optional_ids(given: IdArguments = None, message_id: MessageId = None) -> Ids | None:
    try:
        return ids_of(given or (), message_id or ()) if given or message_id else None
    except ValueError as error:
        raise typer.BadParameter(one_line(str(error)), param_hint="ID") from None


def _filter(
    kind: Kind = None,
    error: Error = None,
    message_type: MessageType = None,
    older_than: OlderThan = None,
    match: Match = None,
    group: OfGroup = None,
) -> Filter:
    return filter_of(kind, error, message_type, older_than, match, group)


def _which(given: IdArguments = None, message_id: MessageId = None, **options: Any) -> Ids | Filter:
    ids, chosen = _optional_ids(given, message_id), _filter(**options)
    if ids is not None and not chosen.is_empty:
        raise typer.BadParameter(
            "selects messages already: give ids, or options that filter, but not both", param_hint="ID"
        )
    return chosen if ids is None else ids


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


_GROUPS: dict[object, Callable[..., Any]] = {
    Ids: _ids, Ids | None: _optional_ids, Filter: _filter, Ids | Filter: _which
}  # fmt: skip


def verb(*, epilog: str, name: str | None = None) -> Callable[[Verb], Verb]:
    """Register a function as a verb of `dlq`. Its context is created for it; a grouped parameter becomes several options."""

    def register(function: Verb) -> Verb:
        called = name or function.__name__.replace("_", "-")
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]  # without the context

        @functools.wraps(function)
        def run(**given: Any) -> None:
            options, as_json = _build(_common, given), _build(_as_json, given)
            arguments = {one.name: _argument(one, given) for one in own}
            signals = Signals(changes=called not in READ_ONLY)
            verbose = bool(arguments.get("verbose"))
            context = _open(
                called, options, signals, as_json=as_json, verbose=verbose
            )  # Ctrl-C ends this at once: nothing is held yet
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


def require_choice_or_all(
    which: Ids | Filter, otherwise: str, *, everything: bool, max_messages: int | None = None
) -> None:
    """Raises a usage error if every message is selected without --all; `otherwise` names what else selects messages."""
    if isinstance(which, Filter) and which.is_empty and max_messages is None and not everything:
        raise typer.BadParameter(
            f"is required to select every message; otherwise, give {otherwise}", param_hint="--all"
        )


def _open(called: str, options: ToolOptions, signals: Signals, *, as_json: bool, verbose: bool) -> CommandContext:
    settings, aws = load_tool(options)
    configure_command_logs(settings.log_level, settings.log_format, verbose=verbose)
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
    is_group = isinstance(parameter.annotation, type | UnionType)
    return _GROUPS.get(parameter.annotation) if is_group else None


def _build(make: Callable[..., Any], given: dict[str, Any]) -> Any:
    """Build the value of a group of options, and remove them from `given`."""
    return make(**{option: given.pop(option) for option in _options(make)})


def _options(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    if make is _which:
        return {**_options(_optional_ids), **_options(_filter)}
    return dict(inspect.signature(make, eval_str=True).parameters)
