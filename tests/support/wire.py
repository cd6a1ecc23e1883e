"""A wire proxy in front of the real servers: passes HTTP on, keeps books, adds latency, and can break the line.

It knows an SQS action, an S3 method and key, and an OpenSearch bulk; of everything that passes it keeps exact books. A
latency is waited out on a timer, not on a core. A rule may answer for the server or cut the line, before the server
acted or after. It runs on one thread of this process, on an event loop of its own.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

Service = Literal["sqs", "s3", "index"]

MAX_HEAD_BYTES = 1024 * 1024
PIECE_BYTES = 256 * 1024
MANY_ANSWERS_S = 0.02
"""Between the bytes of an answer that trickles."""


@dataclass(slots=True)
class Call:
    """One request and what became of it."""

    service: Service
    action: str
    """`ReceiveMessage`, `GetObject`, `_bulk`, …"""
    number: int
    """How many of this action there were, this one included: 1 for the first."""
    keys: list[str] = field(default_factory=list)
    """The object's key; the documents' ids."""
    status: int = 0
    """Of the answer; 0 where the line was cut."""
    items: list[dict[str, Any]] = field(default_factory=list)
    """What the answer says of each message or document."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What a rule does to a call.

    `refuse`: cut before the server sees it. `lose`: the server acts, its answer is lost. `hang`: no answer for as long
    as `hang_s`. `answer`: this instead of the server's. `trickle`: the server's answer, byte by byte. `rewrite`: the
    server's answer, its body changed.
    """

    how: Literal["refuse", "lose", "hang", "answer", "trickle", "rewrite"]
    status: int = 500
    body: bytes = b""
    hang_s: float = 30.0
    rewrite: Callable[[bytes], bytes] = bytes


Rule = Callable[[Call], Broken | None]


class Books:
    """What passed, counted."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        """(service, action) → calls."""
        self.statuses: Counter[tuple[str, str, int]] = Counter()
        self.received: Counter[str] = Counter()
        """Message id → how often it was received."""
        self.deleted: Counter[str] = Counter()
        """Receipt handle → how often its deletion was confirmed."""
        self.sent: list[str] = []
        """Message ids that sends were answered with."""
        self.read: Counter[str] = Counter()
        """Key → GETs that succeeded."""
        self.indexed_at: dict[str, float] = {}
        """Document id → when the index first acknowledged it, seconds since the epoch."""

    def requests(self, service: Service) -> int:
        """How many calls a service got."""
        return sum(count for (name, _), count in self.calls.items() if name == service)


class WireProxy:
    """One loopback port for each server behind it."""

    def __init__(self, upstreams: dict[Service, str]) -> None:
        self.books = Books()
        self.latency_s: dict[Service, float] = {}
        """Added before a call goes on, by service. For a bulk and an SQS call; for S3 it delays the first byte."""
        self.rules: list[Rule] = []
        """The first that answers decides."""
        self.urls: dict[Service, str] = {}
        self._upstreams = upstreams
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()

    def start(self) -> "WireProxy":
        self._thread.start()
        self._run(self._listen())
        return self

    def stop(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def cut(self) -> None:
        """Cut every open connection now."""
        self._run(self._cut())

    def clear(self) -> None:
        """New books, no rules."""
        self.rules, self.books = [], Books()

    def _run(self, work: Awaitable[None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        for service, url in self._upstreams.items():
            parts = urlsplit(url)

            async def serve(
                reader: asyncio.StreamReader,
                writer: asyncio.StreamWriter,
                service: Service = service,
                address: tuple[str, int] = (parts.hostname or "", parts.port or 80),
            ) -> None:
                await _Line(self, service, address, reader, writer).serve()

            server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=MAX_HEAD_BYTES)
            self._servers.append(server)
            self.urls[service] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        await self._cut()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def judge(self, call: Call) -> Broken | None:
        """What the rules say of a call."""
        return next((broken for rule in self.rules if (broken := rule(call)) is not None), None)


@dataclass(slots=True)
class _Message:
    """A request or an answer: its head as it came, its body as far as it was read."""

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


class _Line:
    """One client's connection, and ours to the server."""

    def __init__(
        self, proxy: WireProxy, service: Service, address: tuple[str, int],
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        self._proxy, self._service, self._address = proxy, service, address
        self._reader, self._writer = reader, writer
        self._up: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def serve(self) -> None:
        self._proxy._open.add(self._writer)
        try:
            while await self._one_call():
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # either side hung up, or we stop
        finally:
            self._proxy._open.discard(self._writer)
            for writer in filter(None, [self._writer, self._up and self._up[1]]):
                writer.transport.abort()

    async def _one_call(self) -> bool:
        request = await _head(self._reader)
        if "expect" in request.fields:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await _body(self._reader, request)
        call = self._booked(request, body)
        broken = self._proxy.judge(call)
        latency_s = self._proxy.latency_s.get(self._service, 0.0)
        if latency_s:
            await asyncio.sleep(latency_s)
        if broken is None:
            return await self._pass(call, request, body)
        return await self._break(call, broken, request, body)

    def _booked(self, request: _Message, body: bytes) -> Call:
        action, keys = _action(self._service, request, body)
        calls = self._proxy.books.calls
        calls[self._service, action] += 1
        return Call(self._service, action, calls[self._service, action], keys)

    async def _pass(self, call: Call, request: _Message, body: bytes) -> bool:
        answer, reader = await self._ask(request, body)
        self._writer.write(answer.head)
        if self._service == "s3" and not answer.chunked:
            await self._relay(reader, _answer_length(request, answer))
            self._book(call, answer, b"")
        else:
            content = await _body(reader, answer, nothing=request.first[0] == "HEAD")
            self._book(call, answer, content)  # before the client can act on it
            self._writer.write(_framed(content) if answer.chunked else content)
            await self._writer.drain()
        return answer.fields.get("connection", "").lower() != "close"

    async def _break(self, call: Call, broken: Broken, request: _Message, body: bytes) -> bool:
        if broken.how == "hang":
            await asyncio.sleep(broken.hang_s)
        if broken.how in {"refuse", "hang"}:
            self._proxy.books.statuses[call.service, call.action, 0] += 1
            return False
        if broken.how == "answer":
            head = f"HTTP/1.1 {broken.status} Broken\r\nContent-Length: {len(broken.body)}\r\n\r\n"
            self._proxy.books.statuses[call.service, call.action, broken.status] += 1
            self._writer.write(head.encode() + broken.body)
            await self._writer.drain()
            return True
        answer, reader = await self._ask(request, body)
        content = await _body(reader, answer, nothing=request.first[0] == "HEAD")
        if broken.how == "lose":
            self._proxy.books.statuses[call.service, call.action, 0] += 1
            return False
        if broken.how == "rewrite":
            content = broken.rewrite(content)
        self._book(call, answer, content)
        return await self._send_whole(answer, content, trickle=broken.how == "trickle")

    async def _send_whole(self, answer: _Message, content: bytes, *, trickle: bool) -> bool:
        lines = answer.head.split(b"\r\n")
        kept = [lines[0]] + [
            line
            for line in lines[1:]
            if line and not line.lower().startswith((b"content-length:", b"transfer-encoding:"))
        ]
        self._writer.write(b"\r\n".join([*kept, b"Content-Length: %d" % len(content), b"", b""]))
        for at in range(len(content)) if trickle else ():
            self._writer.write(content[at : at + 1])
            await self._writer.drain()
            await asyncio.sleep(MANY_ANSWERS_S)
        self._writer.write(b"" if trickle else content)
        await self._writer.drain()
        return True

    async def _ask(self, request: _Message, body: bytes) -> tuple[_Message, asyncio.StreamReader]:
        """The server's answer; its body is still to be read. A connection the server has closed is made anew."""
        for attempt in (1, 2):
            if self._up is None:
                self._up = await asyncio.open_connection(*self._address, limit=MAX_HEAD_BYTES)
            reader, writer = self._up
            try:
                writer.write(_without_expect(request.head))
                writer.write(_framed(body) if request.chunked else body)
                await writer.drain()
                answer = await _head(reader)
            except (OSError, asyncio.IncompleteReadError) as error:
                self._up = None
                writer.transport.abort()
                if attempt == 2 or getattr(error, "partial", b""):
                    raise
            else:
                return answer, reader
        raise OSError("unreachable")

    async def _relay(self, reader: asyncio.StreamReader, length: int) -> None:
        while length:
            piece = await reader.read(min(length, PIECE_BYTES))
            if not piece:
                raise OSError("the server hung up")
            length -= len(piece)
            self._writer.write(piece)
            await self._writer.drain()
        await self._writer.drain()

    def _book(self, call: Call, answer: _Message, content: bytes) -> None:
        books = self._proxy.books
        call.status = int(answer.first[1])
        books.statuses[call.service, call.action, call.status] += 1
        if call.status >= 300:
            return
        if call.service == "s3":
            books.read.update(call.keys if call.action == "GetObject" else ())
            return
        with contextlib.suppress(ValueError, KeyError, TypeError):
            _note(books, call, json.loads(content or b"{}"))


def _note(books: Books, call: Call, answer: dict[str, Any]) -> None:
    """What an answer says of each message or document."""
    if call.action == "ReceiveMessage":
        books.received.update(message["MessageId"] for message in answer.get("Messages") or ())
    elif call.action == "DeleteMessageBatch":
        books.deleted.update(call.keys[int(entry["Id"])] for entry in answer.get("Successful") or ())
    elif call.action == "SendMessageBatch":
        books.sent += [entry["MessageId"] for entry in answer.get("Successful") or ()]
    elif call.action == "_bulk":
        now = time.time()
        for key, item in zip(call.keys, answer["items"], strict=True):
            [result] = item.values()
            if result["status"] < 300 or result["status"] == 409:
                books.indexed_at.setdefault(key, now)


def _action(service: Service, request: _Message, body: bytes) -> tuple[str, list[str]]:
    method, target = request.first[0], request.first[1]
    path = unquote(target.partition("?")[0])
    if service == "sqs":
        action = request.fields.get("x-amz-target", "?").rpartition(".")[2]
        return action, _receipts(body) if action == "DeleteMessageBatch" else []
    if service == "s3":
        key = path.lstrip("/").partition("/")[2]
        return (f"{method.capitalize()}Object", [key]) if key else (f"{method.capitalize()}Bucket", [])
    if path.endswith("/_bulk"):
        return "_bulk", list(_ids(body))
    last = path.rsplit("/", 1)[-1]
    return f"{method} {last if last.startswith('_') else ''}".strip(), []


def _receipts(body: bytes) -> list[str]:
    """Receipt handles in the order of their entries, whose ids we take to be their positions."""
    with contextlib.suppress(ValueError, KeyError):
        return [entry["ReceiptHandle"] for entry in json.loads(body)["Entries"]]
    return []


def _ids(body: bytes) -> Iterable[str]:
    """The documents that a bulk body writes or removes."""
    lines = iter(body.split(b"\n"))
    for line in lines:
        if line:
            [(action, about)] = json.loads(line).items()
            yield about["_id"]
            if action != "delete":
                next(lines)


async def _head(reader: asyncio.StreamReader) -> _Message:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    return _Message(head, fields, lines[0].split(" ", 2))


async def _body(reader: asyncio.StreamReader, message: _Message, *, nothing: bool = False) -> bytes:
    if nothing or message.first[1:2] in (["204"], ["304"]):
        return b""
    if not message.chunked:
        return await reader.readexactly(message.length or 0)
    parts = []
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        if not size:
            while await reader.readuntil(b"\r\n") != b"\r\n":  # trailers
                pass
            return b"".join(parts)
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)


def _framed(body: bytes) -> bytes:
    """A body as one chunk."""
    return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"


def _answer_length(request: _Message, answer: _Message) -> int:
    return 0 if request.first[0] == "HEAD" or answer.first[1] in {"204", "304"} else answer.length or 0


def _without_expect(head: bytes) -> bytes:
    if b"xpect:" not in head:
        return head
    return b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:"))
