"""A real server as a child process: started, awaited until healthy, killed or paused and healed by tests, never left behind."""

import abc
import http.client
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from testing.waiting import wait_until

LOOPBACK = "127.0.0.1"
LAUNCHER = Path(__file__).with_name("die_with_parent.py")
LOG_TAIL_LINES = 60

# The kernel sends the parent-death signal when the *thread* that started the child ends. A test that restarts a server
# from a helper thread would see it die with that thread, so one thread, which lives as long as pytest, starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-starter")


class UnavailableError(Exception):
    """Raised when this machine cannot run a server at all: a missing package, another platform, no jars."""


class ServerFailedError(Exception):
    """Raised when a server that should run here ended or did not become healthy; carries the tail of its log."""


def http_get(port: int, path: str, timeout_s: float = 2.0) -> tuple[int, bytes]:
    """Return status and body, or (0, b"") when no answer comes: health checks ask before the port is open."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


class Server(abc.ABC):
    """The life of one server process; a subclass says what to run and when it is healthy.

    Ports and data stay the same from start to start, so a killed server comes back as the same server.
    """

    name: str
    start_timeout_s = 60.0
    stop_timeout_s = 10.0

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log_path = folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._paused = False

    @property
    @abc.abstractmethod
    def url(self) -> str:
        """Where clients reach it, without a trailing slash."""

    @abc.abstractmethod
    def _command(self) -> list[str]:
        """What to run, in `folder`."""

    @abc.abstractmethod
    def _is_healthy(self) -> bool:
        """Whether it does its work, not only whether it listens."""

    def _environment(self) -> dict[str, str]:
        return {}

    def _litter(self) -> list[Path]:
        """What a process that has ended leaves outside `folder`, to be removed."""
        return []

    # -- start and stop ------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start it and return once it is healthy; does nothing when it already runs."""
        if self.is_running:
            return self
        self._process = _starter.submit(self._spawn).result()
        try:
            self._wait_until_healthy()
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it politely, or by force after `stop_timeout_s`."""
        if self._process is None:
            return
        self.resume()
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(self.stop_timeout_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
        self._reap()

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL to its whole process group."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._reap()

    def restart(self) -> Self:
        """Stop and start it again: same ports, same data."""
        self.stop()
        return self.start()

    def heal(self) -> None:
        """Undo what a test did to it: resume it if paused, start it if dead. Costs nothing when all is well."""
        self.resume()
        if not self.is_running:
            self.kill()
            self.start()

    # -- an outage without a death -------------------------------------------------------------------------------

    def pause(self) -> None:
        """Freeze it: connections stay open or can be opened, but get no answer, as from a hung server."""
        self._signal(signal.SIGSTOP)
        self._paused = True
        wait_until(self._is_frozen, 5, f"{self.name} to be frozen")

    def resume(self) -> None:
        """Let a paused server go on; does nothing otherwise."""
        if self._paused:
            self._signal(signal.SIGCONT)
            self._paused = False

    # -- what can be seen ----------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The process id, which is also that of its process group."""
        if self._process is None:
            raise ServerFailedError(f"{self.name} is not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its process lives, be it paused."""
        return self._process is not None and self._process.poll() is None

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """The last lines of its standard output and error."""
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # -- inside --------------------------------------------------------------------------------------------------

    def _spawn(self) -> subprocess.Popen[bytes]:
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid())]
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [*launcher, *self._command()],
                cwd=self.folder,
                env={**os.environ, **self._environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C reaches pytest alone, which then stops its servers in order
            )

    def _wait_until_healthy(self) -> None:
        started = time.monotonic()
        while not self._is_healthy():
            waited_s = time.monotonic() - started
            if not self.is_running:
                raise ServerFailedError(
                    self._failure(f"ended with exit code {self._process and self._process.returncode}")
                )
            if waited_s > self.start_timeout_s:
                raise ServerFailedError(self._failure(f"is not healthy after {waited_s:.0f} s"))
            time.sleep(0.05)

    def _failure(self, what: str) -> str:
        return f"{self.name} {what}; the end of {self.log_path}:\n{self.log_tail()}"

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _is_frozen(self) -> bool:
        # The state is the first field after the command's name, which is in brackets and may contain spaces.
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] in {"T", "t"}

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()
        self._process = None
        self._paused = False
        for path in self._litter():
            path.unlink(missing_ok=True)
