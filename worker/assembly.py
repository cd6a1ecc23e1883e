"""How the worker's components are put together: one function, to be read from top to bottom."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from worker.batcher import Batcher
from worker.brake import Brake
from worker.budgets import Budgets
from worker.byte_budget import MemoryBudget
from worker.consumer import Consumer
from worker.core.base import temporary
from worker.core.base.breaker import INDEX_BREAKER, Breaker
from worker.core.base.errors import BudgetError, IndexUnavailableError
from worker.core.base.retry import prepare_retries, release_delay_s
from worker.core.base.settings import Settings
from worker.core.clients import Clients, ensure_index, make_extractor
from worker.core.extract.extractor import Extractor
from worker.core.index import Index
from worker.core.indexing.pipeline import MAX_OBSERVATIONS, Pipeline
from worker.core.indexing.retry_store import RetryStore
from worker.core.sqs.in_flight import InFlightMessage, InFlightMessages
from worker.core.sqs.outcome import Release
from worker.core.sqs.queue import MAX_MESSAGE_BYTES
from worker.core.sqs.visibility import VisibilityExtender
from worker.handler import BODY_FACTOR, Handler
from worker.pause_gate import PauseGate
from worker.s3_health import S3Health
from worker.selfheal import SelfHeal
from worker.settlement import Settlement

INDEX_FAILURES = 2
"""Failed bulk requests in a row that open the breaker."""


@dataclass(frozen=True, slots=True)
class Components:
    """What a worker is made of."""

    clients: Clients
    gate: PauseGate
    brake: Brake
    budget: MemoryBudget
    index_breaker: Breaker
    s3_health: S3Health
    extractor: Extractor
    retry: RetryStore
    batcher: Batcher
    in_flight: InFlightMessages
    settlement: Settlement
    handler: Handler
    consumer: Consumer
    selfheal: SelfHeal
    budgets: Budgets | None
    """None where no cap is set: then nothing is counted, and nothing asked."""

    def close(self) -> None:
        """Release threads, children and connections."""
        self.index_breaker.stop()
        self.s3_health.close()
        self.batcher.close()
        self.extractor.close()
        self.retry.close()
        self.clients.index.close()


def assemble(
    settings: Settings, clients: Clients, *, dlq_max_bytes: int, stuck: Callable[[InFlightMessage], None]
) -> Components:
    """Put the worker together; `stuck` hears of a message whose work hangs."""
    prepare_retries()
    gate, budget = PauseGate(), MemoryBudget(settings.max_bytes_in_flight)
    s3_health = S3Health(clients.objects, gate, ask_state=clients.state.pause_record)
    brake = Brake(settings, clients.state, gate, now_ms=clients.objects.clock.now_ms)
    extractor = make_extractor(settings)
    retry = RetryStore(clients.state)
    breaker = index_breaker(clients.index, interval_s=settings.index_probe_s)
    batcher = make_batcher(settings, clients, retry, breaker)
    in_flight = InFlightMessages(
        VisibilityExtender(clients.source, visibility_s=settings.sqs_visibility_timeout),
        stuck_after_s=stuck_after_s(settings),
        give_up=lambda item: item.release(unstarted(item, gate, "held back to its deadline")),
        stuck=stuck,
    )
    settlement = Settlement(
        source=clients.source, dlq=clients.dlq, state=clients.state, in_flight=in_flight, worker=settings.worker_name,
        dlq_max_bytes=min(dlq_max_bytes, MAX_MESSAGE_BYTES), judge=brake.judge,
    )  # fmt: skip
    budgets = Budgets(settings, clients, gate) if settings.budget_caps else None
    pipeline = Pipeline(settings, clients.objects, extractor=extractor, meter=budgets)

    def hold(bucket: str, key: str, spent: BudgetError) -> None:
        retry.hold(bucket, key, clients.objects.clock.now_ms(), scope=spent.scope, reason=str(spent))

    handler = Handler(
        pipeline=pipeline,
        batcher=batcher,
        s3_health=s3_health,
        gate=gate,
        budget=budget,
        hold=hold,
        default_bucket=settings.s3_bucket,
        spool_bytes=settings.spool_bytes,
        slow_threads=settings.extract_processes + 1,
    )
    consumer = Consumer(
        queue=clients.source,
        in_flight=in_flight,
        gate=gate,
        deliver=handler.deliver,
        settle=settlement.settle,
        visibility_s=settings.sqs_visibility_timeout,
        deadline_s=settings.message_deadline_s,
        long_poll_s=settings.long_poll_s,
        max_in_flight=settings.max_in_flight,
        max_body_bytes=settings.max_bytes_in_flight // BODY_FACTOR,
    )
    selfheal = SelfHeal(settings, clients, pipeline=pipeline, retry=retry, breaker=breaker, gate=gate, budgets=budgets)
    return Components(
        clients=clients, gate=gate, brake=brake, budget=budget, index_breaker=breaker, s3_health=s3_health,
        extractor=extractor, retry=retry, batcher=batcher, in_flight=in_flight, settlement=settlement, handler=handler,
        consumer=consumer, selfheal=selfheal, budgets=budgets,
    )  # fmt: skip


def stuck_after_s(settings: Settings) -> float:
    """Seconds without progress after which a step of the work on a message hangs.

    The slowest one that does not hang parses a file, which changes meanwhile, as often as it may; and each time, others are
    ahead of it at the parsers.
    """
    return settings.message_deadline_s + 2 * MAX_OBSERVATIONS * settings.extract_timeout_s


def unstarted(item: InFlightMessage, gate: PauseGate, why: str) -> Release:
    """The outcome of a message that nobody has begun to work on: it goes back at once, unless everything is held back."""
    return Release(0 if gate.is_open else release_delay_s(item.message.receives), why)


def make_batcher(settings: Settings, clients: Clients, retry: RetryStore, breaker: Breaker) -> Batcher:
    """What collects documents into bulk requests."""
    return Batcher(
        clients.index,
        retry,
        breaker=breaker,
        clock=clients.objects.clock,
        documents=settings.bulk_documents,
        size_bytes=settings.bulk_bytes,
        wait_s=settings.bulk_wait_ms / 1000,
        throttle=clients.aws.throttles.index,
    )


def index_breaker(index: Index, *, interval_s: float) -> Breaker:
    """The breaker in front of the index. Its probe also ensures that template, index and alias exist."""

    def probe() -> None:
        index.ping()
        ensure_index(index)

    return Breaker(INDEX_BREAKER, failures=INDEX_FAILURES, probe=probe, interval_s=interval_s)


def open_the_index(components: Components) -> None:
    """Make the index ready, or open its breaker where it is unavailable: documents are then stored for retry."""
    try:
        ensure_index(components.clients.index)
    except IndexUnavailableError as error:
        components.index_breaker.open(error)


def tidy_temp_dir(settings: Settings) -> None:
    """Remove what a killed worker left behind: spooled objects and folders of its children, of no living process."""
    for leftover in settings.temp_dir.glob(temporary.LEFT_BEHIND):
        pid = leftover.name.split("-")[1]
        if not pid.isdigit() or leftover.is_symlink() or _is_alive(int(pid)):
            continue
        if leftover.is_dir():
            temporary.remove_folder(leftover)
        else:
            with contextlib.suppress(OSError):
                leftover.unlink()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
