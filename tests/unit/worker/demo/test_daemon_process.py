"""The demo's daemon: whatever ends the demo, it does not stay behind."""

import signal
import subprocess
import sys

import pytest

from worker import demo
from worker.demo import processes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_the_daemon_is_being_started_leaves_no_process(tmp_path, monkeypatch, number):
    started = []

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *_args, **_options):
            super().__init__([sys.executable, "-c", "import time; time.sleep(60)"])
            started.append(self)
            signal.raise_signal(number)

    monkeypatch.setattr("worker.demo.processes.subprocess.Popen", Interrupted)
    with (
        pytest.raises(SystemExit) as ended,
        processes.ended_by_signals(),
        demo._running(tmp_path / "worker.log"),
    ):
        pytest.fail("the signal has no effect")
    assert ended.value.code == 128 + number
    assert started[0].poll() is not None
