"""docs/local.md: its four commands, typed in two shells."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.local import FOLDER
from testing.waiting import wait_until
from testing.worker import base_env
from tests.support.pages import typed

ROOT = Path(__file__).resolve().parents[3]
SERVE, WORK, PUT, SEARCH = [one.line for one in typed("local.md") if one.section == "Four commands"][:4]
WITHIN_S = 60


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which the page's commands find the program and the samples, and write nothing into this checkout."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / ".venv/bin/python").chmod(0o755)
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    return tmp_path


@pytest.fixture
def shell(checkout: Path) -> Iterator[subprocess.Popen[str]]:
    """The first terminal: its command goes on."""
    with start(SERVE, checkout) as serving:
        wait_until((checkout / FOLDER / "env").exists, WITHIN_S, "the settings")
        try:
            yield serving
        finally:
            end(serving)
        assert not (checkout / FOLDER / "env").exists()


def start(line: str, folder: Path) -> subprocess.Popen[str]:
    env = {**base_env(), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        ["bash", "-c", line.removesuffix("&")], cwd=folder, env=env, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=WITHIN_S)


def test_the_four_commands_find_a_file(checkout: Path, shell: subprocess.Popen[str]) -> None:
    working = start(WORK, checkout)
    try:
        said, _ = start(PUT, checkout).communicate(timeout=WITHIN_S)
        assert said == "s3://our-files/catalog.xml\n"

        def finds_it() -> bool:
            return "s3://our-files/catalog.xml" in start(SEARCH, checkout).communicate(timeout=WITHIN_S)[0]

        wait_until(finds_it, WITHIN_S, "the file in the index")
    finally:
        end(working)


def test_putting_a_file_without_a_server_says_what_to_start(checkout: Path) -> None:
    process = start(PUT, checkout)
    said, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 2
    assert "start python -m testing.local first" in said
