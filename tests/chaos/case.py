"""One case of a campaign: a call and its fault, and the result."""

import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.stage import Stage
from tests.support.faults import DEATHS, Strike
from tests.support.oracle import Judgement

EXPECTED_CODES = {0, 3, 69}
"""Not 78, after which systemd does not restart a worker: that is right only for wrong settings, and here they are right."""


@dataclass(frozen=True, slots=True)
class Case:
    """One call, one fault."""

    program: str
    call: str
    fault: str
    for_ever: bool
    occurrence: str
    """first, middle or last."""
    first: int
    """The number of the call at which the fault begins."""
    at_start: bool = False
    """The call is made only when the program starts."""

    @property
    def is_long(self) -> bool:
        """Whether it waits for timeouts or restarts a program, which takes too long for a sample."""
        return self.at_start or self.fault in {"timeout", "unreachable", *DEATHS}

    def __str__(self) -> str:
        return (
            f"{self.program}: {self.call} × {self.fault}, {'for ever' if self.for_ever else 'once'}, {self.occurrence}"
        )


@dataclass
class Result:
    """The result of a case."""

    case: Case
    hits: int
    judgement: Judgement
    codes: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def crashed(self) -> list[int]:
        """Exit codes that are not expected."""
        # A command may exit with 78, since its user reads why; a worker only after S3 or SQS said that the request is wrong.
        config_error = {78} if self.case.fault == "400" or self.case.program != "worker" else set()
        killed = {-signal.SIGKILL} if self.case.fault in DEATHS else set()
        return sorted(set(self.codes) - EXPECTED_CODES - config_error - killed)

    @property
    def holds(self) -> bool:
        """Whether nothing was lost or stuck, and no program crashed."""
        return self.judgement.holds and not self.crashed

    def __str__(self) -> str:
        verdict = "ok" if self.holds else "BROKEN"
        codes = f", exit {dict(self.codes)}" if self.codes else ""
        return f"{verdict:6} {self.case} · {self.hits} hits{codes}, {self.seconds:.1f} s · {self.judgement}"

    def as_json(self) -> dict[str, Any]:
        """For the table."""
        found = self.judgement
        return {
            **asdict(self.case), "hits": self.hits, "codes": dict(self.codes), "seconds": round(self.seconds, 1),
            "events": found.events, "lost": len(found.lost), "stuck": len(found.stuck), "duplicates": found.duplicates,
            "set_aside": found.set_aside,
        }  # fmt: skip


Play = Callable[[Stage, Strike | None, Case | None], Result]
CLEAN = Case("", "nothing", "clean", for_ever=False, occurrence="", first=0)
