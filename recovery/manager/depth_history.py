"""How many dead letters waited, by the hour, for two weeks. Whoever does the upkeep notes it; the last number of an hour stays."""

from collections.abc import Mapping

import orjson

from recovery.ledger.intake import HOUR_MS
from recovery.ledger.ledger import Ledger
from recovery.ledger.statistics import HOURS

MARK = "depths"
"""Under this name, the ledger has a list of (hour since the epoch, depth), 5 KB at most."""
Depths = Mapping[int, int]
"""By hour since the epoch. Hours in which no manager ran are not there."""


def depths(ledger: Ledger) -> Depths:
    """What was noted. Raises LedgerError."""
    try:
        return {int(hour): int(depth) for hour, depth in orjson.loads(ledger.get_mark(MARK) or b"[]")}
    except (ValueError, TypeError):
        return {}


def note_depth(ledger: Ledger, depth: int, now_ms: int) -> None:
    """Note that so many wait now, and forget what is older than two weeks. Raises LedgerError."""
    hour = now_ms // HOUR_MS
    kept = {at: count for at, count in depths(ledger).items() if hour - HOURS < at < hour}
    ledger.set_mark(MARK, orjson.dumps(sorted({**kept, hour: depth}.items())).decode())
