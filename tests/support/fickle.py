"""An S3 endpoint that passes everything through until a test makes it answer 404 to everything, without a body.

Such an endpoint is a mistyped one, or a proxy that lost its way: no server of the tests can be put in that state.
"""

import contextlib
import socket
import threading
from urllib.parse import urlsplit

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class FickleEndpoint:
    """A TCP forwarder to `upstream` on a free loopback port."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lost = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def lose_everything(self) -> None:
        """Answer 404 from now on, on open connections too."""
        self._lost.set()
        self._cut()

    def come_back(self) -> None:
        self._lost.clear()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut()
        self._thread.join(5)

    def _cut(self) -> None:
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            serve = self._refuse if self._lost.is_set() else self._forward
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    def _refuse(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(5)
            received = b""
            while b"\r\n\r\n" not in received:
                received += client.recv(65_536) or b"\r\n\r\n"
            client.sendall(NOT_FOUND)

    def _forward(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream) as server:
            with self._lock:
                self._open |= {client, server}
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            back.join()
            with self._lock:
                self._open -= {client, server}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
