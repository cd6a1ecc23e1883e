"""The worker's threads: one that dies ends the worker, one that makes no turn for too long stops feeding the watchdog."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from worker.core.base.events import LogEvent
from worker.core.base.liveness import Liveness
from worker.core.base.logs import emit

T = TypeVar("T")

IDLE_TURN_S = 0.5
"""How often an idle loop turns, seconds, to see whether it should stop and to report that it is alive. Two dozen threads
do; at 0.25 s an idle worker took 0.48% of a core."""


class Supervisor:
    """Starts the threads and watches them."""

    def __init__(self) -> None:
        self._members: list[tuple[threading.Thread, Liveness]] = []
        self._dead: list[str] = []

    def start(self, name: str, loop: Callable[[Liveness], None], *, max_silence_s: float) -> threading.Thread:
        """Run `loop` on a thread of its own; at each turn it must call the `beat` of the Liveness it is given."""
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

    def join(self, until: float, *, but: str = "") -> bool:
        """Wait for every loop to end, until that monotonic second at most; True if all have. `but`: the name of one to leave."""
        return join_all([thread for thread, _ in self._members if thread.name != but], until)

    @property
    def has_dead(self) -> bool:
        """Whether a thread has died of an error."""
        return bool(self._dead)

    def unhealthy(self) -> list[str]:
        """Names of the threads that have died or gone silent; there is none while everything makes progress."""
        silent = [thread.name for thread, liveness in self._members if thread.is_alive() and liveness.is_silent]
        return self._dead + silent


def join_all(threads: Iterable[threading.Thread], until: float) -> bool:
    """Wait for threads to end, until that monotonic second at most; True if all have."""
    ended = True
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
        ended = ended and not thread.is_alive()
    return ended
