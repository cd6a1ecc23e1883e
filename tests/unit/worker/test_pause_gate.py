"""The gate holds work back for named reasons."""

import threading
import time

from worker.pause_gate import PauseGate


def test_the_gate_opens_when_its_last_reason_is_gone():
    gate, stop = PauseGate(), threading.Event()
    gate.shut("paused", "upgrade")
    gate.shut("s3", "S3 does not answer")
    assert not gate.wait_open(time.monotonic() + 0.01, stop)
    gate.clear("paused")
    assert gate.reasons == {"s3": "S3 does not answer"}
    threading.Timer(0.05, gate.clear, ["s3"]).start()
    assert gate.wait_open(time.monotonic() + 5, stop)


# -- all messages in flight --------------------------------------------------------------------------------------
