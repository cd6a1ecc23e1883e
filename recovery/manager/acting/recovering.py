"""`recover`: do the work of dead letters now, and confirm it, with the engine of `recover_dlq`."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

from recovery.ledger.operation_items import Result
from recovery.ledger.rows import Row, State
from recovery.manager.acting.acts import Act, Acted, Options, World, claiming, not_acted, read_records
from recovery.operations.abort_policy import AbortPolicy
from recovery.operations.clients import attributes_of, retention_of
from recovery.operations.engine import Disposition, RecoveryEngine, Verdict
from recovery.operations.records.archive import Archive
from recovery.operations.recovering.disposer import ARCHIVED, Disposer
from recovery.operations.recovering.preconditions import check_state_and_index, make_ready
from recovery.operations.transfer.targets import refuse_while_paused
from worker.core.audit import Run
from worker.core.base.settings import Settings
from worker.core.clients import Clients, make_extractor
from worker.core.indexing.pipeline import Pipeline
from worker.core.indexing.retry_store import RetryStore

OBSERVERS = 10


@contextmanager
def recovering(
    world: World, settings: Settings, connect: Callable[[], Clients], run: Run, options: Options, stop: threading.Event
) -> Iterator[Act]:
    """The verb, with what it needs. Raises WorkerError if it must not begin; so does a batch, before it has done anything."""
    refuse_while_paused(world.state, while_paused=bool(options.get("while_paused")))
    clients = connect()
    with ExitStack() as stack:
        stack.callback(clients.index.close)
        check_state_and_index(settings, clients)
        make_ready(clients, dry_run=False)
        retention_s = retention_of(attributes_of(clients.dlq, called="DLQ_QUEUE_URL"))
        extractor = stack.enter_context(closing(make_extractor(settings)))
        retry = stack.enter_context(closing(RetryStore(world.state)))
        pool = stack.enter_context(ThreadPoolExecutor(OBSERVERS, thread_name_prefix="observe"))
        engine = RecoveryEngine(
            settings, clients, pipeline=Pipeline(settings, clients.objects, extractor=extractor), retry=retry, pool=pool,
            types=world.clients.types, stopping=stop, dry_run=False,
            archive_system_errors=bool(options.get("archive_system_errors")),
        )  # fmt: skip
        archive = Archive(world.state, world.clients.dlq.url, run.by, run.name)
        policy = AbortPolicy(
            accept_gone=bool(options.get("accept_gone")), accept_skipped=bool(options.get("accept_skipped"))
        )

        def act(rows: Sequence[Row]) -> list[Acted]:
            refuse_while_paused(world.state, while_paused=bool(options.get("while_paused")))
            records = read_records(world, rows)
            stored = [found.dead_letter for found in records.values() if found is not None]
            with claiming(world, run) as claims:
                refused = claims.take(stored)
                verdicts = engine.examine([one for one in stored if one.id not in refused])
                policy.add(verdicts)
                final, left = Disposer(claims, archive, pool, retention_s=retention_s).settle(verdicts)
            by_id = {verdict.dead_letter.id: verdict for verdict in final}
            acted = {row.identity: _settled(row, by_id[row.identity]) for row in rows if row.identity in by_id}
            acted |= {
                row.identity: Acted(row, Result.WAITING, left[row.identity]) for row in rows if row.identity in left
            }
            return [acted.get(row.identity) or not_acted(row, refused, records) for row in rows]

        yield act


def _settled(row: Row, verdict: Verdict) -> Acted:
    why = ": ".join(filter(None, (verdict.disposition.value, verdict.reason)))
    if verdict.disposition is Disposition.KEPT:
        return Acted(row, Result.FAILED if verdict.is_final else Result.WAITING, why)
    state = State.ARCHIVED if verdict.disposition in ARCHIVED else State.RECOVERED
    return Acted(row, Result.DONE, why, {"state": state, "retry_at_ms": None, "retry_by": None})
