"""What must hold before a recovery touches anything: a DLQ, a state bucket and an index that can be used."""

from recovery.operations.clients import attributes_of
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, IndexUnavailableError, StoreError
from worker.core.base.settings import Settings
from worker.core.clients import Clients, ensure_index


def check_all(settings: Settings, clients: Clients) -> None:
    """Raises ConfigError or DependencyError with what is wrong, before anything is touched."""
    attributes_of(clients.dlq, called="DLQ_QUEUE_URL")
    check_state_and_index(settings, clients)


def check_state_and_index(settings: Settings, clients: Clients) -> None:
    """Raises ConfigError or DependencyError where the state bucket or the index cannot be used."""
    try:
        clients.objects.check_bucket(settings.state)
        clients.index.ping()
    except StoreError as error:
        kind = DependencyError if is_transient(error) else ConfigError
        raise kind(f"the state bucket {settings.state}: {error}") from error
    except IndexUnavailableError as error:
        raise DependencyError(f"{error}. Nothing was touched: recovery needs the index") from error


def make_ready(clients: Clients, *, dry_run: bool) -> None:
    """Create what the index lacks, unless it is a dry run, and learn S3's time. Raises IndexUnavailableError."""
    if not dry_run:
        ensure_index(clients.index)
    clients.state.calibrate_clock()
