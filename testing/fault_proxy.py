"""A fault proxy in front of the real servers: forwards HTTP, keeps a traffic log, adds latency and injects faults.

It recognises SQS actions, S3 methods and keys, and OpenSearch bulk requests, and logs every call. Latency is waited out
on a timer and takes no CPU time. A rule may answer in place of the server or cut the connection, before or after the
server has acted. The proxy runs on one thread of this process, on an event loop of its own.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from testing.http_message import (
    HttpMessage,
    answer_length,
    framed,
    read_body,
    read_head,
    resized,
    without_expect,
)
from testing.ports import free_ports
from testing.traffic_log import Call, Service, TrafficLog, describe

__all__ = ["Broken", "Call", "FaultProxy", "Rule", "Service", "TrafficLog"]

MAX_HEAD_BYTES = 1024 * 1024
PIECE_BYTES = 256 * 1024
BETWEEN_PIECES_S = 0.02
MAX_PIECES = 200
"""The most pieces of a trickled answer: a short one is sent byte by byte, a long one takes four seconds in all."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What a rule does to a call.

    `unreachable`: cut it, and accept no connection to its server for `hang_s`. `refuse`: cut it before the server sees
    it. `lose`: let the server act, but drop its answer. `hang`: send no answer, and cut it after `hang_s`. `answer`: send
    this answer in place of the server's. `trickle`: send the server's answer slowly. `rewrite`: change the request on its
    way to the server and the answer on its way back.
    """

    how: Literal["unreachable", "refuse", "lose", "hang", "answer", "trickle", "rewrite"]
    status: int = 500
    body: bytes = b""
    headers: str = ""
    """Lines of an answer's head, each ended by CRLF."""
    hang_s: float = 30.0
    request: Callable[[bytes], bytes] = bytes
    rewrite: Callable[[bytes], bytes] = bytes


Rule = Callable[[Call], Broken | None]


class FaultProxy:
    """Listens on one loopback port for each server behind it."""

    def __init__(self, upstreams: dict[Service, str]) -> None:
        self.traffic_log = TrafficLog()
        self.latency_s: dict[Service, float] = {}
        """Seconds added before a call is forwarded, by service; for S3, this delays the first byte."""
        self.rules: list[Rule] = []
        """The first rule that returns something decides."""
        self.urls: dict[Service, str] = {}
        self._upstreams = upstreams
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._servers: dict[Service, asyncio.Server] = {}
        self._open: dict[asyncio.StreamWriter, Service] = {}
        self._back: dict[Service, asyncio.TimerHandle] = {}

    def start(self) -> "FaultProxy":
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
        """Start a new traffic log, drop all rules and make every server reachable."""
        self.rules, self.traffic_log = [], TrafficLog()
        self.reach()

    def reach(self) -> None:
        """Accept connections again to every server that was made unreachable."""
        self._run(self._reach(list(self._back)))

    def _run(self, work: Awaitable[None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)  # type: ignore[arg-type]

    async def _listen(self) -> None:
        # The kernel must not choose the ports: while a server is unreachable, an outgoing connection could get its port.
        for service, port in zip(self._upstreams, free_ports(len(self._upstreams)), strict=True):
            await self._open_port(service, port)
            self.urls[service] = f"http://127.0.0.1:{port}"

    async def _open_port(self, service: Service, port: int) -> None:
        parts = urlsplit(self._upstreams[service])
        address = parts.hostname or "", parts.port or 80

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _Connection(self, service, address, reader, writer).serve()

        self._servers[service] = await asyncio.start_server(serve, "127.0.0.1", port, limit=MAX_HEAD_BYTES)

    def _vanish(self, service: Service, for_s: float) -> None:
        """Accept no connection to a server for this long, or until `reach`."""
        if service in self._back:
            return
        self._servers[service].close()
        for writer in [writer for writer, of in self._open.items() if of == service]:
            writer.transport.abort()
        self._back[service] = self._loop.call_later(for_s, lambda: self._loop.create_task(self._reach([service])))

    async def _reach(self, services: list[Service]) -> None:
        for service in services:
            if service in self._back:
                self._back.pop(service).cancel()
                await self._open_port(service, int(self.urls[service].rpartition(":")[2]))

    async def _close(self) -> None:
        for timer in self._back.values():
            timer.cancel()
        for server in self._servers.values():
            server.close()
        await self._cut()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    def fault_of(self, call: Call) -> Broken | None:
        """What the rules do to a call; None if it passes."""
        return next((broken for rule in self.rules if (broken := rule(call)) is not None), None)


class _Connection:
    """One client's connection, and the proxy's to the server."""

    def __init__(
        self, proxy: FaultProxy, service: Service, address: tuple[str, int],
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        self._proxy, self._service, self._address = proxy, service, address
        self._reader, self._writer = reader, writer
        self._up: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def serve(self) -> None:
        self._proxy._open[self._writer] = self._service
        try:
            while await self._one_call():
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # either side hung up, or the proxy stops
        finally:
            self._proxy._open.pop(self._writer, None)
            for writer in filter(None, [self._writer, self._up and self._up[1]]):
                writer.transport.abort()

    async def _one_call(self) -> bool:
        request = await read_head(self._reader)
        if "expect" in request.fields:
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await read_body(self._reader, request)
        call = self._logged(request, body)
        broken = self._proxy.fault_of(call)
        latency_s = self._proxy.latency_s.get(self._service, 0.0)
        if latency_s:
            await asyncio.sleep(latency_s)
        if broken is None:
            return await self._pass(call, request, body)
        return await self._break(call, broken, request, body)

    def _logged(self, request: HttpMessage, body: bytes) -> Call:
        action, keys, about = describe(self._service, request.first[0], request.first[1], request.fields, body)
        return self._proxy.traffic_log.begin(self._service, action, keys, about)

    async def _pass(self, call: Call, request: HttpMessage, body: bytes) -> bool:
        answer, reader = await self._ask(request, body)
        self._writer.write(answer.head)
        if self._service == "s3" and not answer.chunked:
            await self._relay(reader, answer_length(request, answer))
            self._record(call, answer, b"")
        else:
            content = await read_body(reader, answer, nothing=request.first[0] == "HEAD")
            self._record(call, answer, content)  # before the client can act on it
            self._writer.write(framed(content) if answer.chunked else content)
            await self._writer.drain()
        return answer.fields.get("connection", "").lower() != "close"

    async def _break(self, call: Call, broken: Broken, request: HttpMessage, body: bytes) -> bool:
        traffic_log = self._proxy.traffic_log
        if broken.how == "hang":
            await asyncio.sleep(broken.hang_s)
        if broken.how in {"unreachable", "refuse", "hang"}:
            traffic_log.cut(call, broken.how)
            if broken.how == "unreachable":
                self._proxy._vanish(call.service, broken.hang_s)
            return False
        if broken.how == "answer":
            traffic_log.cut(call, f"answered {broken.status}", broken.status)
            head = f"HTTP/1.1 {broken.status} Broken\r\n{broken.headers}Content-Length: {len(broken.body)}\r\n\r\n"
            nothing = request.first[0] == "HEAD"
            self._writer.write(head.encode() + (b"" if nothing else broken.body))
            await self._writer.drain()
            return True
        answer, reader = await self._ask(*resized(request, broken.request(body)))
        content = await read_body(reader, answer, nothing=request.first[0] == "HEAD")
        if broken.how == "lose":
            traffic_log.cut(call, "lose")
            return False
        call.broken = broken.how
        if broken.how == "rewrite":
            content = broken.rewrite(content)
        self._record(call, answer, content)
        return await self._send_whole(answer, content, trickle=broken.how == "trickle")

    async def _send_whole(self, answer: HttpMessage, content: bytes, *, trickle: bool) -> bool:
        lines = answer.head.split(b"\r\n")
        kept = [lines[0]] + [
            line
            for line in lines[1:]
            if line and not line.lower().startswith((b"content-length:", b"transfer-encoding:"))
        ]
        self._writer.write(b"\r\n".join([*kept, b"Content-Length: %d" % len(content), b"", b""]))
        piece = -(-len(content) // MAX_PIECES) or 1
        for at in range(0, len(content), piece) if trickle else ():
            self._writer.write(content[at : at + piece])
            await self._writer.drain()
            await asyncio.sleep(BETWEEN_PIECES_S)
        self._writer.write(b"" if trickle else content)
        await self._writer.drain()
        return True

    async def _ask(self, request: HttpMessage, body: bytes) -> tuple[HttpMessage, asyncio.StreamReader]:
        """The server's answer, whose body is still to be read. A connection that the server has closed is opened again."""
        for attempt in (1, 2):
            if self._up is None:
                self._up = await asyncio.open_connection(*self._address, limit=MAX_HEAD_BYTES)
            reader, writer = self._up
            try:
                writer.write(without_expect(request.head))
                writer.write(framed(body) if request.chunked else body)
                await writer.drain()
                answer = await read_head(reader)
            except (OSError, asyncio.IncompleteReadError) as error:
                self._up = None
                writer.transport.abort()
                if attempt == 2 or (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                    raise
            else:
                return answer, reader
        raise OSError("unreachable")

    async def _relay(self, reader: asyncio.StreamReader, length: int) -> None:
        while length:
            piece = await reader.read(min(length, PIECE_BYTES))
            if not piece:
                raise OSError("the server closed the connection")
            length -= len(piece)
            self._writer.write(piece)
            await self._writer.drain()
        await self._writer.drain()

    def _record(self, call: Call, answer: HttpMessage, content: bytes) -> None:
        self._proxy.traffic_log.end(call, int(answer.first[1]), content)
