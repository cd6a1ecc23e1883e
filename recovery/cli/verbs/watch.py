"""`dlq watch`: `dlq stats` again and again."""

import io
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from recovery.cli.context import CommandContext
from recovery.cli.options import MaxSeen
from recovery.cli.verb import verb
from recovery.cli.verbs.stats import figures_of, show_figures
from recovery.operations.dead_letters.facts import EVERY_ONE
from recovery.operations.find import FindRequest, find
from recovery.operations.stats import Stats, at_present
from worker.core.base.errors import ExitCode, QueueError, StoreError
from worker.core.base.text import one_line
from worker.terminal import iso, say, span, stdout

READ_EVERY_S = 600
"""Seconds after which the messages are read again. Reading hides them from others for a moment, and counts as receiving them."""
_TICK_S = 0.5
"""How soon, in seconds, a terminal that was made wider or narrower is drawn anew."""
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""The terminal's second screen, without a cursor, so that the first is as it was afterwards (xterm, DECSET 1049 and 25)."""
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


@verb(epilog="Examples: dlq watch | dlq watch --interval 60 | dlq watch --json >> depth.jsonl")
def watch(
    context: CommandContext,
    interval: Annotated[int, typer.Option(min=2, max=3_600, help="Seconds from one look at the DLQ to the next.")] = 10,
    max_messages: MaxSeen = 10_000,
) -> ExitCode:
    """Show what `dlq stats` shows, refreshed until Ctrl-C; in a pipe, one snapshot after another.

    At each look, the numbers of messages in the DLQ and in dead-letters/ are new. All else, as the causes and ages, is of the
    time that is shown: the messages themselves are read only at the start and every ten minutes, because reading hides them
    from other commands meanwhile, and counts as receiving them. Exit codes: 130 after Ctrl-C, 69, 78.
    """
    stop, is_drawn = context.signals.stop, sys.stdout.isatty() and not context.as_json
    looks = _looks(context, interval, max_messages)
    if is_drawn:
        with _second_screen():
            for look in looks:
                note = f"every {interval} s; Ctrl-C ends. {look.problem or iso(look.counted_s)}; {look.age}"
                _draw(context, look.figures, note, interval)
    else:
        for look in looks:
            if look.problem:
                say("unavailable", look.problem)
            if not context.as_json:
                stdout().print(f"{iso(look.counted_s)}; {look.age}", highlight=False)
            show_figures(context, look.figures, counted_at=iso(look.counted_s), read_at=iso(look.read_s))
            sys.stdout.flush()
            stop.wait(interval)
    return ExitCode.OK


@dataclass(frozen=True, slots=True)
class _Look:
    """What there is at one time."""

    figures: Stats
    read_s: float
    """When the messages were read, seconds since the epoch."""
    counted_s: float
    """When they were counted."""
    problem: str = ""
    """Why they could not be counted or read at this look; the figures are then those of the look before."""

    @property
    def age(self) -> str:
        """How old the causes are, as text for the operator."""
        return f"causes read {span(time.time() - self.read_s)} ago"


def _looks(context: CommandContext, interval: int, max_messages: int) -> Iterator[_Look]:
    """What there is at each look, until the command is to end. Raises QueueError or StoreError if even the first look fails."""
    look, read_at = None, 0.0
    while not context.signals.stop.is_set():
        try:
            if look is None or time.monotonic() - read_at >= max(READ_EVERY_S, interval):
                found = _read(context, max_messages)
                if found is None:
                    return
                look, read_at = _Look(found, time.time(), time.time()), time.monotonic()
            else:
                counted = at_present(look.figures, context.clients)
                look = replace(look, figures=counted, counted_s=time.time(), problem="")
        except (QueueError, StoreError) as error:
            if look is None:
                raise
            look = replace(look, problem=f"not counted since {iso(look.counted_s)}: {error}")
        yield look


def _read(context: CommandContext, max_messages: int) -> Stats | None:
    """The figures; None if the command is to end."""
    with context.claiming() as claims:
        found = find(context.clients, claims, FindRequest(EVERY_ONE, max_messages), stop=context.signals.stop)
    return None if context.signals.stop.is_set() else figures_of(context, found)


# -- the terminal --------------------------------------------------------------------------------------------------


@contextmanager
def _second_screen() -> Iterator[None]:
    sys.stdout.write(_ENTER)
    try:
        yield
    finally:
        with suppress(OSError):
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()


class _Drawing(io.StringIO):
    """A terminal as far as rich is concerned, of which the text is kept."""

    def isatty(self) -> bool:
        return True


def _draw(context: CommandContext, figures: Stats, note: str, interval: int) -> None:
    """Draw, and wait for the interval; draw anew when the terminal gets another size."""
    until, size = time.monotonic() + interval, os.terminal_size((0, 0))
    while not context.signals.stop.is_set() and (left_s := until - time.monotonic()) > 0:
        if size != shutil.get_terminal_size():
            size = shutil.get_terminal_size()
            _draw_once(context, figures, note, size)
        context.signals.stop.wait(min(_TICK_S, left_s))


def _draw_once(context: CommandContext, figures: Stats, note: str, size: os.terminal_size) -> None:
    """Overwrite what is there, line by line and in one piece, which does not flicker."""
    with redirect_stdout(_Drawing()) as drawing:
        stdout().print(f"dlq watch, {one_line(note)}", markup=False, highlight=False)
        show_figures(context, figures)
    lines = drawing.getvalue().splitlines()
    if len(lines) >= size.lines:
        more = len(lines) - size.lines + 2
        lines = [*lines[: size.lines - 2], f"{more} more lines: make the window taller, or see `dlq stats`"]
    sys.stdout.write(_HOME + "".join(f"{line}{_REST_OF_LINE}\r\n" for line in lines) + _REST_OF_SCREEN)
    sys.stdout.flush()
