"""All that match a filter: how many they are, as of which moment, and the filter of a plan of just these."""

from dataclasses import dataclass, replace

from recovery.ledger.pages import Sort
from recovery.ledger.selection import Selection, instant, term
from recovery.ledger.statistics import COUNTED_TO
from recovery.manager.known_groups import moment_of
from recovery.manager.web.service import Service


@dataclass(frozen=True, slots=True)
class Matching:
    """Those that are seen now, or that had come by a moment which the filter says itself."""

    query: str
    """For a plan of them: what joins later is not among them."""
    count: int
    """How many they are, up to COUNTED_TO."""
    is_exact: bool
    """False where there are more than were counted."""
    as_of_ms: int
    """When they were counted, or the moment that the filter says itself."""


def matching(service: Service, query: str, selection: Selection) -> Matching:
    """All of a query, whose selection this is; it may say a moment itself. Raises LedgerError."""
    as_of_ms = until_ms = selection.seen_until_ms
    if as_of_ms is None or until_ms is None:
        as_of_ms = service.verbs.world.clients.objects.clock.now_ms()
        latest = service.ledger.page(selection, sort=Sort.LAST_SEEN, limit=1).rows
        until_ms = moment_of(latest[0].last_seen_ms if latest else 0, as_of_ms)
        query = f"{query} {term('until', instant(until_ms))}".strip()
    count = service.ledger.count(replace(selection, seen_until_ms=until_ms))
    return Matching(query, min(count, COUNTED_TO), count <= COUNTED_TO, as_of_ms)
