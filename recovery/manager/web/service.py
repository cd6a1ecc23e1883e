"""What the routes are made from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request

from recovery.ledger.ledger import Ledger
from recovery.manager.acting.verbs import Verbs
from recovery.manager.audit_reader import AuditReader
from recovery.manager.metrics import ReplayStatus
from recovery.manager.present import Looker
from recovery.manager.redaction import Redactor
from recovery.manager.searching import Searching
from recovery.manager.settings_facts import SettingsReader
from recovery.manager.sources import Sources
from recovery.manager.system_facts import SystemFacts
from recovery.manager.web.sign_in import SignIn
from worker.core.s3.state import State


class Status(StrEnum):
    """How the manager is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """It answers, but something that it needs refuses; the facts say what."""


@dataclass(frozen=True, slots=True)
class Health:
    """What `/health` says."""

    status: Status
    queue_connected: bool
    """Whether the dead-letter queue answered the last time that it was asked."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """Whatever else is known, in values of JSON; stands beside the other fields of the answer, and replaces none of them."""


@dataclass(frozen=True, slots=True)
class Service:
    """All that the routes use. Every callable may be called from any thread."""

    ledger: Ledger
    state: State
    """The state bucket: bodies and stacks are read from its objects, and each view of a body is recorded there."""
    metrics: Callable[[], bytes]
    """In Prometheus's text format."""
    verbs: Verbs
    """What can be done with dead letters."""
    count: Callable[[ReplayStatus], None]
    """Counts a replay in the metrics."""
    health: Callable[[], Health]
    dlq_depth: Callable[[], int | None]
    """Messages that are still in SQS, visible and in flight; None if that is not known. The caller caches it."""
    sources: Sources
    """What says where a file is now."""
    looker: Looker
    """Looks at dead letters, as they are now."""
    facts: SystemFacts
    """What is known of the whole system, for the overview."""
    audit: AuditReader
    """Who acted, and who viewed."""
    settings: SettingsReader
    """What is set, where, and what is wrong with it."""
    sign_in: SignIn
    """Who asks."""
    allowed_hosts: frozenset[str]
    """Names and addresses, without port, by which this service may be called."""
    redactor: Redactor = field(default_factory=Redactor)
    """What is never shown."""
    searching: Searching | None = None
    """The search page; None where it is off."""


async def the_service(request: Request) -> Service:
    """The service of the application that answers this request."""
    service: Service = request.app.state.service
    return service


TheService = Annotated[Service, Depends(the_service)]
