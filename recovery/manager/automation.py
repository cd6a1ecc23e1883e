"""What the manager does by itself, each on a thread of its own: retries, confirmation, diagnosis, notifications."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Protocol

from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Row
from recovery.manager import confirmation, diagnosis, retries
from recovery.manager.assembly import Parts, open_own_index
from recovery.manager.confirmation import ConfirmationParts, Confirmer
from recovery.manager.diagnosis import Diagnosis
from recovery.manager.fleet_health import FleetHealth
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.notices import notices as notices_
from recovery.manager.notices.notices import Notices
from recovery.manager.retries import Retries, RetryParts
from recovery.manager.retry_targets import RetryTargets
from recovery.manager.settings import ManagerSettings
from recovery.manager.turns import Beat, Turns
from recovery.operations.recovering.outlook import Examiner, dry_engine
from worker.core.base.errors import IndexUnavailableError
from worker.core.base.liveness import Liveness
from worker.core.clients import Clients
from worker.core.index import Index
from worker.core.index.open import name_of
from worker.core.s3.reindexing import ReindexWatch
from worker.core.sqs.queue import Queue, SqsQueue

CONFIRMATION_REST_SHARE = 10.0
"""Of a turn's length: most of what was sent long ago has no news."""


class Start(Protocol):
    """Starts a thread that is watched."""

    def __call__(self, name: str, loop: Callable[[Liveness], None], *, max_silence_s: float) -> object:
        """As Supervisor.start."""


class Automation:
    """The automation of one manager."""

    def __init__(
        self, settings: ManagerSettings, parts: Parts, ledger: Ledger, metrics: ManagerMetrics, *, holder: str, by: str,
        notices: Notices | None, refresh: Callable[[Sequence[Row]], object], stop: threading.Event,
    ) -> None:  # fmt: skip
        """`holder` and `by` name this process, and who acts. Raises ConfigError if the index cannot be opened as it is set.

        `notices`: what notifies; None if nobody is to be notified. `refresh` brings rows to what their records say.
        """
        self._parts = parts
        self._index = open_own_index(settings, parts)
        clock = parts.clients.objects.clock
        targets = RetryTargets(parts.clients, settings.sqs_queue_url, self._queue_at)
        self.retries = Retries(
            RetryParts(
                clients=parts.clients, state=parts.state, ledger=ledger, rows=parts.rows, targets=targets,
                health=FleetHealth(parts.state, clock), metrics=metrics, rate=settings.retry_rate, by=by,
                notifies=notices is not None, stop=stop,
            ),
            refresh=refresh,
        )  # fmt: skip
        self._confirmer = Confirmer(
            ConfirmationParts(
                settings=settings, rows=parts.rows, objects=parts.clients.objects, state=parts.state, ledger=ledger,
                index=self._index, queue_at=self._queue_at, refresh=refresh, keep_days=settings.ledger_keep_days, by=by, stop=stop,
            )
        )  # fmt: skip
        self.engine = None if self._index is None else partial(self._dry_engine, settings, self._index, stop)
        self._diagnosis = Diagnosis(ledger, parts.state, parts.rows, self.engine, now_ms=clock.now_ms, by=by, stop=stop)

        def turns(name: str, turn: Callable[[Beat], None], every_s: float, **more: float) -> Turns:
            return Turns(name, turn, ledger, holder=holder, every_s=every_s, stop=stop, **more)

        self._turns = {
            "retries": turns(retries.LEASE, self.retries.turn, retries.TURN_S),
            "confirmation": turns(
                confirmation.LEASE, self._confirmer.turn, confirmation.TURN_S,
                rest_share=CONFIRMATION_REST_SHARE,
            ),
            "diagnosis": turns(diagnosis.LEASE, self._diagnosis.turn, diagnosis.TURN_S, max_silence_s=diagnosis.MAX_SILENCE_S),
        }  # fmt: skip
        if notices is not None:
            self._turns["notifications"] = turns(notices_.LEASE, notices.turn, notices_.TURN_S)

    def start(self, start: Start) -> None:
        """Start every thread."""
        for name, one in self._turns.items():
            start(name, one.run, max_silence_s=one.max_silence_s)

    def close(self) -> None:
        """Close the connections to the index."""
        if self._index is not None:
            with suppress(IndexUnavailableError):
                self._index.close()

    @property
    def index(self) -> Index | None:
        """The index; None if none is set. Closed by `close`."""
        return self._index

    @property
    def problems(self) -> list[str]:
        """What keeps it from its work, in sentences."""
        return [f"{name}: {one.problem}" for name, one in self._turns.items() if one.problem]

    def facts(self) -> dict[str, object]:
        """What `/health` says of it."""
        return {
            "index": None if self._index is None else self._index.description,
            "retries": {"waiting": self.retries.waiting, "waiting_for": self.retries.waiting_for or None},
            "notes": [text for text in (self._confirmer.missing, self._diagnosis.missing) if text],
        }

    def _queue_at(self, url: str) -> Queue:
        return SqsQueue(self._parts.aws.sqs(url), url)

    def _dry_engine(self, settings: ManagerSettings, index: Index, stop: threading.Event, stack: ExitStack) -> Examiner:
        parts = self._parts
        source = self._queue_at(settings.sqs_queue_url)
        watch = ReindexWatch(parts.state, name_of(settings))
        clients = Clients(parts.aws, source, parts.clients.dlq, parts.clients.objects, parts.state, index, watch)
        return dry_engine(settings, clients, parts.clients.types, stop, stack)
