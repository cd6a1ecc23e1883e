"""What bash, zsh and fish complete, in real shells on a real terminal; and that completing runs none of our commands."""

import os
import pty
import shutil
import subprocess
import threading
import tomllib
from functools import partial
from pathlib import Path

import pytest

from recovery.cli.completion import SHELLS, write_all
from testing.waiting import wait_until

NAMES = list(tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"])
START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "for f in {folder}/bash/*; do . $f; done"),
    "zsh": (["zsh", "-f", "-i"], "fpath=({folder}/zsh $fpath); autoload -Uz compinit; compinit -u -d {folder}/dump"),
    "fish": (["fish", "--no-config", "-i"], "for f in {folder}/fish/*; source $f; end"),
}
"""How each shell is started, and what is typed first."""
TYPED = {
    "dlq red\t": "dlq redrive",
    "dlq grou\t--by ki\t": "dlq groups --by kind",
    "dlq redrive-all --abort\t": "dlq redrive-all --abort-if-refail",
    "s3-index-worker stat\t": "s3-index-worker status",
    "recover_dlq --kind REC\t": "recover_dlq --kind RECOVERABLE",
    "dlq-manager token crea\t": "dlq-manager token create",
    "dlq import exp\t": "dlq import expiring.jsonl",
    "dlq export --older-than 1d exp\t": "dlq export --older-than 1d expiring.jsonl",
    "dlq purge --backup exp\t": "dlq purge --backup expiring.jsonl",
    "dlq list --older-than exp\t": "dlq list --older-than exp",
    "recover_dlq --vers\t": "recover_dlq --version",
}
"""What is typed before Enter → what is run."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files for all shells, and commands that write down how they were run."""
    made = tmp_path_factory.mktemp("completion")
    write_all(made, NAMES)
    (made / "bin").mkdir()
    for name in NAMES:
        (made / "bin" / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {made}/log-$SHELL_NAME\n')
        (made / "bin" / name).chmod(0o755)
    (made / "here").mkdir()
    (made / "here" / "expiring.jsonl").touch()
    return made


def typed(name: str, folder: Path, lines: list[str]) -> list[str]:
    """What was run after these lines were typed into a shell, each with Enter."""
    command, first = START[name]
    log = folder / f"log-{name}"
    log.unlink(missing_ok=True)
    controller, terminal = pty.openpty()
    env = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder), "TERM": "xterm", "SHELL_NAME": name}
    own_terminal = partial(os.login_tty, terminal)
    with subprocess.Popen(
        command,
        env=env,
        cwd=folder / "here",
        pass_fds=[terminal],
        preexec_fn=own_terminal,  # noqa: PLW1509 (no locks)
    ) as process:
        os.close(terminal)
        threading.Thread(target=_swallow, args=(controller,), daemon=True).start()
        try:
            for line in [first.format(folder=folder), *lines, "dlq end"]:
                os.write(controller, f"{line}\r".encode())
            wait_until(lambda: log.exists() and "dlq end\n" in log.read_text(), 60, f"the end of what {name} was told")
        finally:
            process.kill()
    return [line.rstrip() for line in log.read_text().splitlines()][:-1]


def _swallow(controller: int) -> None:
    """Read what the shell shows, so that it never waits for its terminal."""
    try:
        while os.read(controller, 65_536):
            pass
    except OSError:  # the shell has ended
        os.close(controller)


@pytest.mark.parametrize("name", SHELLS)
def test_a_tab_completes_verbs_options_values_and_files_and_runs_nothing(name: str, folder: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    assert typed(name, folder, list(TYPED)) == list(TYPED.values())


def test_bash_completes_a_value_after_an_equals_sign(folder: Path) -> None:
    assert typed("bash", folder, ["recover_dlq --kind=SYS\t"]) == ["recover_dlq --kind=SYSTEM_ERROR"]


@pytest.mark.parametrize("name", SHELLS)
def test_the_files_are_read_without_a_complaint(name: str, folder: Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    for path in (folder / name).iterdir():
        done = subprocess.run([name, "-n", str(path)], capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stderr) == (0, ""), path
