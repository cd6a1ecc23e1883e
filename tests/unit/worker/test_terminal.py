"""What all commands share."""

import getpass
import os

from worker.terminal import operator


def test_a_user_without_a_name_is_told_by_number(monkeypatch):
    def nameless():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert operator() == f"{os.getuid()}@{os.uname().nodename}"
