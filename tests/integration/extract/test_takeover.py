"""A parser that a hostile file has taken over gets nowhere: the worker's secrets, files, network, other processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testing.binaries import do_without
from testing.process import UnavailableError
from tests.support.takeover import ATTEMPTS, DEPENDS, INSPECTION
from worker.core.extract import children, isolation, landlock
from worker.core.extract.children import Child, Limits
from worker.core.extract.kinds import kind_of

REFUSED = {"EPERM", "EACCES", "EXDEV"}
"""EXDEV is Landlock's answer to moving or linking a file from one folder to another."""
SECRET = "wJalrXUtnFEMI"
WITH = "from worker.core.extract import isolation, landlock, seccomp; {changes}; "
LEASE = Path(__file__).resolve().parents[3] / "samples/legal/Office lease summary.rtf"


@pytest.fixture(scope="module", autouse=True)
def _isolated_here(tmp_path_factory: pytest.TempPathFactory) -> None:
    if missing := isolation.probe(tmp_path_factory.mktemp("probe")):
        do_without("isolation", UnavailableError("; ".join(missing)))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each attacker reached. As root, the worker runs without capabilities, with which it could read any process."""
    command = [sys.executable, "-m", "tests.support.takeover", str(tmp_path_factory.mktemp("worker"))]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            do_without("setpriv", UnavailableError("it is not installed: util-linux has it"))
        command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
    environment = {**os.environ, "AWS_SECRET_ACCESS_KEY": SECRET}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_parser_that_was_taken_over_may_not(results: dict[str, Any], attempt: str) -> None:
    assert results["parser"]["attempts"][attempt] in REFUSED


def test_an_ordinary_process_may_so_the_attempts_are_real(results: dict[str, Any]) -> None:
    attempts = results["bare"]["attempts"]
    assert {name for name, result in attempts.items() if result in REFUSED} <= DEPENDS


@pytest.mark.parametrize("attempt", INSPECTION)
def test_the_worker_is_closed_even_to_a_process_that_is_not_isolated(results: dict[str, Any], attempt: str) -> None:
    assert results["later"]["attempts"][attempt] in REFUSED


def test_it_inherits_only_its_socket_and_nothing_of_the_environment(results: dict[str, Any]) -> None:
    assert "AWS_SECRET_ACCESS_KEY" in results["bare"]["environment"]
    assert len(results["bare"]["descriptors"]) > 1
    assert sorted(results["parser"]["environment"]) == [
        "HF_HOME", "HOME", "LANG", "OPENSSL_CONF", "PATH", "TMPDIR", "XBERG_CACHE_DIR"
    ]  # fmt: skip
    assert results["parser"]["descriptors"] == ["socket"]


def test_what_it_changes_is_in_its_own_folder_alone(results: dict[str, Any]) -> None:
    assert results["parser"]["own folder"] == "done"
    assert results["parser"]["unchanged"]


@pytest.mark.parametrize("version", range(1, 8))
def test_every_version_of_landlock_closes_files(tmp_path: Path, version: int) -> None:
    if version > landlock.version():
        pytest.skip("this kernel is older")
    (tmp_path / "own").mkdir()
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; {WITH.format(changes=f'landlock.version = lambda: {version}')}"
        "import os, pathlib; own = pathlib.Path('own'); print(isolation.isolate(own)); (own / 'a').write_bytes(b''); "
        "import zipfile; os.listdir('own'); os.listdir('/')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "[]\n"
    assert done.stderr.endswith("PermissionError: [Errno 13] Permission denied: '/'\n")


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ("seccomp.ctypes.CDLL = open", [isolation.NO_SECCOMP]),
        ("landlock.version = lambda: 0", [isolation.NO_LANDLOCK]),
        ("landlock._RESTRICT_SELF = 10**6; seccomp._ALLOW = 1", [isolation.NO_SECCOMP, isolation.NO_LANDLOCK]),
    ],
)
def test_where_a_protection_is_missing_a_child_says_so_and_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: str, missing: list[str]
) -> None:
    path, rest = children._BOOT.split("; from ")
    monkeypatch.setattr(children, "_BOOT", f"{path}; {WITH.format(changes=changes)}from {rest}")
    child = Child(Limits(timeout_s=20, memory_bytes=2 * 1024**3, max_chars=10_000, temp_dir=tmp_path))
    try:
        assert child.missing == missing
        assert child.ask(LEASE, kind_of(LEASE.read_bytes(), "a.rtf", None))[0].status == "ok"
    finally:
        child.end()
