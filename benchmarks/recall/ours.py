"""The worker's own reading, by `reader.py` in a process of its own, of this checkout or of another one."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.measure import cpu

ROOT = Path(__file__).resolve().parents[2]
READER = Path(__file__).with_name("reader.py")


class NoReaderError(Exception):
    """Raised when the reader of a checkout cannot be started, or died."""


@dataclass(frozen=True, slots=True)
class Ours:
    """What the worker read in a file."""

    status: str
    error: str | None
    texts: list[str] = field(default_factory=list)
    """The content, the title and the author, in each of which a phrase is searched for."""
    wall_s: float = 0.0


class Reader:
    """A process that reads files with the worker of a checkout."""

    def __init__(self, checkout: Path = ROOT) -> None:
        """Use the checkout's own .venv; for this one, the running interpreter."""
        python = checkout / ".venv/bin/python"
        if not (checkout / "worker/core/extract").is_dir():
            raise NoReaderError(f"{checkout} is not a checkout of s3-index-worker")
        if checkout != ROOT and not python.exists():
            raise NoReaderError(f"{checkout} has no .venv: make {checkout}/.venv/.installed there first")
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self._process = subprocess.Popen(
            [sys.executable if checkout == ROOT else str(python), "-P", str(READER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**os.environ, "PYTHONPATH": str(checkout)},
        )

    def read(self, path: Path) -> Ours:
        """Read a file. Raises NoReaderError."""
        if self._process.stdin is None or self._process.stdout is None:
            raise NoReaderError("the reader has no pipes")
        began = time.perf_counter()
        try:
            self._process.stdin.write(json.dumps(str(path)).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
            return Ours(**json.loads(answer), wall_s=time.perf_counter() - began)
        except (OSError, ValueError) as error:
            self._process.kill()
            self._process.wait()
            self._words.seek(0)
            raise NoReaderError(f"the reader died at {path}: {self._words.read().decode()[-1500:]}") from error

    def cpu_s(self) -> float:
        """CPU time of it and its children so far, in seconds."""
        return cpu(self._process.pid).total_s

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._words.close()
