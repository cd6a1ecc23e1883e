"""A manager's intake and retries over the system in memory."""

import json
import threading
from dataclasses import replace
from typing import Any

from recovery.ledger.ledger import Ledger
from recovery.manager.arrivals import Arrivals
from recovery.manager.figures import Figures
from recovery.manager.fleet_health import FleetHealth
from recovery.manager.follow import Follower
from recovery.manager.group_commit import GroupCommit
from recovery.manager.intake import Intake
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.records import RowMaker
from recovery.manager.retries import Retries, RetryParts
from recovery.manager.retry_targets import RetryTargets
from recovery.manager.schedule import RetryRules, Scheduler
from recovery.operations.clients import DlqClients
from testing.fakes import Fakes
from testing.memory import NOW_MS
from worker.core.s3.workers import WorkerRecord, write_worker
from worker.core.sqs import dead_letter_store

QUEUE = "http://sqs/source"


class Retrying:
    """A manager's intake and retries; each retry by its rules is due at once."""

    def __init__(
        self, fakes: Fakes, ledger: Ledger, commit: GroupCommit, rows: RowMaker, *, rate: float = 1000.0, **rules: Any,
    ) -> None:  # fmt: skip
        self.fakes, self.ledger = fakes, ledger
        self.metrics = ManagerMetrics(Figures)
        clock = fakes.s3.clock
        scheduler = Scheduler(RetryRules(**rules), rows.types, clock.now_ms, lambda: 0.0)
        arrivals = Arrivals(rows, scheduler, self.metrics, notifies=True)
        self.intake = Intake(fakes.dlq, fakes.state, clock, ledger, commit, arrivals)
        self.follower = Follower(ledger, fakes.state, clock, arrivals, threading.Event())
        fakes.dlq.also = {"QueueArn": "arn:dlq"}
        fakes.source.also = {"QueueArn": "arn:source", "RedrivePolicy": '{"deadLetterTargetArn":"arn:dlq"}'}
        self.queues: dict[str, Any] = {QUEUE: fakes.source}
        clients = DlqClients(fakes.dlq, fakes.s3, fakes.state, rows.types)
        self.parts = RetryParts(
            clients=clients, state=fakes.state, ledger=ledger, rows=rows,
            targets=RetryTargets(clients, QUEUE, lambda url: self.queues[url]), health=FleetHealth(fakes.state, clock),
            metrics=self.metrics, rate=rate, by="manager@h", notifies=True, stop=threading.Event(),
        )  # fmt: skip
        self.retries = self.anew()
        self.worker()

    def anew(self) -> Retries:
        """Retries that remember nothing."""
        return Retries(
            replace(self.parts, health=FleetHealth(self.fakes.state, self.fakes.s3.clock)),
            refresh=self.follower.refresh,
        )

    def worker(self, **more: Any) -> None:
        """What the one worker of the fleet says of itself."""
        write_worker(self.fakes.state, WorkerRecord("w1", **{"state": "serving", "written_at_ms": NOW_MS, **more}))

    def fails(self, *names: str, **more: Any) -> None:
        """Dead letters of these names come, with failure records that have `more`, and are taken in."""
        for name in names:
            failure = {
                "kind": "RECOVERABLE",
                "error_type": "TimeoutError",
                "source_message_id": name,
                "source_queue": QUEUE,
                **more,
            }
            self.fakes.dead_letter(f"dlq-{name}", f"{name}.txt", failure=failure)
        while self.intake.once(wait_s=0):
            pass

    def turn(self) -> None:
        """Send what is due."""
        self.retries.turn(lambda: True)

    def comes_back(self) -> None:
        """What waits in the queue fails again."""
        for name, message in list(self.fakes.source.messages.items()):
            del self.fakes.source.messages[name]
            failure = json.loads(message.attributes["failure"]["StringValue"])
            attribute = {
                "failure": {"DataType": "String", "StringValue": json.dumps({**failure, "source_message_id": name})}
            }
            self.fakes.dlq.add(f"again-{name}", message.body, attribute)
        while self.intake.once(wait_s=0):
            pass

    def record(self, name: str) -> Any:
        """The record of a dead letter."""
        found = self.ledger.get(name)
        assert found is not None
        return dead_letter_store.read(self.fakes.state, found.key)

    def counted(self, result: str) -> float | None:
        """How many retries had this result."""
        return self.metrics.registry.get_sample_value("dlq_retries_total", {"result": result})
