"""Open the index that is given in the settings."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.core.base.settings import Settings
from worker.core.base.throttle import Throttle
from worker.core.index import Index
from worker.core.index.exchange import Exchange

if TYPE_CHECKING:
    from worker.core.index.client import Client

_SQLITE = "sqlite:///"


def open_index(
    settings: Settings, credentials: Callable[[], Any] | None = None, throttle: Throttle | None = None
) -> Index:
    """Open the index that is given in the settings. No request is sent yet, so it may be unavailable.

    `credentials` (Aws.credentials) is only called to sign requests for AWS; `throttle` hears of refusals.
    Raises ConfigError if a setting cannot be used.
    """
    # Each implementation is only imported when it is used: opensearch-py takes 0.2 s to load.
    if is_sqlite(settings):
        from worker.core.index.sqlite import SqliteIndex

        return SqliteIndex(_path(settings), timeout_s=settings.index_timeout_s)
    from worker.core.index.client import Client
    from worker.core.index.opensearch import OpenSearchIndex

    client = Client(settings, credentials)
    known = throttle or Throttle("index")
    return OpenSearchIndex(client, settings.opensearch_index, plain_key=_plain_key(settings), throttle=known)


def open_named(
    settings: Settings, name: str, *, plain_key: bool, credentials: Callable[[], Any], throttle: Throttle
) -> Index:
    """Open an index by its own name, one of the two of a reindex; it is never created. No request is sent yet.

    Raises ConfigError if a setting cannot be used.
    """
    if is_sqlite(settings):
        from worker.core.index.sqlite import SqliteIndex

        return SqliteIndex(Path(name), timeout_s=settings.index_timeout_s, creates=False)
    from worker.core.index.client import Client
    from worker.core.index.exchange_opensearch import write_alias
    from worker.core.index.opensearch import OpenSearchIndex

    client = Client(settings, credentials)
    return OpenSearchIndex(client, write_alias(name), plain_key=plain_key, throttle=throttle, creates=False)


def open_exchange(settings: Settings, credentials: Callable[[], Any]) -> Exchange:
    """What replaces the index that is given in the settings by another. No request is sent yet. Raises ConfigError."""
    if is_sqlite(settings):
        from worker.core.index.exchange_sqlite import SqliteExchange

        return SqliteExchange(Path(name_of(settings)), timeout_s=settings.index_timeout_s)
    from worker.core.index.client import Client
    from worker.core.index.exchange_opensearch import OpenSearchExchange

    return OpenSearchExchange(Client(settings, credentials), settings.opensearch_index, plain_key=_plain_key(settings))


def open_client(settings: Settings, credentials: Callable[[], Any]) -> "Client":
    """The connection to the OpenSearch of the settings. No request is sent yet. Raises ConfigError."""
    from worker.core.index.client import Client

    return Client(settings, credentials)


def name_of(settings: Settings) -> str:
    """The name of the index or alias that is given in the settings, or the path of the SQLite file."""
    return str(_path(settings).absolute()) if is_sqlite(settings) else settings.opensearch_index


def is_sqlite(settings: Settings) -> bool:
    """Whether the index that is given in the settings is an SQLite file."""
    return settings.index_url.get_secret_value().startswith(_SQLITE)


def _path(settings: Settings) -> Path:
    return Path(settings.index_url.get_secret_value().removeprefix(_SQLITE))


def _plain_key(settings: Settings) -> bool | None:
    return {"auto": None, "bucket-key": False, "key": True}[settings.document_ids]
