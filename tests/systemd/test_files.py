"""On an installed host, the files that a command reads and writes are its caller's, whatever the worker may reach."""

import re
import subprocess
from collections.abc import Mapping

import pytest

from testing.site import Site
from tests.support.installation import Installation

pytestmark = pytest.mark.timeout(600)  # the first test has the installation in its set-up

CALLER = "hanako"
HOME = f"/home/{CALLER}"
SUDOERS = f"{CALLER} ALL=(root) NOPASSWD: /usr/local/bin/dlq\n"
AS_CALLER = ("setpriv", f"--reuid={CALLER}", f"--regid={CALLER}", "--init-groups", "--")
PERMIT = "auth sufficient pam_permit.so\naccount sufficient pam_permit.so\nsession sufficient pam_permit.so\n"


class Caller:
    """A person who is not root and may call the commands with sudo."""

    def __init__(self, installed: Installation, site: Site) -> None:
        self.machine = installed.machine
        self.site = site
        installed.configure(site.env)
        self.machine.write("/etc/sudoers", SUDOERS, 0o440)
        self.machine.write("/etc/pam.d/sudo", PERMIT)
        self.machine.run("sh", "-c", f"id {CALLER} || useradd -U -d {HOME} {CALLER}")
        self.machine.run("sh", "-c", f"rm -rf {HOME}; install -d -m 0700 -o {CALLER} {HOME} {HOME}/契約書")

    def fill(self, count: int) -> None:
        for number in range(count):
            self.site.sqs.send_message(QueueUrl=self.site.queues.dlq, MessageBody=f"noise {number}")

    def left(self) -> int:
        asked = self.site.sqs.get_queue_attributes(
            QueueUrl=self.site.queues.dlq, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(asked["Attributes"]["ApproximateNumberOfMessages"])

    def shell(self, script: str, *, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a line of shell as this person, in the folder `契約書` at home."""
        return self.machine.run(*AS_CALLER, "sh", "-c", f"cd {HOME}/契約書 && {script}", check=False, stdin=stdin)

    def answering(self, command: str, answers: Mapping[str, str]) -> str:
        """Type a command on a terminal, answer each question the first time with what is given and then with q; what it said."""
        asked, said = dict(answers), ""
        argv = self.machine.command(*AS_CALLER, "script", "-qefc", command, "/dev/null")
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            while char := process.stdout.read(1):
                said += char
                if question := next((one for one in answers if said.endswith(f"{one} ")), ""):
                    process.stdin.write(asked.pop(question, "q") + "\n")
                    process.stdin.flush()
        return said

    @property
    def purge(self) -> str:
        return f"dlq purge --confirm {self.site.queues.dlq.rsplit('/', 1)[-1]} --backup"


def unboxed(error: str) -> str:
    """The words of an error, without the box around them and its line breaks."""
    return re.sub(r"[\s│]+", " ", error)


@pytest.fixture
def caller(installed: Installation, site: Site) -> Caller:
    return Caller(installed, site)


@pytest.mark.parametrize("folder", ["", "../", "/tmp/", f"{HOME}/"])
def test_a_purge_keeps_the_messages_in_a_file_of_the_caller(caller: Caller, folder: str) -> None:
    caller.fill(3)
    done = caller.shell(f"rm -f {folder}all.jsonl; {caller.purge} {folder}all.jsonl")
    assert done.returncode == 0, done.stderr
    seen = {"": f"{HOME}/契約書/all.jsonl", "../": f"{HOME}/契約書/../all.jsonl"}.get(folder, f"{folder}all.jsonl")
    assert f"kept in {seen} (sha256" in done.stdout
    assert caller.shell(f"stat -c '%U %a' {folder}all.jsonl; wc -l <{folder}all.jsonl").stdout == f"{CALLER} 600\n4\n"
    assert caller.left() == 0


def test_an_export_can_be_imported_from_the_callers_folder(caller: Caller) -> None:
    caller.fill(3)
    assert caller.shell("dlq export out.jsonl").returncode == 0
    assert caller.shell(f"{caller.purge} all.jsonl").returncode == 0
    done = caller.shell("dlq import out.jsonl --yes && dlq import --yes nowhere.jsonl")
    assert (done.returncode, caller.left()) == (64, 3)
    assert "nowhere.jsonl cannot be read: No such file" in unboxed(done.stderr)


def test_a_dash_is_stdin_and_stdout(caller: Caller) -> None:
    caller.fill(3)
    assert caller.shell("dlq export - | cat >out.jsonl; wc -l <out.jsonl").stdout == "4\n"
    assert caller.shell(f"{caller.purge} - >all.jsonl; wc -l <all.jsonl").stdout == "4\n"
    assert caller.left() == 0
    done = caller.shell("dlq import --yes - <all.jsonl")
    assert (done.returncode, caller.left()) == (0, 3), done.stderr


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("/root/all.jsonl", "Permission denied"),
        ("/etc/all.jsonl", "you may not write in /etc"),
        ("/nowhere/all.jsonl", "/nowhere is not a folder"),
        ("taken", "already exists"),
        ("dangling", "already exists"),
        ("/var/lib/s3-index-worker/all.jsonl", "Permission denied"),
    ],
)
def test_a_file_that_the_caller_may_not_write_is_refused_before_anything_is_touched(
    caller: Caller, file: str, why: str
) -> None:
    caller.fill(1)
    done = caller.shell(f"touch taken; ln -sf nowhere dangling; {caller.purge} {file}")
    assert (done.returncode, "Traceback" in done.stderr) == (64, False), done.stderr
    assert why in unboxed(done.stderr)
    assert caller.left() == 1


def test_root_is_a_caller_like_any_other(caller: Caller) -> None:
    caller.fill(2)
    done = caller.machine.run("sh", "-c", f"cd /root && rm -f all.jsonl && {caller.purge} all.jsonl && cat all.jsonl")
    assert "kept in /root/all.jsonl" in done.stdout
    assert (done.stdout.count("noise"), caller.left()) == (2, 0)


@pytest.mark.parametrize("umask", ["027", "077"])
def test_a_file_behind_stdout_that_only_the_caller_may_read_is_read_back(caller: Caller, umask: str) -> None:
    caller.fill(2)
    done = caller.shell(f"umask {umask}; rm -f all.jsonl; {caller.purge} - >all.jsonl && wc -l <all.jsonl")
    assert (done.returncode, done.stdout, caller.left()) == (0, "3\n", 0), done.stderr


@pytest.mark.parametrize("place", ["/dev/null", "/dev/full"])
def test_a_purge_to_what_keeps_nothing_is_refused(caller: Caller, place: str) -> None:
    caller.fill(1)
    done = caller.shell(f"{caller.purge} - >{place}")
    assert (done.returncode, caller.left()) == (64, 1), done.stderr


def test_the_menu_deletes_nothing_for_a_file_that_would_vanish_with_the_command(caller: Caller) -> None:
    """The menu asks for the name of a file when the command runs already, in the sandbox, whose /tmp ends with it."""
    caller.fill(2)
    said = caller.answering(
        "dlq interactive", {"Which?": "14", "Name of the new file:": "/tmp/all.jsonl", "[y/N]": "y"}
    )
    assert "must be named on the command line" in unboxed(said), said
    assert caller.left() == 2


def test_the_address_of_the_callers_side_sets_nothing_else(caller: Caller) -> None:
    done = caller.shell("sudo /usr/local/bin/dlq '--caller-files=x LD_PRELOAD=/tmp/evil.so' stats")
    assert done.returncode == 64
    assert "for the use of this script" in done.stderr
