"""What must hold before a recovery touches anything: a DLQ, a state bucket and an index that can be used."""

from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, IndexUnavailableError, QueueError, StoreError
from worker.core.base.settings import Settings
from worker.core.clients import Clients


def check_door(settings: Settings, clients: Clients) -> None:
    """Raises ConfigError or DependencyError with what is wrong, before anything is touched."""
    try:
        clients.dlq.attributes()
    except QueueError as error:
        kind = DependencyError if is_transient(error) else ConfigError
        raise kind(f"DLQ_QUEUE_URL={clients.dlq.url}: {error}") from error
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
