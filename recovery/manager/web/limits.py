"""Bounds the bodies of requests."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recovery.manager.web.problems import problem

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Of a plan with 10,000 ids of 128 characters, about 1.4 million."""


class BodyLimit:
    """Refuses what is longer. Every body is read before the application sees it: it is short."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            if len(body) > MAX_BODY_BYTES:
                await problem(413, f"the body is over {MAX_BODY_BYTES:,} bytes")(scope, receive, send)
                return
            if not message.get("more_body"):
                break
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, again, send)
