"""The lock files: `python -m tools.lock --write` generates them with uv, `--check` checks that they are up to date.

With `--write --keep`, what is already pinned stays as it is, as far as pyproject.toml allows.

requirements.lock contains the packages of the worker, requirements-manager.lock those of the worker and the manager,
requirements-inventory.lock those of the worker and of `backfill_index` for inventories in Parquet or ORC;
requirements-dev.lock adds those of the demo, tests and checks. All four pin the same versions.
Each begins with a fingerprint of the dependencies in pyproject.toml, so that a change of these that is not locked is
found without querying a registry.
"""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEV, RUN, MANAGER = "requirements-dev.lock", "requirements.lock", "requirements-manager.lock"
INVENTORY = "requirements-inventory.lock"
OPTIONS = {
    DEV: ("--all-extras",),
    RUN: ("-c", DEV),
    MANAGER: ("-c", DEV, "--extra", "manager"),
    INVENTORY: ("-c", DEV, "--extra", "inventory"),
}
"""What `uv pip compile` is told for each lock; the first pins the versions that the others take."""
_COMPILE = (
    "uv", "pip", "compile", "-q", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header",
    "--no-annotate", "pyproject.toml",
)  # fmt: skip
_ADDRESS = re.compile(r"https?://|--(?:extra-)?index-url|--find-links| @ ")


def main() -> int:
    """Write or check the locks. Print each fault on stderr; return their number."""
    if "--write" in sys.argv[1:]:
        write(ROOT, keep="--keep" in sys.argv[1:])
    faults = check(ROOT)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    return len(faults)


def write(root: Path, *, keep: bool = False) -> None:
    """Pin the newest versions that pyproject.toml allows, or with `keep` only of what is not pinned yet."""
    for name, options in OPTIONS.items():
        command = [sys.executable, "-m", *_COMPILE, *options, "-o", name]
        if not keep:
            (root / name).unlink(missing_ok=True)
        subprocess.run(command, cwd=root, check=True)  # noqa: S603 (a fixed command)
        lock = root / name
        lock.write_text(f"{_first_line(root)}\n{lock.read_text()}")


def check(root: Path) -> list[str]:
    """The faults of the locks, one sentence each."""
    faults = []
    for name in OPTIONS:
        lines = (root / name).read_text().splitlines()
        if not lines or lines[0] != _first_line(root):
            faults.append(f"{name} was made from other dependencies than those in pyproject.toml: run make lock")
        if any(_ADDRESS.search(line) for line in lines):
            faults.append(f"{name} names an address; it must not determine the registry")
    others = [name for name in (RUN, MANAGER, INVENTORY) if not _pins(root / name) <= _pins(root / DEV)]
    return faults + [f"{name} pins other versions than {DEV}: run make lock" for name in others]


def _first_line(root: Path) -> str:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = [project["requires-python"], project["dependencies"], project["optional-dependencies"]]
    return f"# made by `make lock` from dependencies {hashlib.sha256(json.dumps(wanted).encode()).hexdigest()[:16]}"


def _pins(lock: Path) -> set[str]:
    """`name==version` of every pin, without hashes and markers."""
    return set(re.findall(r"^[\w.\[\],-]+==[^\s;\\]+", lock.read_text(), re.MULTILINE))


if __name__ == "__main__":
    sys.exit(main())
