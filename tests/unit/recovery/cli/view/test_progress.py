"""The progress of a long command where there is no terminal: log lines, at most one in ten seconds."""

import pytest

from recovery.cli.view import progress
from recovery.cli.view.progress import LINE_EVERY_S, ProgressBar
from recovery.operations.progress import Progress


@pytest.fixture
def now(monkeypatch):
    class Time:
        seconds = 100.0

        def monotonic(self):
            return self.seconds

    time = Time()
    monkeypatch.setattr(progress, "time", time)
    return time


def test_a_line_gives_the_progress_and_the_number_done_per_second_since_the_start(now):
    lines = []
    first, second = Progress(25, counts={"recovered": 25}), Progress(100, total=400)
    with ProgressBar(None, lambda *line: lines.append(line)) as bar:
        now.seconds += LINE_EVERY_S
        bar.show(first)
        now.seconds += LINE_EVERY_S
        bar.show(second)
    assert lines == [(first, 2.5), (second, 5.0)]


def test_between_two_lines_are_ten_seconds(now):
    lines = []
    with ProgressBar(None, lambda *line: lines.append(line)) as bar:
        for _ in range(41):
            now.seconds += LINE_EVERY_S / 4
            bar.show(Progress(1))
    assert len(lines) == 10


def test_a_note_is_shown_at_once_and_escaped(capsys):
    with ProgressBar(None, lambda *_: pytest.fail("no line is due")) as bar:
        bar.show(Progress(0, note="the canary waits\x1b[31m"))
    assert "the canary waits" in (err := capsys.readouterr().err)
    assert "\x1b" not in err
