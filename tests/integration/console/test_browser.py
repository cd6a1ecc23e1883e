"""What the tests of the console see with: a real browser that reports what must not be."""

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.reader import Reader

TRAP = """<!doctype html><title>t</title><h1>契約</h1><img src="http://127.0.0.2:9/x.png">
<p style="width:900px">wide</p><script>alert('a'); missing()</script>""".encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    policy = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        if self.path == "/guarded":
            self.send_header("Content-Security-Policy", "default-src 'none'")
        self.end_headers()
        self.wfile.write(TRAP if self.path != "/favicon.ico" else b"")

    def log_message(self, *_args: Any) -> None: ...


@pytest.fixture(scope="module")
def trap() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_whatever_a_page_does_that_it_must_not_do_is_reported(trap: str, reader_of: Callable[..., Reader]):
    reader = reader_of(trap, width=360)
    reader.go("/")
    assert reader.sideways_px > 500
    reader.page.wait_for_function("document.readyState === 'complete'")
    met, reader.met = reader.met, []
    assert [one.split(":")[0] for one in sorted(met)] == ["dialog", "request to http", "script failed"], met


def test_what_the_policy_refuses_is_reported(trap: str, reader_of: Callable[..., Reader]):
    reader = reader_of(trap)
    reader.go("/guarded")
    met, reader.met = reader.met, []
    assert any("script" in one for one in met), met
    assert any("style" in one for one in met), met
    assert not any(one.startswith(("dialog", "script failed")) for one in met), met


def test_without_scripts_no_script_runs_but_the_page_is_read(trap: str, reader_of: Callable[..., Reader]):
    reader = reader_of(trap, scripts=False)
    reader.go("/")
    assert "契約" in reader.text
    met, reader.met = reader.met, []
    assert [one.split(":")[0] for one in met] == ["request to http"], met
