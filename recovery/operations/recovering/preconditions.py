"""Checks before a recovery or a replay changes anything: DLQ, state bucket and index must be usable."""

from recovery.operations.clients import attributes_of
from worker.core.base.classify import is_transient
from worker.core.base.errors import ConfigError, DependencyError, IndexUnavailableError, StoreError
from worker.core.base.settings import Settings
from worker.core.clients import Clients, ensure_index
from worker.core.s3.objects import ObjectStore


def check_all(settings: Settings, clients: Clients) -> None:
    """Check DLQ, state bucket and index. Raises ConfigError or DependencyError with what is wrong."""
    attributes_of(clients.dlq, called="DLQ_QUEUE_URL")
    check_state_and_index(settings, clients)


def check_state_and_index(settings: Settings, clients: Clients) -> None:
    """Check state bucket and index. Raises ConfigError or DependencyError with what is wrong."""
    try:
        clients.objects.check_bucket(settings.state)
        clients.index.inspect()  # waits for an index that another process is just creating
        clients.index.ping()
    except StoreError as error:
        kind = DependencyError if is_transient(error) else ConfigError
        raise kind(f"the state bucket {settings.state}: {error}") from error
    except IndexUnavailableError as error:
        raise DependencyError(f"{error}. Nothing was touched: recovery needs the index") from error


def check_listable(objects: ObjectStore, bucket: str) -> None:
    """Check that a bucket exists and may be listed. Raises ConfigError, and StoreError where S3 does not answer for the moment."""
    try:
        objects.check_bucket(bucket)
    except StoreError as error:
        if is_transient(error):
            raise
        raise ConfigError(f"the bucket {bucket} cannot be listed: {error}") from error


def make_ready(clients: Clients, *, dry_run: bool) -> None:
    """Create the index and its template if they are missing (not in a dry run), and adopt S3's clock.

    Raises IndexUnavailableError.
    """
    if not dry_run:
        ensure_index(clients.index)
    clients.state.calibrate_clock()
