"""The messages between parent and child: JSON fields and a body, each preceded by its length.

They are JSON, not pickle, because a hostile file may have taken over the child, and unpickling would run the file's code
in the worker. A body that is in a file is handed over as an open descriptor, because the child may open no such file.
"""

import json
import socket
import struct
import time

from worker.core.base.jsontypes import JsonObject

_HEAD = struct.Struct("<II")
_WITH_DESCRIPTOR = b"\0"
"""On a stream, a descriptor accompanies at least one byte: unix(7), SCM_RIGHTS."""


def send(sock: socket.socket, fields: JsonObject, body: bytes = b"", *, until: float | None = None) -> None:
    """Send a message; the deadline `until` is in monotonic seconds. Raises OSError, including TimeoutError."""
    encoded = json.dumps(fields).encode("ascii")
    _set_timeout(sock, until)
    sock.sendall(_HEAD.pack(len(encoded), len(body)) + encoded)
    if body:
        sock.sendall(body)


def send_descriptor(sock: socket.socket, descriptor: int, *, until: float) -> None:
    """Hand over an open file; the deadline `until` is in monotonic seconds. Raises OSError, including TimeoutError."""
    _set_timeout(sock, until)
    socket.send_fds(sock, [_WITH_DESCRIPTOR], [descriptor])


def receive_descriptor(sock: socket.socket) -> int:
    """The file that was handed over; the caller closes it. Raises EOFError if the other side has closed the socket."""
    _set_timeout(sock, None)
    _, descriptors, _, _ = socket.recv_fds(sock, len(_WITH_DESCRIPTOR), 1)
    if not descriptors:
        raise EOFError("the other side has closed the socket")
    return descriptors[0]


def receive(sock: socket.socket, *, max_bytes: int, until: float | None = None) -> tuple[JsonObject, bytearray]:
    """Receive the next message.

    Raises EOFError if the other side has closed the socket, TimeoutError, OSError, and ValueError if the message is invalid.
    """
    fields_bytes, body_bytes = _HEAD.unpack(_exactly(sock, _HEAD.size, until))
    if fields_bytes + body_bytes > max_bytes:
        raise ValueError(f"the message has {fields_bytes + body_bytes} bytes; at most {max_bytes} are allowed")
    try:
        fields = json.loads(_exactly(sock, fields_bytes, until))
    except RecursionError as error:
        raise ValueError("the fields are nested too deeply") from error
    return fields, _exactly(sock, body_bytes, until)


def _exactly(sock: socket.socket, count: int, until: float | None) -> bytearray:
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        _set_timeout(sock, until)
        got = sock.recv_into(view[done:])
        if not got:
            raise EOFError("the other side has closed the socket")
        done += got
    return data


def _set_timeout(sock: socket.socket, until: float | None) -> None:
    sock.settimeout(None if until is None else max(until - time.monotonic(), 0.001))
