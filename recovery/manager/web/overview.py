"""`/api/v1/overview`, `/api/v1/groups` and `/api/v1/stats`."""

import time

from fastapi import APIRouter

from recovery.manager.known_groups import groups_with_facts
from recovery.manager.web.overview_models import Group, Groups, Stats
from recovery.manager.web.parameters import Limit, Q, selected
from recovery.manager.web.principal import Reader
from recovery.manager.web.problems import documented
from recovery.manager.web.service import TheService
from recovery.manager.web.system_models import Overview

router = APIRouter(tags=["overview"])


@router.get("/api/v1/overview", responses=documented())
def get_overview(_reader: Reader, service: TheService) -> Overview:
    """Is anything wrong, and what do I do? In words, and with the facts: dead letters, workers, retry-index/, pause, alerts.

    What cannot be read within two seconds says since when it is unknown, and what it was last. Facts are a minute old at most.
    """
    return Overview.of(service.facts.read())


@router.get("/api/v1/groups", responses=documented(400))
def list_groups(_reader: Reader, service: TheService, q: Q = "", limit: Limit = 100) -> Groups:
    """The largest groups of dead letters with one cause, each with its facts and what earlier ones suggest to do."""
    found = groups_with_facts(service.ledger, selected(q), limit=limit)
    return Groups(items=[Group.of(one.group, one.facts, one.suggestion) for one in found])


@router.get("/api/v1/stats", responses=documented(400))
def get_stats(_reader: Reader, service: TheService) -> Stats:
    """How many dead letters there are, of what kind, since when."""
    return Stats.of(service.ledger.stats(), in_sqs=service.dlq_depth(), now_ms=time.time_ns() // 1_000_000)
