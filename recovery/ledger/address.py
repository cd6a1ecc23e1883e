"""The address of the database: which can be used, and how it is shown. Its password is never shown."""

import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from worker.core.base.errors import ConfigError

SQLITE, POSTGRESQL = "sqlite", "postgresql+psycopg"
SETTING = "LEDGER_URL"
_RIGHT = "sqlite:////PATH (an absolute path has four slashes) or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
_PASSWORD = re.compile(r"(://[^:/@]*:).*(?=@)|([?&](?:ssl)?password=)[^&]*")


def ledger_url(text: str) -> URL:
    """The address in a setting. Raises ConfigError, which names the setting, its value and what would be correct."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise _wrong(text, "is not the address of a database") from None
    if url.drivername not in {SQLITE, POSTGRESQL}:
        raise _wrong(text, f"names the database or driver {url.drivername}")
    if url.drivername == SQLITE and not (url.database or "").startswith("/"):
        raise _wrong(text, "names no file by an absolute path")
    if url.drivername == SQLITE and (url.host or url.query):
        raise _wrong(text, "has more than a path")
    if url.drivername == POSTGRESQL and not url.database:
        raise _wrong(text, "names no database")
    return url


def shown(url: URL) -> str:
    """The address without its password."""
    return _hidden(url.render_as_string(hide_password=True))


def file_of(url: URL) -> Path:
    """The file of an SQLite database."""
    return Path(url.database or "")


def _wrong(text: str, why: str) -> ConfigError:
    return ConfigError(f"{SETTING}={_hidden(text)} {why}; it should be {_RIGHT}")


def _hidden(text: str) -> str:
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", text)
