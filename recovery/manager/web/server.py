"""Serves an application on a thread of its own, by uvicorn, until it is stopped. Signals are the caller's."""

import asyncio
import socket
import threading
import time
from http import HTTPStatus

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from recovery.manager.web.guard import MAX_HEAD_BYTES
from recovery.manager.web.problems import MEDIA_TYPE, RETRY_AFTER_S, problem
from worker.core.base.errors import ConfigError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

MAX_CONNECTIONS = 256
"""Open at the same time, idle ones included."""
KEEP_ALIVE_S = 5
"""An idle connection is closed after this."""
BACKLOG = 128
START_S = 30.0
FORCED_S = 0.5
"""What a server that is to wait no longer may still take."""
_POLL_S = 0.01


class WebServer:
    """One server; to be started once."""

    def __init__(self, app: FastAPI) -> None:
        config = uvicorn.Config(
            app, http=_Protocol, ws="none", lifespan="on", loop="asyncio", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE_S,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None
        self.port = 0
        """On which it listens; where it was told 0, the one that the system gave it."""

    @property
    def is_serving(self) -> bool:
        """Whether its thread is alive: False before the start, after the stop, and after a fault."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, host: str, port: int) -> None:
        """Listen, and return once requests are answered. Raises ConfigError if it cannot listen there."""
        listening = _listen(host, port)
        self.port = int(listening.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, args=(listening,), name="web", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_S
        while self._thread.is_alive() and not self._server.started and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if not self._server.started:
            raise ConfigError(f"the web server at {host} port {port} has not started; the log says why")
        emit(LogEvent.WEB_LISTENING, host=host, port=self.port)

    def stop(self, timeout_s: float) -> bool:
        """Take no more requests, and wait until those under way are answered; whether they were in this time.

        The rest is cut off. Threads that wait for a database or for S3 cannot be interrupted: theirs end when that answers.
        """
        if self._thread is None:
            return True
        self._server.should_exit = True
        self._thread.join(timeout_s)
        answered = not self._thread.is_alive()
        self._server.force_exit = True
        self._thread.join(FORCED_S)
        return answered

    def _serve(self, listening: socket.socket) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[listening]))
        except BaseException as error:  # noqa: BLE001 (whatever ends the thread, the log says it)
            emit(LogEvent.WEB_DIED, "critical", error=repr(error))
        finally:
            listening.close()


def _listen(host: str, port: int) -> socket.socket:
    """A socket at this address. Raises ConfigError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise _cannot_listen(host, port, error) from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _cannot_listen(host, port, error) from error
    return made


def _cannot_listen(host: str, port: int, error: Exception) -> ConfigError:
    why = getattr(error, "strerror", None) or str(error)
    return ConfigError(
        f"MANAGER_HOST={host}, MANAGER_PORT={port}: cannot listen there ({why}); they should be an address of this machine, "
        "and a port that no other program uses"
    )


class _Protocol(H11Protocol):
    """uvicorn's, which answers to what is no HTTP with a problem, and bounds the number of connections."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._refuse(503, f"{MAX_CONNECTIONS} connections are open already", [("Retry-After", str(RETRY_AFTER_S))])

    def send_400_response(self, msg: str) -> None:
        """What h11 could not read, or what was over MAX_HEAD_BYTES before its end came."""
        self._refuse(400, f"{msg} Or its first line and headers are over {MAX_HEAD_BYTES:,} bytes.", [])

    def _refuse(self, status: int, detail: str, more: list[tuple[str, str]]) -> None:
        body = bytes(problem(status, detail).body)
        headers = [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body))), ("Connection", "close"), *more]
        reason = HTTPStatus(status).phrase.encode()
        events = (h11.Response(status_code=status, headers=headers, reason=reason), h11.Data(body), h11.EndOfMessage())
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
