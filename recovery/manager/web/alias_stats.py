"""`/dlq/stats`, `/dlq/errors/grouped` and `/api/queue/dlq/…`: figures under the paths that such tools have had."""

import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from recovery.ledger.groups import MAX_GROUPS, Group
from recovery.ledger.ledger import Ledger
from recovery.ledger.pages import MAX_LIMIT
from recovery.ledger.rows import State
from recovery.ledger.selection import Selection
from recovery.manager.web.alias_models import ErrorGroup, Failed, FailedJob, FailedJobs, FailedQueueStats, FailedStats
from recovery.manager.web.principal import Reader
from recovery.manager.web.problems import documented
from recovery.manager.web.service import TheService
from worker.core.base.classify import FailureKind

router = APIRouter(tags=["aliases"])
_ANY_NUMBER = 2**62


@router.get("/dlq/stats", responses=documented(400))
def alias_get_stats(_reader: Reader, service: TheService) -> FailedStats:
    """Alias of `/api/v1/stats`."""
    stats, in_sqs = service.ledger.stats(), service.dlq_depth() or 0
    return FailedStats.of(
        stats, in_sqs=in_sqs, for_review=_for_review(service.ledger), now_ms=time.time_ns() // 1_000_000
    )


def _for_review(ledger: Ledger) -> int:
    """How many are open of which nobody knows why they failed; the ledger keeps such numbers, and counts nothing."""
    return ledger.count(Selection(states=(State.OPEN,), kind=FailureKind.UNKNOWN), at_most=_ANY_NUMBER)


@router.get("/dlq/errors/grouped", responses=documented(400))
def alias_list_error_groups(_reader: Reader, service: TheService) -> list[ErrorGroup]:
    """Alias of `/api/v1/groups`, by error type alone: the most frequent first, of the 1,000 largest groups."""
    by_error_type: dict[str, list[Group]] = {}
    for group in service.ledger.groups(Selection(), limit=MAX_GROUPS):
        by_error_type.setdefault(group.error_type, []).append(group)
    return _largest_first(list(by_error_type.values()))


def _largest_first(groups: Sequence[Sequence[Group]]) -> list[ErrorGroup]:
    return sorted((ErrorGroup.of(one) for one in groups), key=lambda one: (-one.count, one.error_type))


@router.get("/api/queue/dlq/stats", responses=documented(400))
def alias_get_queue_stats(_reader: Reader, service: TheService) -> FailedQueueStats:
    """Alias of `/api/v1/stats`, with how far recovery is."""
    return FailedQueueStats(dlq=Failed.of(service.ledger.stats(), in_sqs=service.dlq_depth() or 0))


@router.get("/api/queue/dlq/failures", responses=documented(400))
def alias_list_failures(
    _reader: Reader,
    service: TheService,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="The maximum number of results.", examples=[20])] = 20,
) -> FailedJobs:
    """Alias of `/api/v1/messages`: the latest failures that wait."""
    failures = [FailedJob.of(row) for row in service.ledger.page(Selection(), limit=limit).rows]
    return FailedJobs(failures=failures, count=len(failures))
