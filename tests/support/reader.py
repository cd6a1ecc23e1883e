"""Somebody who looks at the console with a browser: their language, colours and width, and what they met that must not be."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, Response

LANGUAGES = {"en": "en-GB", "ja": "ja-JP"}
WIDTHS = {"phone": 360, "desk": 1_440}
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
PATIENCE_MS = 15_000
_SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Reader:
    """A window of a browser at one console. `met` lists dialogs, requests to elsewhere, failed scripts, refusals by the CSP."""

    def __init__(
        self, browser: "Browser", origin: str, *, language: str = "en", scheme: Scheme = "light", width: int = WIDTHS["desk"],
        height: int = 900, scripts: bool = True, zone: str = "Asia/Tokyo", headers: Mapping[str, str] | None = None,
        scale: float = 1, is_new: bool = False,
    ) -> None:  # fmt: skip
        """`origin`: such as http://127.0.0.1:8024; `scripts`: whether JavaScript runs; `headers` go with every request.

        `is_new`: no page knows their time zone yet, so that the first one is loaded twice.
        """
        self.origin = origin.rstrip("/")
        self.scripts = scripts
        self.met: list[str] = []
        self.sizes: dict[str, int] = {}
        """Bytes of each answer over the wire, by address; those that are read as they come are not there."""
        self._context = browser.new_context(
            locale=LANGUAGES[language], color_scheme=scheme, viewport={"width": width, "height": height}, timezone_id=zone,
            java_script_enabled=scripts, extra_http_headers=dict(headers or {}), reduced_motion="reduce",
            device_scale_factor=scale,
        )  # fmt: skip
        if not is_new:
            self._context.add_cookies([{"name": "console-zone", "value": zone, "url": self.origin}])
        self._context.set_default_timeout(PATIENCE_MS)
        self._context.on("request", self._requested)
        self._context.on("requestfinished", self._answered)
        self._context.on("dialog", self._asked)
        self._context.on("weberror", lambda error: self.met.append(f"script failed: {error.error}"))
        self._context.on("console", self._said)
        self.page: Page = self._context.new_page()

    def close(self) -> None:
        """Close the window."""
        self._context.close()

    def another(self) -> "Page":
        """A second tab, of the same session."""
        return self._context.new_page()

    # -- going about -------------------------------------------------------------------------------------------------

    def go(self, path: str, *, status: int = 200) -> "Response":
        """Open a page, such as /console/groups."""
        answer = self.page.goto(f"{self.origin}{path}", wait_until="load")
        assert answer is not None
        answer.finished()
        assert answer.status == status, f"{path}: {answer.status}: {self.text[:500]}"
        return answer

    @property
    def path(self) -> str:
        """Where they are now, with the query."""
        return self.page.url.removeprefix(self.origin)

    @property
    def text(self) -> str:
        """What the page shows."""
        return self.page.locator("body").inner_text()

    @property
    def sideways_px(self) -> int:
        """How far the page can be scrolled sideways: 0 where it fits."""
        return int(self.page.evaluate(_SIDEWAYS))

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Store what they see as a PNG; `whole`: the page to its end."""
        self.page.screenshot(path=path, full_page=whole, animations="disabled", caret="hide")

    # -- what they meet ----------------------------------------------------------------------------------------------

    def _requested(self, request: "Request") -> None:
        if not request.url.startswith(f"{self.origin}/") and not request.url.startswith("data:"):
            self.met.append(f"request to {request.url[:200]}")

    def _answered(self, request: "Request") -> None:
        if request.is_navigation_request() or request.resource_type in {"stylesheet", "script", "image"}:
            sizes = request.sizes()
            self.sizes[request.url] = sizes["responseBodySize"] + sizes["responseHeadersSize"]

    def _asked(self, dialog: "Dialog") -> None:
        self.met.append(f"dialog: {dialog.message[:200]}")
        dialog.dismiss()

    def _said(self, message: "ConsoleMessage") -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.met.append(f"console: {message.text[:300]}")
