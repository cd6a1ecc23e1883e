"""How much work a test does: less in `make test`, all of it in `make chaos`, which sets FULL_SIZE."""

import os


def sized(full: int, *, usual: int) -> int:
    """The full count where FULL_SIZE is set, else the usual one, with which the test shows the same in less time."""
    return full if os.environ.get("FULL_SIZE") else usual
