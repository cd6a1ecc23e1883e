"""What parent and child say to each other: JSON with a body, each led by its length.

JSON and not pickle: a hostile file may have taken the child over, and unpickling would run its code in the worker.
"""

import json
import socket
import struct
import time
from typing import Any

_HEAD = struct.Struct("<II")


def send(sock: socket.socket, fields: dict[str, Any], body: bytes = b"", *, until: float | None = None) -> None:
    """Send a message by the moment `until` (monotonic seconds). Raises OSError, TimeoutError among it."""
    encoded = json.dumps(fields).encode("ascii")
    _set_timeout(sock, until)
    sock.sendall(_HEAD.pack(len(encoded), len(body)) + encoded)
    if body:
        sock.sendall(body)


def receive(sock: socket.socket, *, max_bytes: int, until: float | None = None) -> tuple[dict[str, Any], bytes]:
    """The next message. Raises EOFError when the other side is gone, TimeoutError, OSError, ValueError (nonsense)."""
    fields_bytes, body_bytes = _HEAD.unpack(_exactly(sock, _HEAD.size, until))
    if fields_bytes + body_bytes > max_bytes:
        raise ValueError(f"a message of {fields_bytes + body_bytes} bytes; {max_bytes} are allowed")
    try:
        fields = json.loads(_exactly(sock, fields_bytes, until))
    except RecursionError as error:
        raise ValueError("fields nested without end") from error
    return fields, _exactly(sock, body_bytes, until)


def _exactly(sock: socket.socket, count: int, until: float | None) -> bytes:
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        _set_timeout(sock, until)
        got = sock.recv_into(view[done:])
        if not got:
            raise EOFError("the other side is gone")
        done += got
    return bytes(data)


def _set_timeout(sock: socket.socket, until: float | None) -> None:
    sock.settimeout(None if until is None else max(until - time.monotonic(), 0.001))
