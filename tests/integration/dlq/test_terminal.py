"""`dlq` on a terminal, and its reaction to signals, in separate processes."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from testing.site import Site
from testing.waiting import wait_until
from testing.worker import base_env
from tests.integration.dlq.verbs import MODULE, about, ask, depth
from tests.support.signals import ENDINGS


class Terminal:
    """A verb on a terminal: reads its output and types input."""

    def __init__(self, site: Site, *args: str, columns: int = 120) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (50, columns))
        env = {**base_env(), **site.env, "TERM": "xterm", "COLUMNS": str(columns)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", MODULE, *args], env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )  # fmt: skip
        os.close(slave)
        self.seen = ""

    @property
    def text(self) -> str:
        """What was shown, without escape sequences."""
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", self.seen).replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + 30
        while text not in self.seen and time.monotonic() < until:
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:  # the other end is closed
                    break
        assert text in self.seen, self.seen

    def type(self, line: str) -> None:
        os.write(self.master, f"{line}\n".encode())

    def end(self) -> int:
        until = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < until:
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    break
        code = self.process.wait(5)
        os.close(self.master)
        return code


def test_the_prompt_shows_both_queues_and_waits_for_an_answer(site):
    for n in range(3):
        about(site, f"{n}.txt")
    terminal = Terminal(site, "redrive-all", "--all")
    terminal.wait_for("Go on?")
    shown = terminal.seen.replace("\r\n", "")
    assert site.queues.dlq in shown
    assert site.queues.source in shown
    terminal.type("n")
    assert terminal.end() == 3
    assert depth(site) == (3, 0)
    terminal = Terminal(site, "redrive-all", "--all")
    terminal.wait_for("Go on?")
    terminal.type("y")
    assert terminal.end() == 0
    assert site.depth()[0] == 3


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_signal_at_the_prompt_releases_all_messages(site, number, code):
    for n in range(3):
        about(site, f"{n}.txt")
    terminal = Terminal(site, "redrive-all", "--all")
    terminal.wait_for("Go on?")
    terminal.process.send_signal(number)
    assert terminal.end() == code
    assert depth(site) == (3, 0)


def test_a_purge_asks_for_the_name_of_the_queue(site, tmp_path):
    for n in range(3):
        about(site, f"{n}.txt")
    name = site.queues.dlq.rsplit("/", 1)[-1]
    terminal = Terminal(site, "purge", "--backup", str(tmp_path / "all.jsonl"))
    terminal.wait_for("Type the queue's name")
    terminal.type("yes")
    assert terminal.end() == 64
    assert depth(site) == (3, 0)
    terminal = Terminal(site, "purge", "--backup", str(tmp_path / "all.jsonl"))
    terminal.wait_for("Type the queue's name")
    terminal.type(name)
    assert terminal.end() == 0
    assert depth(site) == (0, 0)


def test_the_menu_runs_verbs_and_shows_their_commands(site):
    name = about(site, "a.txt")
    terminal = Terminal(site, "interactive")
    terminal.wait_for("Which?")
    terminal.type("3")
    terminal.wait_for("empty: all")
    terminal.type("")
    terminal.wait_for("$ dlq list")
    terminal.wait_for("saw 1 of about 1")
    terminal.type("99")
    terminal.wait_for("it must be 1 to")
    terminal.type("6")
    terminal.wait_for("Message id, or its first 6 characters:")
    terminal.type(name[:8])
    terminal.wait_for(f"$ dlq redrive {name[:8]}")
    terminal.wait_for("1 sent to")
    terminal.type("q")
    assert terminal.end() == 0
    assert (depth(site), site.depth()[0]) == ((0, 0), 1)


def test_messages_are_picked_from_a_list_without_an_id(site):
    long = f"帳票/{'見積書' * 40}.pdf"
    for key in ("契約/一.txt", "契約/二.txt", long):
        about(site, key, error_type="OSError" if key == long else "TimeoutError")
    terminal = Terminal(site, "pick", columns=60)
    terminal.wait_for("Which?")
    assert terminal.text.count("TimeoutError, ") == 2
    assert f"{site.bucket}/{long}" in terminal.text.replace("\n", ""), "a key is never cut"
    terminal.type("9")
    terminal.wait_for("rows are 1 to 3")
    terminal.type("契約")
    terminal.wait_for("2 with '契約'")
    terminal.type("１ー２")  # as a Japanese keyboard has them
    terminal.wait_for("What to do with 2 messages?")
    terminal.type("r")
    terminal.wait_for("redrive 2 messages? [y/N]")
    terminal.type("y")
    terminal.wait_for("2 sent to")
    terminal.wait_for("saw 1 of about 1")
    terminal.type("all")
    terminal.wait_for("What to do with 1 message?")
    terminal.type("a")
    terminal.wait_for("Why:")
    terminal.type("見本")
    terminal.wait_for("abandon 1 message? [y/N]")
    terminal.type("n")
    terminal.wait_for("nothing was done")
    terminal.type("q")
    assert terminal.end() == 0
    assert (depth(site), site.depth()[0]) == ((1, 0), 2)


@pytest.mark.parametrize(
    "answers",
    [
        [("all", "What to do with")],
        [("all", "What to do with"), ("d", "Why:")],
        [("all", "What to do with"), ("r", "redrive 1 message? [y/N]")],
    ],
)
def test_q_ends_a_list_at_every_question_and_its_rows_have_short_ids(site, answers):
    about(site, "a.txt")
    terminal = Terminal(site, "pick")
    terminal.wait_for("Which?")
    assert re.search(r"old, [0-9a-f]{8}\s", terminal.text)
    for answer, question in answers:
        terminal.type(answer)
        terminal.wait_for(question)
    terminal.type("q")
    assert terminal.end() == 0
    assert "nothing was done" not in terminal.text
    assert depth(site) == (1, 0)


@pytest.mark.parametrize("ending", ["Ctrl-C", "Ctrl-D"])
def test_a_list_is_left_by_ctrl_c_and_ctrl_d(site, ending):
    about(site, "a.txt")
    terminal = Terminal(site, "pick")
    terminal.wait_for("Which?")
    if ending == "Ctrl-C":
        terminal.process.send_signal(signal.SIGINT)
    else:
        os.write(terminal.master, b"\x04")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.seen
    assert depth(site) == (1, 0)


def test_watch_draws_over_what_it_has_drawn_until_ctrl_c(site):
    about(site, "a.txt")
    terminal = Terminal(site, "watch", "--interval", "2")
    terminal.wait_for("1 visible")
    about(site, "b.txt")
    terminal.wait_for("2 visible")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert terminal.seen.count("\x1b[?1049h") == terminal.seen.count("\x1b[?1049l") == 1
    assert "\x1b[2J" not in terminal.seen, "nothing is cleared before it is drawn, which would flicker"
    assert terminal.seen.count("\x1b[H") >= 2
    assert depth(site) == (2, 0)


@pytest.mark.parametrize(("number", "code"), ENDINGS)
def test_a_signal_lets_a_redrive_finish_its_batch_and_keeps_the_rest(site, number, code):
    for n in range(60):
        about(site, f"{n}.txt")
    command = [sys.executable, "-m", MODULE, "redrive-all", "--all", "--yes", "--rate", "5", "--json"]
    process = subprocess.Popen(
        command, env={**base_env(), **site.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    wait_until(lambda: site.depth()[0] >= 5, 30, "some messages sent")
    holders = ask(site, "stats")["holders"]
    assert [one["command"] for one in holders if one["pid"] == process.pid] == ["dlq redrive-all"]
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    figures = json.loads(out)
    assert len(figures["sent"]) + len(figures["kept"]) == 60
    assert (depth(site), site.depth()[0]) == ((len(figures["kept"]), 0), len(figures["sent"]))
    assert len(site.state_keys("s3-index-worker/audit/")) == 1


def test_a_signal_during_a_list_releases_all_messages(site, tmp_path: Path):
    for start in range(0, 300, 10):
        entries: Any = [{"Id": str(n), "MessageBody": f"noise {start + n}"} for n in range(10)]
        site.sqs.send_message_batch(QueueUrl=site.queues.dlq, Entries=entries)
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, "list"], env={**base_env(), **site.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )  # fmt: skip
    wait_until(lambda: depth(site)[1] > 0, 30, "messages in flight")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode in {130, 0}, err
    assert depth(site) == (300, 0)
