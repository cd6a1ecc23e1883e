"""The worker as an operator installs it, on a machine with a real systemd."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testing.waiting import wait_until
from tests.support.nspawn import Machine
from tests.support.wheels import locked_wheels, our_wheel

UNIT = "s3-index-worker.service"
MANAGER_UNIT = "dlq-manager.service"
UNITS = (
    UNIT,
    MANAGER_UNIT,
    "s3-index-worker@*.service",
    "recover-dlq.*",
    "replay-retry-index.*",
    "dlq-stats.*",
    "reconcile-index.*",
)
EARLIER = "phased-worker.service"
"""The unit of the earlier worker, which this one replaces."""
WORKER_ENV = "/etc/s3-index-worker/worker.env"
CREDENTIAL = "/etc/credstore/index_password"
LEDGER_CREDENTIAL = "/etc/credstore/ledger_url"
PREFIX = "/opt/s3-index-worker"
SOURCE, PACKAGES = "/src", "/packages"
"""Where a machine shows this checkout, and the folder with wheels."""


class Installation:
    """What `make install` has made of a machine, and what tests do with it."""

    def __init__(self, machine: Machine, packages: Path) -> None:
        """`packages` is shown inside the machine as PACKAGES."""
        self.machine = machine
        self._packages = packages
        self._failed = False
        self.first_said = ""
        """What the first installation on this machine printed, when nothing was configured yet."""

    # -- install -------------------------------------------------------------------------------------------------

    def make(self, target: str, *, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """`make TARGET NAME=value…` in the checkout, as root, on the machine."""
        given = [f"{name}={value}" for name, value in variables.items()]
        return self.machine.run("make", "-C", SOURCE, target, *given, check=check, timeout_s=500)

    def install(self, *, manager: str = "") -> subprocess.CompletedProcess[str]:
        """`make install` of the checkout, without any registry; `manager` is its MANAGER."""
        self._fetch_wheels()
        done = self.make("install", WHEELS=PACKAGES, MANAGER=manager)
        self.first_said = self.first_said or done.stdout + done.stderr
        return done

    def install_version(self, version: str) -> subprocess.CompletedProcess[str]:
        """`make install` of a wheel that was built elsewhere, as that version."""
        self._fetch_wheels()
        return self.make("install", WHEEL=f"{PACKAGES}/{our_wheel(self._packages, version).name}", WHEELS=PACKAGES)

    def ensure(self) -> None:
        """Installed, whatever the test before has done."""
        if self.machine.run("test", "-e", f"{PREFIX}/current", check=False).returncode:
            assert not self._failed, "it could not be installed, see the first test that tried"
            self._failed = True
            self.install()
            self._failed = False

    def completed(self, *words: str) -> list[str]:
        """What bash offers for the last of these words, after it has loaded the file by which it completes their command."""
        script = '. "/usr/local/share/bash-completion/completions/$1"; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); '
        script += '"_complete_${1//-/_}"; printf "%s\\n" "${COMPREPLY[@]}"'
        return self.machine.run("bash", "-c", script, "bash", *words).stdout.split()

    def has_manager(self) -> bool:
        """Whether the current release was made with the manager, by what is there of it: unit and command, or neither."""
        missing = [
            name
            for name in (f"/etc/systemd/system/{MANAGER_UNIT}", "/usr/local/bin/dlq-manager")
            if self.machine.run("test", "-e", name, check=False).returncode
        ]
        assert len(missing) != 1, missing
        return not missing

    def ensure_manager(self) -> None:
        """A release with the manager is the current one, and one without it the previous. worker.env must be good."""
        self.ensure()
        if not self.has_manager():
            self.install(manager="1")

    def _fetch_wheels(self) -> None:
        if not list(self._packages.iterdir()):
            script = "import sys; print('%d.%d' % sys.version_info[:2])"
            for wheel in locked_wheels(self.machine.run("python3", "-c", script).stdout.strip()).iterdir():
                shutil.copy(wheel, self._packages)

    # -- set up --------------------------------------------------------------------------------------------------

    def configure(self, env: Mapping[str, str], **settings: Any) -> None:
        """Write worker.env: `env`, and further settings in lower case."""
        values = {**env, **{name.upper(): str(value) for name, value in settings.items()}}
        self.machine.write(WORKER_ENV, "".join(f"{name}={value}\n" for name, value in values.items()), 0o640)

    def drop_in(self, unit: str, text: str) -> None:
        """Write what `systemctl edit` would; `reset` removes it."""
        self.machine.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.machine.run("systemctl", "daemon-reload")

    def reset(self) -> None:
        """Nothing runs, nothing has failed, nothing is enabled or changed."""
        run = self.machine.run
        units = shlex.join((*UNITS, EARLIER))
        stop = f"systemctl kill -s KILL 's3-index-worker*' 'dlq-manager*' 2>/dev/null; systemctl stop {units} 2>/dev/null; :"
        run("sh", "-c", stop, timeout_s=90)
        run("sh", "-c", "rm -rf /etc/systemd/system/*.d /etc/systemd/system/*.wants /etc/credstore")
        run("rm", "-f", f"/etc/systemd/system/{EARLIER}")
        run("systemctl", "daemon-reload")
        run("systemctl", "reset-failed")

    # -- run -----------------------------------------------------------------------------------------------------

    def start(self, unit: str = UNIT) -> None:
        """`systemctl start`; returns when the unit has said READY."""
        done = self.machine.run("systemctl", "start", unit, check=False)
        if done.returncode:
            raise AssertionError(f"{done.stderr}\n{self.machine.journal('-u', unit, '-n', '40')}")

    def main_pid(self, unit: str = UNIT) -> int:
        """Its process id inside the machine; 0 when it does not run."""
        return int(self.machine.show(unit, "MainPID"))

    def restarts(self, unit: str = UNIT) -> int:
        """How often systemd has started it again by itself."""
        return int(self.machine.show(unit, "NRestarts"))

    def wait_restarted(self, unit: str = UNIT, timeout_s: float = 60) -> None:
        """Until systemd has started it again, and it serves."""
        wait_until(lambda: self.restarts(unit) >= 1, timeout_s, f"a restart of {unit}")
        self.machine.wait_active(unit, timeout_s)

    def wait_status(self, pattern: str, unit: str = UNIT, timeout_s: float = 15) -> str:
        """The status line of `systemctl status`, once it matches."""

        def matches() -> str:
            status = self.machine.show(unit, "StatusText")
            return status if re.search(pattern, status) else ""

        return wait_until(
            matches, timeout_s, f"a status like {pattern!r} (is: {self.machine.show(unit, 'StatusText')})"
        )
