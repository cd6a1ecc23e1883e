"""Reads again and again, on threads of their own, figures that nobody tells a service: what lies in the state bucket."""

import threading
from collections.abc import Callable

from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

INTERVAL_S = 300.0
"""How often figures are read. What they are about changes over days, or has waited for minutes before anybody is told."""


def keep_fresh(what: str, read: Callable[[], object], stop: threading.Event) -> None:
    """Call `read` now, and every INTERVAL_S until `stop` is set.

    While the state bucket does not answer, the last figures stay: that outage has alerts of its own. So they do after any other
    error, which is a bug and is reported; figures alone are no reason to end a service that works.
    """

    def run() -> None:
        while True:
            _try(what, read)
            if stop.wait(INTERVAL_S):
                return

    threading.Thread(target=run, name=what, daemon=True).start()


def _try(what: str, read: Callable[[], object]) -> None:
    try:
        read()
    except StoreError:
        return
    except Exception as error:  # noqa: BLE001 (see keep_fresh)
        emit(LogEvent.FIGURES_NOT_READ, "error", what=what, error=repr(error))
