"""Heads and bodies of HTTP messages, read from a stream and changed on their way: what the fault proxy needs of HTTP."""

import asyncio
from dataclasses import dataclass


@dataclass(slots=True)
class HttpMessage:
    """The head of a request or an answer, as received."""

    head: bytes
    fields: dict[str, str]
    first: list[str]

    @property
    def length(self) -> int | None:
        length = self.fields.get("content-length")
        return int(length) if length is not None else None

    @property
    def chunked(self) -> bool:
        return self.fields.get("transfer-encoding", "").lower() == "chunked"


def resized(request: HttpMessage, body: bytes) -> tuple[HttpMessage, bytes]:
    """The request with its length adapted to a changed body."""
    if request.chunked or request.length is None or request.length == len(body):
        return request, body
    lines = [
        b"Content-Length: %d" % len(body) if line.lower().startswith(b"content-length:") else line
        for line in request.head.split(b"\r\n")
    ]
    return HttpMessage(b"\r\n".join(lines), {**request.fields, "content-length": str(len(body))}, request.first), body


async def read_head(reader: asyncio.StreamReader) -> HttpMessage:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    return HttpMessage(head, fields, lines[0].split(" ", 2))


async def read_body(reader: asyncio.StreamReader, message: HttpMessage, *, nothing: bool = False) -> bytes:
    if nothing or message.first[1:2] in (["204"], ["304"]):
        return b""
    if not message.chunked:
        return await reader.readexactly(message.length or 0)
    parts: list[bytes] = []
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if not size:
            while await reader.readuntil(b"\r\n") != b"\r\n":  # trailers
                pass
            return b"".join(parts)
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)


def framed(body: bytes) -> bytes:
    """A body as one chunk."""
    return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"


def answer_length(request: HttpMessage, answer: HttpMessage) -> int:
    return 0 if request.first[0] == "HEAD" or answer.first[1] in {"204", "304"} else answer.length or 0


def without_expect(head: bytes) -> bytes:
    if b"xpect:" not in head:
        return head
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:"))
