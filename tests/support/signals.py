"""The signals that ask a command to end."""

import signal

import pytest

ENDINGS = [pytest.param(signal.SIGINT, 130, marks=pytest.mark.extended), (signal.SIGTERM, 143)]
"""Each with the exit code that it leads to. Both take one way through the code, so one of them is enough for `make test`."""
