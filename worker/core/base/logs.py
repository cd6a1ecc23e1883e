"""The one place that reports what happened: as a log line, and to observers (metrics).

JSON lines on stderr, with `<N>` priorities where systemd reads them (sd-daemon(3)), so that `journalctl -p warning`
and `-o cat | jq` work; colour on a terminal.
"""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import orjson

from worker.core.base.events import LogEvent
from worker.core.base.text import escaped

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

Level = Literal["debug", "info", "warning", "error", "critical"]
Fields = Mapping[str, Any]
"""The facts of an event, by name."""
Observer = Callable[[LogEvent, Fields], None]

_PRIORITY = {"debug": b"<7>", "info": b"<6>", "warning": b"<4>", "error": b"<3>", "critical": b"<2>"}

_observers: list[Observer] = []
_log: Any = None
_set_up: Callable[[], None] | None = None
"""What `configure` has still to do. It waits for the first line, because structlog takes 40 ms to load."""


def emit(event: LogEvent, level: Level = "info", /, **fields: object) -> None:
    """Report an event and its facts. Never pass bodies or credentials."""
    for observer in _observers:
        try:
            observer(event, fields)
        except Exception as error:  # noqa: BLE001 (an observer must never stop the work that it observes)
            _write(LogEvent.OBSERVER_FAILED, "error", observed=event, error=repr(error))
    _write(event, level, **fields)


def _write(event: LogEvent, level: Level, **fields: object) -> None:
    try:
        getattr(_logger(), level)(event, **fields)
    except (OSError, ValueError):
        return  # stderr is full or closed: a line that cannot be written must not delay the work


def _logger() -> Any:
    global _log, _set_up  # noqa: PLW0603 (the process has one log)
    set_up = _set_up  # another thread may end it meanwhile
    if set_up is not None:
        set_up()  # by several threads at once, perhaps, which does no harm
        _set_up = None
    if _log is None:
        import structlog

        _log = structlog.get_logger()
    return _log


def observe(observer: Observer) -> Callable[[], None]:
    """Call `observer` with every event before it is logged; calling the result ends that. Its exceptions are logged."""
    _observers.append(observer)
    return lambda: _observers.remove(observer)


def configure(*, level: str = "info", form: Literal["auto", "json", "console"] = "auto") -> None:
    """Set up logging for this process."""
    global _set_up  # noqa: PLW0603 (the process has one log)
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "json"
    _set_up = partial(_configure, level, form, sys.stderr)
    # Warnings of libraries would break the JSON lines; their errors arrive as exceptions.
    logging.getLogger().addHandler(logging.NullHandler())


def _configure(level: str, form: str, stream: Any) -> None:
    import structlog

    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _printable,
    ]
    last: Processor
    if form == "console":
        shared.append(_set_in)
        last = structlog.dev.ConsoleRenderer(colors=stream.isatty())
        factory: Any = structlog.PrintLoggerFactory(stream)
    else:
        last = _json_for_journal if "JOURNAL_STREAM" in os.environ else _json
        factory = structlog.BytesLoggerFactory(stream.buffer)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


def _printable(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    """Escape what is not printable: a key must not forge a line or move a cursor with a newline or a terminal escape."""
    for name, value in event.items():
        if type(value) is str:
            if not value.isprintable():
                kept = value.split("\n") if name == "exception" else [value]
                event[name] = "\n".join(map(escaped, kept))
        elif isinstance(value, Mapping | list | tuple):
            event[name] = _escaped_within(value)
    return event


def _escaped_within(value: object) -> object:
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, Mapping):
        return {_escaped_within(name): _escaped_within(inner) for name, inner in value.items()}
    return [_escaped_within(inner) for inner in value] if isinstance(value, list | tuple) else value


def _set_in(_logger: "WrappedLogger", _method: str, event: "EventDict") -> "EventDict":
    """On a terminal, start each line of a stack trace with a bar, so that the text of an error cannot forge a log line."""
    if "exception" in event:
        event["exception"] = "\n".join(f"  | {line}" for line in event["exception"].split("\n"))
    return event


def _json(_logger: "WrappedLogger", _method: str, event: "EventDict") -> bytes:
    return orjson.dumps(event, default=str)


def _json_for_journal(logger: "WrappedLogger", method: str, event: "EventDict") -> bytes:
    return _PRIORITY.get(event.get("level", "info"), b"<6>") + _json(logger, method, event)
