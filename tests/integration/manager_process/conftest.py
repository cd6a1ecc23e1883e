"""A real manager process on the real servers, with the ledger in SQLite or PostgreSQL."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from testing.fault_proxy import FaultProxy
from testing.site import Site, make_site
from testing.worker import WorkerProcess

SERVE = ("recovery.manager.cli", "serve")


class ManagerProcess(WorkerProcess):
    """`dlq-manager serve`, and what it answers."""

    @property
    def port(self) -> int:
        return int(self.events("manager.started")[-1]["port"])

    def ask(self, path: str, *, status: int = 200, **headers: str) -> Any:
        """What it answers to a GET: JSON where it is, otherwise text."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                found, body = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            found, body = error.code, error.read()
        assert found == status, body
        return json.loads(body) if body[:1] in b"[{" else body.decode()

    def post(self, path: str, body: Any = None, *, status: int = 200) -> Any:
        """What it answers to a POST."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode() if body else b"", method="POST",
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == status
            return json.loads(answer.read())

    def count(self, query: str = "") -> int:
        """The number of dead letters that a filter selects."""
        return int(self.ask(f"/api/v1/messages?limit=1&q={query}")["count"])


@pytest.fixture
def site(seaweedfs, elasticmq) -> Iterator[Site]:
    """A deployment without an index."""
    made = make_site(seaweedfs, elasticmq, SimpleNamespace(url=""))  # type: ignore[arg-type]
    yield made
    made.close()


@pytest.fixture
def fault_proxy(seaweedfs) -> Iterator[FaultProxy]:
    """In front of S3."""
    proxy = FaultProxy({"s3": seaweedfs.url}).start()
    yield proxy
    proxy.stop()


@pytest.fixture
def ledger_env(ledger_url: str) -> dict[str, str]:
    """An empty ledger's settings; PostgreSQL is migrated, as the set-up page says."""
    return {"LEDGER_URL": ledger_url, "MANAGER_PORT": "0"}


@pytest.fixture
def manager_of(site: Site, tmp_path: Path) -> Iterator[Callable[..., ManagerProcess]]:
    """Makes managers that are not started yet; those that still run at the end are killed."""
    made: list[ManagerProcess] = []

    def make(**env: str) -> ManagerProcess:
        own = {**site.env, **env}
        one = ManagerProcess(own, tmp_path, name=f"manager-{len(made)}", module=SERVE, started="manager.started")
        made.append(one)
        return one

    yield make
    for one in made:
        one.kill()
