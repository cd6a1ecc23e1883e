"""What an installation is made from: the project's wheel, and those that the locks name, fetched once and then cached."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testing.process import UnavailableError

ROOT = Path(__file__).resolve().parents[2]
LOCK, DEV_LOCK, INSTALL = ROOT / "requirements-manager.lock", ROOT / "requirements-dev.lock", ROOT / "systemd/install"
"""The manager's lock has all that the worker's has, of the same versions: tools/lock.py."""
DEFAULT_CACHE = Path("~/.cache/s3-index-worker/wheels")


def locked_wheels(python_version: str) -> Path:
    """The folder with every wheel of the lock, and those that build the project's, for a Python such as "3.11".

    The first time this takes 15 s.
    """
    cache = Path(os.environ.get("S3IW_WHEEL_CACHE") or DEFAULT_CACHE).expanduser()
    wanted = f"{LOCK.read_text()}\n{_locked_tools()}"
    folder = cache / f"py{python_version}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _download(wanted, folder, python_version)
    return folder


def build_tools() -> list[str]:
    """What `systemd/install` builds the project's wheel with."""
    named = re.search(r"^BUILD_TOOLS='(.*)'", INSTALL.read_text(), re.MULTILINE)
    return named[1].split() if named else []


def _locked_tools() -> str:
    names = "|".join(map(re.escape, build_tools()))
    return "".join(re.findall(rf"^(?:{names})==.*(?:\n    .*)*\n", DEV_LOCK.read_text(), re.MULTILINE))


def _download(wanted: str, folder: Path, python_version: str) -> None:
    """Beside `folder`, then renamed: an incomplete download must not be taken for a complete one."""
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder.parent))
    try:
        (staging / "wanted.txt").write_text(wanted)
        _python(
            *("-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--require-hashes"),
            *("--only-binary", ":all:", "--python-version", python_version),
            *("-r", str(staging / "wanted.txt"), "-d", str(staging)),
        )
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def our_wheel(folder: Path, version: str | None = None) -> Path:
    """Build this tree's wheel into `folder`; with `version`, as that release of it."""
    source = ROOT
    if version is not None:
        source = Path(tempfile.mkdtemp(dir=folder))
        for name in ("worker", "recovery", "config", "docs"):
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        module = source / "worker/__init__.py"
        head = module.read_text().partition("__version__")[0]
        module.write_text(f'{head}__version__ = "{version}"\n')
    built = folder / f"wheel-{version or 'this'}"
    _python("-m", "hatchling", "build", "-t", "wheel", "-d", str(built), cwd=source)
    if source != ROOT:
        shutil.rmtree(source)
    [wheel] = built.glob("*.whl")
    return wheel.rename(folder / wheel.name)


def _python(*arguments: str, cwd: Path = ROOT) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise UnavailableError(f"{' '.join(arguments[:3])} failed: {done.stderr[-1_000:]}")
