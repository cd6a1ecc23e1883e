"""Debian's Chromium without a window, driven by Playwright; or why there is none."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from testing.binaries import require_linux
from testing.process import UnavailableError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROGRAM = "chromium"
ARGUMENTS = (
    "--no-sandbox",  # tests run as root, as which the sandbox does not start; every page is ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",  # pictures have the same colours on every machine
)


def chromium() -> str:
    """The path of Debian's Chromium. Raises UnavailableError."""
    require_linux()
    found = shutil.which(PROGRAM)
    if found is None:
        raise UnavailableError(f"no {PROGRAM}: apt-get install {PROGRAM} fonts-noto-cjk")
    return found


@contextlib.contextmanager
def browsing() -> Iterator["Browser"]:
    """A browser, which ends with the block. Raises UnavailableError.

    Meanwhile this thread has a running event loop, Playwright's: `asyncio.run` fails in it.
    """
    program = chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UnavailableError(f"playwright cannot be imported: {error}") from error
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
