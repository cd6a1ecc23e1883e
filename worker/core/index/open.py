"""Open the index that is given in the settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker.core.base.settings import Settings
from worker.core.base.throttle import Throttle
from worker.core.index import Index

_SQLITE = "sqlite:///"


def open_index(
    settings: Settings, credentials: Callable[[], Any] | None = None, throttle: Throttle | None = None
) -> Index:
    """Open the index that is given in the settings. No request is sent yet, so it may be unavailable.

    `credentials` (Aws.credentials) is only called to sign requests for AWS; `throttle` hears of refusals.
    Raises ConfigError if a setting cannot be used.
    """
    url = settings.index_url.get_secret_value()
    # Each implementation is only imported when it is used: opensearch-py takes 0.2 s to load.
    if is_sqlite(settings):
        from worker.core.index.sqlite import SqliteIndex

        return SqliteIndex(Path(url.removeprefix(_SQLITE)), timeout_s=settings.index_timeout_s)
    from worker.core.index.client import Client
    from worker.core.index.opensearch import OpenSearchIndex

    plain_key = {"auto": None, "bucket-key": False, "key": True}[settings.document_ids]
    client = Client(settings, credentials)
    known = throttle or Throttle("index")
    return OpenSearchIndex(client, settings.opensearch_index, plain_key=plain_key, throttle=known)


def is_sqlite(settings: Settings) -> bool:
    """Whether the index that is given in the settings is an SQLite file."""
    return settings.index_url.get_secret_value().startswith(_SQLITE)
