"""Connects the manager to what it works on, and opens its ledger."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from recovery.ledger.ledger import Ledger, open_ledger, unready_ledger
from recovery.manager.acting.acts import World
from recovery.manager.acting.verbs import Verbs
from recovery.manager.ownership import check_owner
from recovery.manager.records import RowMaker
from recovery.manager.redaction import Redactor
from recovery.manager.remask import remask
from recovery.manager.searching import Searching
from recovery.manager.settings import ManagerSettings
from recovery.manager.sources import Sources
from recovery.operations.clients import DlqClients, attributes_of
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.recovering.outlook import Examiner
from worker.core.base.aws import Aws
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, StoreError
from worker.core.base.settings_model import load_as
from worker.core.clients import Clients, open_objects
from worker.core.index import Index
from worker.core.index.open import open_index
from worker.core.s3.links import DownloadLinks
from worker.core.s3.state import S3State, State
from worker.core.s3.store import S3ObjectStore
from worker.core.sqs.queue import SqsQueue
from worker.sdnotify import notify

CONNECTIONS = 48
"""Maximum number of concurrent requests to one service."""
START_EXTENDED_S = 60
"""For how long a start may go on after each few hundred rows whose texts are made again."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the manager works on."""

    aws: Aws
    clients: DlqClients
    state: State
    rows: RowMaker


def load_settings() -> ManagerSettings:
    """The settings. Raises ConfigError with one line for each that is missing or wrong."""
    return load_as(ManagerSettings)


def connect(settings: ManagerSettings) -> Parts:
    """Make the clients; no request is sent yet. Raises ConfigError."""
    aws = Aws(region=settings.aws_region, connections=CONNECTIONS)
    objects = S3ObjectStore(
        aws, spool_bytes=settings.spool_bytes, max_object_bytes=settings.max_object_bytes, temp_dir=settings.temp_dir
    )
    state = S3State(objects, settings.state)
    dlq = SqsQueue(aws.sqs(settings.dlq_queue_url), settings.dlq_queue_url)
    types = load_types(settings.message_types_dir, default_bucket=settings.s3_bucket)
    clients = DlqClients(dlq, objects, state, types)
    return Parts(aws, clients, state, RowMaker(types, Redactor(settings.redact_fields)))


def make_verbs(settings: ManagerSettings, parts: Parts, stop: threading.Event) -> Verbs:
    """What can be done with dead letters. `stop` ends waits between attempts of `recover`."""
    clients = parts.clients

    def queue(url: str) -> SqsQueue:
        return SqsQueue(parts.aws.sqs(url), url)

    def connect_index() -> Clients:
        source = queue(settings.sqs_queue_url)
        return Clients.of(
            settings, parts.aws, source=source, dlq=clients.dlq, objects=clients.objects, state=parts.state
        )

    world = World(clients, parts.state, parts.rows, queue(settings.sqs_queue_url), queue)
    return Verbs(world, settings, connect_index, stop)


def make_sources(
    settings: ManagerSettings, parts: Parts, index: Index | None, engine: Callable[[ExitStack], Examiner] | None
) -> Sources:
    """What is asked where a file is now. `engine` makes that of a dry run; None without an index."""
    objects = open_objects(settings, parts.aws, max_object_bytes=0)  # no content: only what it is
    source = SqsQueue(parts.aws.sqs(settings.sqs_queue_url), settings.sqs_queue_url)
    clients = replace(parts.clients, objects=objects)
    return Sources(settings, clients, parts.state, parts.rows, source, index, engine)


def make_searching(settings: ManagerSettings, parts: Parts, sources: Sources) -> Searching | None:
    """The search page; None if it is off."""
    if not settings.search_page or sources.index is None:
        return None
    return Searching(sources, sources.index, DownloadLinks(parts.aws).sign)


def open_checked(settings: ManagerSettings, parts: Parts, *, by: str) -> Ledger:
    """Open the ledger, if DLQ and state bucket can be used and the ledger is the state bucket's; it has nothing that is hidden.

    Raises ConfigError, or DependencyError (LedgerError among them) where a later attempt may succeed.
    """
    attributes_of(parts.clients.dlq, called="DLQ_QUEUE_URL")
    ledger = open_unchecked(settings)
    try:
        parts.state.calibrate_clock()
        check_owner(parts.state, ledger, by)
        remask(ledger, parts.state, parts.rows, on_progress=_extend_start)
    except StoreError as error:
        ledger.close()
        kind = DependencyError if is_transient(error) else ConfigError
        raise kind(f"the state bucket {settings.state}: {error}") from error
    except BaseException:
        ledger.close()
        raise
    return ledger


def _extend_start() -> None:
    """Tell systemd that the start goes on."""
    notify(EXTEND_TIMEOUT_USEC=str(START_EXTENDED_S * 1_000_000))


def open_own_index(settings: ManagerSettings, parts: Parts) -> Index | None:
    """The index, if one is set; no request is sent yet. Raises ConfigError."""
    return open_index(settings, parts.aws.credentials) if settings.has_index else None


def open_unchecked(settings: ManagerSettings) -> Ledger:
    """Open the ledger, whichever it is. Raises ConfigError or LedgerError."""
    return open_ledger(settings.ledger_url.get_secret_value())


def ledger_to_migrate(settings: ManagerSettings) -> Ledger:
    """The ledger in whatever state its database is. Raises ConfigError or LedgerError."""
    return unready_ledger(settings.ledger_url.get_secret_value())
