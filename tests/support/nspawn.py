"""A real systemd in a container on this machine: boots in a second from the host's own /usr, leaves nothing behind.

No virtual machine and no image: `systemd-nspawn --volatile=yes` gives an empty root with this host's /usr read-only. The
network is the host's, so the servers on loopback are reached. Source: docs/evidence.md, systemd.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from testing.binaries import is_ci, require_linux
from testing.process import LAUNCHER, UnavailableError
from testing.waiting import wait_until

PACKAGES = ("systemd-container", "dbus", "sudo")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
BOOT_S = 60
STOP_S = 20
# /etc is empty, so systemd takes it for a first boot and would enable every unit that is installed on this host.
PRESET = "/etc/systemd/system-preset/00-nothing.preset"


class Machine:
    """One booted container. `/opt`, `/usr/local/bin` and `/usr/local/share` are its own, on disk; the rest is in memory."""

    def __init__(self, folder: Path, binds: Mapping[Path, str] | None = None) -> None:
        """`folder` keeps what the container writes; `binds` are shown inside, read-only: {path here: path there}."""
        self._folder = folder
        self._binds = dict(binds or {})
        self._log = folder / "console.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._init_pid = 0

    def start(self) -> Self:
        """Boot, and return when the boot is over. Raises UnavailableError where this machine cannot."""
        require_nspawn()
        # The kernel ends it with the *thread* that starts it (die_with_parent): start it from pytest's main thread.
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        try:
            self._init_pid = wait_until(self._find_init, BOOT_S, "the container's systemd")
            wait_until(self._has_booted, BOOT_S, "the end of the boot")
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """End it, with everything that runs in it."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)  # nspawn asks the systemd inside to power off
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- what a person would do at its shell ---------------------------------------------------------------------

    def run(
        self,
        *argv: str,
        check: bool = True,
        timeout_s: float = 60,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root, captured; with `check`, an AssertionError shows what a failed one said."""
        done = subprocess.run(
            self.command(*argv, env=env), input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def command(self, *argv: str, env: Mapping[str, str] | None = None) -> list[str]:
        """What runs `argv` inside, for a Popen of one's own; nothing of this environment is passed on.

        Nor are ignored signals: a shell's background job ignores SIGINT, and what it starts could not even trap it.
        """
        given = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "xterm", **(env or {})}
        enter = ["nsenter", "-t", str(self._init_pid), "-m", "-p", "-u", "-i", "--"]
        return [*enter, "env", "--default-signal", "-i", *(f"{name}={value}" for name, value in given.items()), *argv]

    def journal(self, *args: str) -> str:
        """What journalctl prints, after everything said so far has reached it."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--no-pager", "-q", *args).stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside, and the folders above it."""
        self.run("install", "-D", f"-m{mode:o}", "/dev/stdin", path, stdin=text)

    def show(self, unit: str, name: str) -> str:
        """One property of a unit, as `systemctl show` has it."""
        return self.run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def wait_active(self, unit: str, timeout_s: float = 60) -> None:
        """Until a unit is active; a unit that has failed meanwhile is an AssertionError with the end of its journal."""

        def active() -> bool:
            state = self.show(unit, "ActiveState")
            if state == "failed":
                raise AssertionError(f"{unit} failed:\n{self.journal('-u', unit, '-n', '40')}")
            return state == "active"

        wait_until(active, timeout_s, f"{unit} to be active")

    # -- inside --------------------------------------------------------------------------------------------------

    def _command(self) -> list[str]:
        own = {}
        for inside in ("/opt", "/usr/local/bin", "/usr/local/share"):
            own[inside] = self._folder / inside.strip("/").replace("/", "-")
            own[inside].mkdir(parents=True, exist_ok=True)
        preset = self._folder / "nothing.preset"
        preset.write_text("disable *\n")
        shown = {preset: PRESET, Path("/etc/alternatives"): "/etc/alternatives", **self._binds}
        return [
            *("systemd-nspawn", "-q", "-D", "/", "--volatile=yes", "--register=no", "--keep-unit", "--console=pipe"),
            # Landlock, which a host has: nspawn 252 forbids every system call that it does not know.
            "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
            *(f"--bind={here}:{there}" for there, here in own.items()),
            *(f"--bind-ro={here}:{there}" for here, there in shown.items() if here.exists()),
            *("-b", "systemd.firstboot=off", "systemd.unit=multi-user.target"),
        ]

    def _find_init(self) -> int:
        """The process that is number 1 in a process namespace of its own, below this one."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise UnavailableError(f"systemd-nspawn ended with {self._process.returncode}: {self._log_tail()}")
        below = {self._process.pid}
        for status in sorted(Path("/proc").glob("[0-9]*/status"), key=lambda path: int(path.parent.name)):
            try:
                fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            except OSError:  # it has ended
                continue
            if int(fields["PPid"]) in below:
                below.add(int(fields["Pid"]))
                if fields["NSpid"].split()[1:] == ["1"]:
                    return int(fields["Pid"])
        return 0

    def _has_booted(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise UnavailableError(f"the container ended while it booted: {self._log_tail()}")
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}  # degraded: some unit of the host's /usr finds no device here

    def _log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-2_000:]


def require_nspawn() -> None:
    """Raise UnavailableError where no container can be booted. In CI the packages are installed first."""
    require_linux()
    if os.geteuid() != 0:
        raise UnavailableError("systemd-nspawn needs root")
    missing = [name for name in ("systemd-nspawn", "nsenter", "dbus-daemon", "sudo") if shutil.which(name) is None]
    if missing and is_ci() and shutil.which("apt-get"):
        _install_packages()
        missing = [name for name in missing if shutil.which(name) is None]
    if missing:
        raise UnavailableError(f"no {', '.join(missing)}: apt-get install {' '.join(PACKAGES)}")


def _install_packages() -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (("update",), ("install", "-y", "--no-install-recommends", *PACKAGES)):
        subprocess.run(["apt-get", "-qq", *arguments], env=quiet, check=False, timeout=300, capture_output=True)
