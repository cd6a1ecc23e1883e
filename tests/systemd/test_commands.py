"""The commands in /usr/local/bin run as the unit runs the worker, and pass on whatever goes in and comes out."""

import signal
import subprocess

import pytest

from testing.site import Site
from testing.waiting import wait_until
from tests.support.installation import CREDENTIAL, PREFIX, SOURCE, UNIT, Installation

pytestmark = pytest.mark.timeout(600)  # the first test has the installation in its set-up

PROBE = """#!/bin/sh
case $1 in
  who) id -un; echo "$LOGNAME $TMPDIR $PROBED"; cat "$CREDENTIALS_DIRECTORY/index_password" 2>&1;;
  sandbox) touch /usr/planted /etc/planted; ls /home /root; touch /var/lib/s3-index-worker/mine kept && ls;;
  echo) cat; exit 42;;
  last-words) trap 'echo heard; exit 7' INT TERM; echo ready; while :; do sleep 0.1; done;;
  *) printf '%s\\n' "$@";;
esac
"""


@pytest.fixture
def probe(installed: Installation) -> Installation:
    """A command beside the project's own that shows how it is run."""
    installed.machine.write(f"{PREFIX}/current/bin/probe", PROBE, 0o755)
    installed.machine.run("ln", "-sfn", f"{PREFIX}/current/systemd/run-as-unit", "/usr/local/bin/probe")
    return installed


def test_every_command_of_the_project_is_there_and_answers(installed: Installation) -> None:
    commands = installed.machine.run("ls", "/usr/local/bin").stdout.split()
    assert {
        "s3-index-worker",
        "recover_dlq",
        "recover-dlq",
        "replay_retry_index",
        "reconcile_index",
        "reindex_index",
        "dlq",
        "dlq-redrive",
    } <= set(commands)
    assert "Usage: dlq" in installed.machine.run("dlq", "--help").stdout


def test_the_first_installation_says_in_one_line_what_is_to_be_filled_in(installed: Installation) -> None:
    [line] = [line for line in installed.first_said.splitlines() if "SQS_QUEUE_URL" in line]
    assert line.startswith(
        "installed. Settings are still to be filled in, in /etc/s3-index-worker/worker.env: "
        "SQS_QUEUE_URL, DLQ_QUEUE_URL, STATE_BUCKET, INDEX_URL."
    )
    assert "✗" not in installed.first_said


def test_every_command_is_completed_by_every_shell(installed: Installation) -> None:
    commands = set(installed.machine.run("ls", "/usr/local/bin").stdout.split()) - {"probe"}
    for folder, pattern in (
        ("/usr/local/share/bash-completion/completions", "{}"),
        ("/usr/local/share/zsh/site-functions", "_{}"),
        ("/etc/fish/completions", "{}.fish"),
    ):
        assert {pattern.format(name) for name in commands} <= set(installed.machine.run("ls", folder).stdout.split())
    assert installed.completed("dlq", "red") == ["redrive", "redrive-all"]
    assert installed.completed("s3-index-worker", "stat") == ["status"]
    assert installed.machine.run("cat", f"{PREFIX}/current/checkout").stdout == f"{SOURCE}\n"


def test_a_command_has_the_units_user_settings_and_credential(probe: Installation) -> None:
    probe.configure({}, probed="yes")
    said = probe.machine.run("probe", "who", env={"SUDO_USER": "hanako"}, check=False).stdout.splitlines()
    assert said[:2] == ["s3-index-worker", "hanako /var/tmp yes"]
    assert "No such file" in said[2]
    probe.machine.write(CREDENTIAL, "open sesame\n", 0o600)
    assert probe.machine.run("probe", "who").stdout.splitlines()[2] == "open sesame"


def test_a_command_has_the_units_sandbox_with_its_drop_ins(probe: Installation) -> None:
    probe.configure({})
    probe.drop_in(UNIT, "[Service]\nEnvironment=OTHER=1 \\\n  PROBED=dropped-in\n[Unit]\nDescription=changed\n")
    assert "dropped-in" in probe.machine.run("probe", "who", check=False).stdout
    done = probe.machine.run("probe", "sandbox", check=False)
    assert done.stderr.count("Read-only file system") == 2
    assert done.stderr.count("Permission denied") == 2
    assert done.stdout.split() == ["kept", "mine"]


def test_stdin_arguments_and_exit_code_are_passed_on(probe: Installation) -> None:
    done = probe.machine.run("probe", "echo", stdin="東京\n", check=False)
    assert (done.stdout, done.returncode) == ("東京\n", 42)
    odd = ["two words", "$HOME ${HOME} $", "%n", "", "-p", "'\"\\"]
    assert probe.machine.run("probe", "--", *odd).stdout.splitlines() == ["--", *odd]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command_which_is_awaited(probe: Installation, number: signal.Signals) -> None:
    process = subprocess.Popen(
        probe.machine.command("sh", "-c", "echo $$; exec probe last-words"), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as lines:
        pid = lines.readline().strip()
        assert lines.readline() == "ready\n"
        probe.machine.run("kill", f"-{number.name[3:]}", pid)
        assert lines.read() == "heard\n"
    assert process.wait(10) == 7


def test_ctrl_c_on_a_terminal_reaches_the_command(probe: Installation) -> None:
    process = subprocess.Popen(
        probe.machine.command("script", "-qefc", "probe last-words", "/dev/null"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout as lines, process.stdin as keys:
        while "ready" not in lines.readline():
            pass
        keys.write("\x03")
        keys.flush()
        assert "heard" in lines.read()
    assert process.wait(10) == 7


def test_doctor_finds_nothing_red_on_the_real_servers(installed: Installation, site: Site) -> None:
    installed.configure(site.env)
    done = installed.machine.run("s3-index-worker", "doctor", "--json")
    assert '"level":"error"' not in done.stdout
    assert '"name":"DLQ: send"' in done.stdout


def test_a_command_leaves_no_unit_behind(probe: Installation) -> None:
    def units() -> str:
        return probe.machine.run("systemctl", "list-units", "--all", "--plain").stdout

    assert probe.machine.run("probe", "echo", stdin="", check=False).returncode == 42
    wait_until(lambda: "probe-" not in units(), 10, "the end of the transient unit")
