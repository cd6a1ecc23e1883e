from structlog.testing import capture_logs

from worker.core.base import logs
from worker.core.base.events import LogEvent


def test_an_observer_that_raises_is_logged_and_stops_neither_the_line_nor_the_work():
    heard = []

    def broken(event, fields):
        raise KeyError("outcome")

    ends = [logs.observe(broken), logs.observe(lambda event, fields: heard.append(event))]
    try:
        with capture_logs() as lines:
            logs.emit(LogEvent.WORKER_STOPPED, left=0)
    finally:
        for end in ends:
            end()
    failed, line = lines
    assert (failed["event"], failed["observed"]) == (LogEvent.OBSERVER_FAILED, LogEvent.WORKER_STOPPED)
    assert (line["event"], line["left"]) == (LogEvent.WORKER_STOPPED, 0)
    assert heard == [LogEvent.WORKER_STOPPED]
