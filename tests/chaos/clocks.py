"""A shifted wall clock for one process: `time.time` and `datetime.now` are shifted, the monotonic clock is not.

This is what happens when a machine's clock is set. It is a shim in Python, because libfaketime 0.9.10 either moves the
monotonic clock as well or makes Python's sleep fail. Rust code (obstore's signatures) keeps the machine's time.
"""

import datetime as dt
import os
import time
from pathlib import Path

FILE = "CHAOS_CLOCK_FILE"


class Clock:
    """A clock that can be set while its process runs."""

    def __init__(self, folder: Path, *, ahead_s: float = 0) -> None:
        self._file = folder / f"clock-{id(self)}"
        self.set(ahead_s)

    def set(self, ahead_s: float) -> None:
        """Run this many seconds ahead of the machine's clock from now on."""
        beside = self._file.with_suffix(".new")
        beside.write_text(str(ahead_s))
        beside.replace(self._file)

    @property
    def env(self) -> dict[str, str]:
        """The environment in which to start the process."""
        return {FILE: str(self._file)}


def install() -> None:
    """In the process: use the clock that its environment names, if any. Must be called before other modules are imported."""
    name = os.environ.get(FILE)
    if name is None:
        return
    file, true_time = Path(name), time.time
    from datetime import datetime as true_datetime  # a name of its own: the module's is replaced below

    def ahead_s() -> float:
        return float(file.read_text())

    class AnyDatetime(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, true_datetime)

    class Shifted(true_datetime, metaclass=AnyDatetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> true_datetime:  # type: ignore[override]
            return true_datetime.now(tz) + dt.timedelta(seconds=ahead_s())

        @classmethod
        def utcnow(cls) -> true_datetime:  # type: ignore[override]
            return cls.now(dt.UTC).replace(tzinfo=None)

    time.time = lambda: true_time() + ahead_s()
    dt.datetime = Shifted  # type: ignore[misc]
