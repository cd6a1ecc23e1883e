"""The authorities that are to be trusted instead of the usual ones."""

import functools
import ssl
from pathlib import Path

from worker.core.base.errors import ConfigError


def require_certificates(path: Path | None) -> None:
    """Return if this is None or a PEM file of certificates. Raises ConfigError."""
    try:
        if path is not None:
            _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise ConfigError(f"AWS_CA_BUNDLE={path}: {error}; it should be a PEM file of certificates") from None


@functools.lru_cache(maxsize=4)
def _read(path: Path, _written_ns: int) -> None:
    """Read a file, once for all clients: it takes 80 ms. Raises OSError."""
    ssl.create_default_context(cafile=path)
