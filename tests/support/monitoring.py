"""Prometheus' and Alertmanager's own tools, and their servers on free loopback ports."""

import json
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from testing.binaries import do_without, monitoring
from testing.ports import free_ports
from testing.process import LOOPBACK, Server, UnavailableError, http_get


def tool(program: str, *args: str, cwd: Path | None = None, stdin: bytes = b"") -> tuple[int, str]:
    """Exit code and output of promtool or amtool; the test is skipped without it, and fails in CI."""
    try:
        path = monitoring(program)
    except UnavailableError as reason:
        do_without(program, reason)
    done = subprocess.run([path, *args], cwd=cwd, input=stdin, capture_output=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


class _MonitoringServer(Server):
    """A server of Debian's packages, found when it is made."""

    def __init__(self, folder: Path, config: Path) -> None:
        self._program = monitoring(self.name)
        self._config = config
        [self.port] = free_ports(1)
        super().__init__(folder)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def _is_healthy(self) -> bool:
        return http_get(self.port, "/-/ready")[0] == 200

    def ask(self, path: str, **parameters: str) -> Any:
        """The JSON that a GET of the API answers. Raises HTTPError."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        with urllib.request.urlopen(f"{self.url}{path}{query}", timeout=10) as answer:
            return json.load(answer)


class PrometheusServer(_MonitoringServer):
    """Prometheus with its data in its folder."""

    name = "prometheus"

    def _command(self) -> list[str]:
        return [
            self._program, f"--config.file={self._config}", f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}", "--log.level=warn",
        ]  # fmt: skip

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an instant query answers. Raises HTTPError, as where the expression cannot be parsed."""
        found: list[dict[str, Any]] = self.ask("/api/v1/query", query=expression)["data"]["result"]
        return found


class AlertmanagerServer(_MonitoringServer):
    """Alertmanager alone: no cluster, and its data in its folder."""

    name = "prometheus-alertmanager"

    def _command(self) -> list[str]:
        return [
            self._program, f"--config.file={self._config}", f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}", "--cluster.listen-address=", "--log.level=warn",
        ]  # fmt: skip
