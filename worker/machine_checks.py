"""What the preflight and `doctor` check of this machine: names of settings, temporary files, parsers, the port of /metrics."""

import errno
import http.client
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing

from worker.checks import Check
from worker.core.base.settings import Settings
from worker.core.base.settings_model import misspelt_settings
from worker.core.extract import isolation

LEAST_FREE_BYTES = 1024**3
HEALTH_TIMEOUT_S = 1


def names() -> Iterator[Check]:
    """Whether a variable is probably meant to be a setting, and is none."""
    found = misspelt_settings()
    for said in found:
        yield Check("", "warning", said, "correct its name, or remove it: nothing reads it")
    if not found:
        yield Check("", "ok", "no name in the environment is a misspelt one")


def port(settings: Settings) -> Check:
    """Whether the port of /metrics and /healthz is free, or a worker answers there."""
    if not settings.metrics_port:
        return Check("", "ok", "METRICS_PORT is 0: there is neither /metrics nor /healthz")
    host, number = settings.metrics_host, settings.metrics_port + settings.worker_instance
    try:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, number))
    except OSError as error:
        return _not_bound(settings, host, number, error)
    return Check("", "ok", f"{host}:{number} is free")


def _not_bound(settings: Settings, host: str, number: int, error: OSError) -> Check:
    if error.errno != errno.EADDRINUSE:
        hint = "set METRICS_HOST to an address of this machine, and METRICS_PORT to a port from 1024 on"
        return Check("", "error", f"{host}:{number} cannot be used: {error.strerror or error}", hint)
    queue = _queue_of_worker(host, number)
    if queue is None:
        hint = "set METRICS_PORT to a free port: without it, there is neither /metrics nor /healthz"
        return Check("", "error", f"the port {number} (METRICS_PORT) is in use by another program", hint)
    if queue != settings.sqs_queue_url.rsplit("/", 1)[-1]:
        hint = "set METRICS_PORT, or WORKER_INSTANCE, to another number for one of the two"
        return Check("", "error", f"the port {number} (METRICS_PORT) is in use by a worker of the queue {queue}", hint)
    return Check("", "ok", f"a worker answers at {host}:{number}")


def _queue_of_worker(host: str, number: int) -> str | None:
    """The name of the queue of the worker that answers there; None if it is not a worker."""
    asked = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 (it is compared, and not bound)
    try:
        with closing(http.client.HTTPConnection(asked, number, timeout=HEALTH_TIMEOUT_S)) as connection:
            connection.request("GET", "/healthz")
            said = json.loads(connection.getresponse().read(1024 * 1024))
        return str(said["source_queue"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None


def temp_dir(settings: Settings) -> Check:
    """Whether the folder of temporary files can be used, and has room."""
    folder = settings.temp_dir
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return Check("", "error", f"TEMP_DIR={folder} is not a writable folder", "set TEMP_DIR to one", "config")
    free = shutil.disk_usage(folder).free
    need = max(LEAST_FREE_BYTES, settings.worker_concurrency * settings.max_object_bytes // 4)
    if free < need:
        return Check(
            "",
            "warning",
            f"{folder} has {free / 1e9:.1f} GB free",
            f"large objects are stored there temporarily; {need / 1e9:.1f} GB would be safe",
        )
    return Check("", "ok", f"{folder} has {free / 1e9:.0f} GB free")


def parsers(settings: Settings) -> Check:
    """Whether parsers are isolated."""
    try:
        missing = isolation.probe(settings.temp_dir)
    except OSError as error:
        return Check(
            "", "warning", f"no parser can be started: {error}", "office files, PDF and mail wait until one can be"
        )
    if missing:
        return Check("", "warning", "; ".join(missing), "install libseccomp 2.4 or newer (libseccomp2 on Debian), and use a "
                     "kernel with Landlock (5.13 or newer, enabled by lsm=landlock,…): see SECURITY.md")  # fmt: skip
    return Check(
        "", "ok", "isolated: a parser reaches no network, no other process, and no file but those that it is given"
    )
