"""A command inside the test's own process: what it says and its exit code, without a second spent on its imports.

A process of its own is for what only that shows: signals, terminals, a death, memory. What a command prints, refuses and
does is the same here, as long as it keeps nothing of one run for the next: each run has its own environment, streams and
logger.
"""

import io
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

import structlog

from testing.worker import base_env
from worker.core.base import logs


class _Stream(io.TextIOWrapper):
    """Where a command writes; what was written is kept when the command closes it."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    @property
    def text(self) -> str:
        return self._bytes.getvalue().decode()


def run_in_process(main: Callable[[], None], env: Mapping[str, str], *args: str) -> "subprocess.CompletedProcess[str]":
    """What `main` does with these arguments in this environment, as `testing.worker.run_module` would return it."""
    out, err = _Stream(), _Stream()
    configured = structlog.get_config()
    with (
        patch.dict(os.environ, {**base_env(), "METRICS_PORT": "0", **env}, clear=True),
        patch.object(sys, "argv", [main.__module__, *args]),
        patch.object(sys, "stdin", io.StringIO()),
        patch.object(logs, "_log", None),  # the old one may be bound to an earlier run's stderr
        patch.object(logs, "_set_up", None),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            code = _exit_code(main)
        finally:
            structlog.configure(**configured)
    return subprocess.CompletedProcess(args, code, out.text, err.text)


def _exit_code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Exception:  # noqa: BLE001 (a bug is to be seen as it would be in a process)
        traceback.print_exc()
        return 1
    return 0
