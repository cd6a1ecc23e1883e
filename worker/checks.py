"""The result of one check of the preflight or of `doctor`, and the order in which checks are made."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from worker.core.base.classify import is_denial, is_key_fault, is_transient
from worker.core.base.credential_faults import CredentialsError, require_credentials
from worker.core.base.errors import QueueError, StoreError, WorkerError

Level = Literal["ok", "warning", "error"]
CREDENTIALS = "credentials"
"""The name of the check whose failure explains that of every call to AWS."""


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


@dataclass(frozen=True, slots=True)
class Step:
    """A check that is made in its turn, unless one that it needs has failed: that failure would explain its own."""

    name: str
    check: Callable[[], Iterable[Check] | Check]
    needs: tuple[str, ...] = ()
    """Names of checks before it."""
    hint: str = ""
    """What to do about an error that the check did not expect."""


def asked_at(service: str, url: str, otherwise: str) -> str:
    """The address that requests go to, with the setting that it comes from; `otherwise`, where none is an endpoint's.

    AWS_ENDPOINT_URL_SERVICE takes precedence (AWS SDKs and Tools Reference Guide, "Service-specific endpoints").
    """
    for name in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
        if os.environ.get(name, "").rstrip("/") == url.rstrip("/"):
            return f"{name}={url}: is this address right"
    return f"{otherwise}: is {urlsplit(url).netloc} right"


def results(steps: Iterable[Step]) -> Iterator[Check]:
    """The results of each step, and in the end one line that names those that were left out."""
    failed: set[str] = set()
    left_out = []
    for step in steps:
        if not failed.isdisjoint(step.needs):
            left_out.append(step.name)
            failed.add(step.name)
            continue
        for result in _timed(step):
            if result.level == "error":
                failed |= {step.name, result.name}
            yield result
    if left_out:
        yield Check("not checked", "warning", ", ".join(left_out), "they need what is red above; then run this again")


def _unexpected(step: Step, error: WorkerError) -> tuple[str, list[Check]]:
    """An error that a check did not expect, under the name of what it is about."""
    try:
        if isinstance(error, CredentialsError):
            raise error
        for one in (error, error.__cause__):
            if isinstance(one, QueueError | StoreError):
                require_credentials(one)
    except CredentialsError as refused:
        return CREDENTIALS, [Check("", "error", str(refused), refused.hint, "dependency")]
    return step.name, [Check("", "error", str(error), step.hint, fatality(error))]


def fatality(error: WorkerError) -> Literal["config", "dependency"]:
    """`dependency` (exit code 69) if a restart may help, otherwise `config` (78), after which systemd does not restart.

    After a denial, a restart may help: it takes seconds until a new permission is effective everywhere. A code that is
    only a status does not come from AWS.
    """
    code = getattr(error, "code", "")
    may_change = is_transient(error) or is_denial(code) or is_key_fault(code) or code.isdigit()
    return "dependency" if may_change else "config"


def _timed(step: Step) -> Iterator[Check]:
    """The results of a check, with the time it took; an error that it did not expect becomes a result too."""
    began = time.monotonic()
    name = step.name
    try:
        found = step.check()
        made = [found] if isinstance(found, Check) else list(found)
    except WorkerError as error:
        name, made = _unexpected(step, error)
    took_ms = round((time.monotonic() - began) * 1000, 1)
    for result in made:
        yield replace(result, name=name, took_ms=took_ms)
