"""The worker's threads. One that dies, or makes no turn for too long, stops the worker loudly."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit

T = TypeVar("T")

IDLE_TURN_S = 0.5
"""How often a loop turns that has nothing to do, seconds: it looks whether to stop, and beats its pulse. Two dozen
threads turn so; at 0.25 s an idle worker took 0.48% of a core."""


class Supervisor:
    """Starts the threads and watches over them."""

    def __init__(self) -> None:
        self._members: list[tuple[threading.Thread, Liveness]] = []
        self._dead: list[str] = []

    def start(self, name: str, loop: Callable[[Liveness], None], *, max_silence_s: float) -> threading.Thread:
        """Run `loop` on a thread of its own; it must beat the pulse it is given."""
        liveness = Liveness(max_silence_s)

        def run() -> None:
            try:
                loop(liveness)
            except BaseException as error:  # noqa: BLE001 (whatever it was, the worker must not go on without it)
                self._dead.append(name)
                emit(LogEvent.THREAD_DIED, "critical", thread=name, error=repr(error), exc_info=error)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._members.append((thread, liveness))
        thread.start()
        return thread

    def join(self, until: float) -> bool:
        """Wait for every loop to end, at most until that monotonic second; whether all have."""
        return join_all([thread for thread, _ in self._members], until)

    @property
    def has_dead(self) -> bool:
        """Whether a thread has died of an error."""
        return bool(self._dead)

    def unhealthy(self) -> list[str]:
        """Names of the threads that have died or gone silent; progress is that there is none."""
        silent = [thread.name for thread, liveness in self._members if thread.is_alive() and liveness.is_silent]
        return self._dead + silent


def join_all(threads: Iterable[threading.Thread], until: float) -> bool:
    """Wait for threads to end, at most until that monotonic second; whether all have."""
    ended = True
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
        ended = ended and not thread.is_alive()
    return ended
