"""Install, upgrade, rollback and uninstall on a host, each by one command, with a worker that runs."""

import pytest

from testing.site import Site
from tests.support.installation import EARLIER, MANAGER_UNIT, PREFIX, SOURCE, UNIT, WORKER_ENV, Installation

pytestmark = pytest.mark.timeout(600)  # the first test has the installation in its set-up

NEWER = "99.1"
FAKE_OLD_PYTHON = "#!/bin/sh\necho Python 3.9.16\nexit 1\n"


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ({"PREFIX": "opt/here"}, "PREFIX=opt/here is not an absolute path"),
        ({"PREFIX": "/opt/a b"}, "PREFIX=/opt/a b is not an absolute path"),
        ({"PREFIX": "/usr"}, "PREFIX=/usr belongs to the system; use another folder, such as /opt/s3-index-worker"),
        ({"PREFIX": "/home/worker"}, "is hidden in the sandbox of the units"),
        ({"PYTHON": "/bin/true-python"}, "PYTHON=/bin/true-python is not a Python 3.11 or newer"),
        ({"MANAGER": "yes"}, "MANAGER=yes is neither 1 (install dlq-manager) nor 0 (do not)."),
        ({"WHEEL": "/nowhere.whl"}, "WHEEL=/nowhere.whl: the file does not exist"),
    ],
)
def test_what_cannot_be_installed_is_refused_with_a_sentence(
    installation: Installation, variable: dict[str, str], said: str
) -> None:
    done = installation.make("install", check=False, **variable)
    assert done.returncode != 0
    assert said in done.stderr


def test_only_root_on_a_host_with_systemd_installs(installation: Installation) -> None:
    install = f"{SOURCE}/systemd/install"
    done = installation.machine.run("setpriv", "--reuid=nobody", install, "install", check=False)
    assert (done.returncode, done.stderr) == (1, "This needs root: sudo make …\n")
    hidden = f"mount -t tmpfs tmpfs /run/systemd && {install} install"
    done = installation.machine.run("unshare", "-m", "sh", "-c", hidden, check=False)
    assert "systemd does not run here" in done.stderr


@pytest.mark.parametrize(
    ("os_release", "said"),
    [
        ('ID="amzn"\nID_LIKE="fedora"\n', "dnf install python3.12"),
        ("ID=debian\n", "apt-get install python3 python3-venv"),
        ("ID=other\n", "Install one with its venv module"),
    ],
)
def test_where_every_python_is_too_old_the_package_is_named(
    installation: Installation, os_release: str, said: str
) -> None:
    machine = installation.machine
    machine.write("/etc/os-release", os_release)
    machine.write("/fake/python3", FAKE_OLD_PYTHON, 0o755)
    for tool in ("dirname", "id", "sed", "sh", "systemctl"):
        machine.run("ln", "-sfn", f"/usr/bin/{tool}", f"/fake/{tool}")
    done = machine.run(f"{SOURCE}/systemd/install", "install", check=False, env={"PATH": "/fake"})
    machine.run("rm", "/etc/os-release")
    assert "There is no Python 3.11 or newer; python3 is Python 3.9.16." in done.stderr
    assert said in done.stderr


def test_beside_an_enabled_earlier_worker_it_prints_the_cutover_and_changes_nothing(installed: Installation) -> None:
    machine = installed.machine
    before = machine.run("ls", "-l", PREFIX, f"{PREFIX}/releases").stdout
    machine.write(
        f"/etc/systemd/system/{EARLIER}",
        "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n",
    )
    machine.run("systemctl", "enable", EARLIER)
    done = installed.make("install", check=False)
    assert done.returncode != 0
    assert f"sudo systemctl disable --now {EARLIER}" in done.stderr
    assert machine.run("ls", "-l", PREFIX, f"{PREFIX}/releases").stdout == before


def test_upgrade_rollback_and_uninstall_keep_settings_and_data(managed: Installation, site: Site) -> None:
    installed, machine = managed, managed.machine
    machine.run("systemctl", "enable", "--now", MANAGER_UNIT, UNIT)
    manager = installed.main_pid(MANAGER_UNIT)
    old, settings = installed.main_pid(), machine.run("cat", WORKER_ENV).stdout

    done = installed.install_version(NEWER)
    assert "DLQ: send" in done.stdout  # doctor's table
    assert machine.run("s3-index-worker", "--version").stdout.strip() == NEWER
    assert "Usage: dlq-manager" in machine.run("dlq-manager", "--help").stdout  # an upgrade keeps the manager
    assert installed.main_pid(MANAGER_UNIT) not in {0, manager}
    new = installed.main_pid()
    assert new not in {0, old}
    assert f"{PREFIX}/releases/{NEWER}-" in machine.run("cat", f"/proc/{new}/maps").stdout

    assert installed.completed("dlq-manager", "tok") == ["token"]
    machine.run(f"{PREFIX}/current/systemd/install", "rollback")  # as `make rollback`, without the checkout
    assert installed.completed("dlq", "red") == ["redrive", "redrive-all"]
    assert machine.run("s3-index-worker", "--version").stdout.strip() != NEWER
    assert installed.main_pid() not in {0, new}
    assert machine.run("cat", WORKER_ENV).stdout == settings

    site.put("after.txt")
    site.send("after.txt")
    site.wait_empty()
    assert site.documents().keys() == {"after.txt"}

    machine.run("touch", "/var/lib/s3-index-worker/data")
    done = installed.make("uninstall")
    assert "Settings and data remain: /etc/s3-index-worker/worker.env, /var/lib/s3-index-worker" in done.stderr
    assert machine.run("cat", WORKER_ENV, "/var/lib/s3-index-worker/data").stdout == settings
    left = machine.run(
        *("find", "/etc/systemd/system", "/etc/sysusers.d", "/usr/local/bin", "/opt", "/usr/local/share", "/etc/fish"),
        *("-name", "*s3-index*", "-o", "-name", "*dlq*", "-o", "-name", "*retry*"),
    )
    assert left.stdout == ""
    assert machine.run("pgrep", "-u", "s3-index-worker", check=False).stdout == ""
