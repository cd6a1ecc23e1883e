"""All that match a filter: how many they are, as of which moment, and the filter of a plan of just these."""

from dataclasses import dataclass, replace

from recovery.ledger.pages import Sort
from recovery.ledger.selection import Selection, instant, term
from recovery.ledger.statistics import COUNTED_TO
from recovery.manager.known_groups import moment_of
from recovery.manager.web.service import Service


@dataclass(frozen=True, slots=True)
class Matching:
    """Those that had come by a moment."""

    query: str
    """For a plan of them: what joins later is not among them."""
    count: int
    """How many they are, up to COUNTED_TO."""
    is_exact: bool
    """False where there are more than were counted."""
    as_of_ms: int


def matching(service: Service, query: str, selection: Selection) -> Matching:
    """All of a query, whose selection this is; it may say a moment itself. Raises LedgerError."""
    now_ms, as_of_ms = service.verbs.world.clients.objects.clock.now_ms(), selection.seen_until_ms
    if as_of_ms is None:
        latest = service.ledger.page(selection, sort=Sort.LAST_SEEN, limit=1).rows
        as_of_ms = moment_of(latest[0].last_seen_ms if latest else 0, now_ms)
        query = f"{query} {term('until', instant(as_of_ms))}".strip()
    count = service.ledger.count(replace(selection, seen_until_ms=as_of_ms))
    return Matching(query, min(count, COUNTED_TO), count <= COUNTED_TO, as_of_ms)
