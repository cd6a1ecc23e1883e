"""The result of one check of the preflight or of `doctor`."""

from dataclasses import dataclass
from typing import Literal

from worker.core.base.classify import is_denial, is_key_fault, is_transient
from worker.core.base.errors import WorkerError

Level = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check."""

    name: str
    level: Level
    what: str
    """What was checked, and what was found."""
    hint: str = ""
    """What to do about it."""
    fatal: Literal["", "config", "dependency"] = ""
    """Whether the worker must not start: a setting is wrong, or a service that it needs cannot be reached."""
    took_ms: float = 0.0


def fatality(error: WorkerError) -> Literal["config", "dependency"]:
    """`dependency` (exit code 69) if a restart may help, otherwise `config` (78), after which systemd does not restart.

    After a denial, a restart may help: it takes seconds until a new permission is effective everywhere. A code that is
    only a status does not come from AWS.
    """
    code = getattr(error, "code", "")
    may_change = is_transient(error) or is_denial(code) or is_key_fault(code) or code.isdigit()
    return "dependency" if may_change else "config"
