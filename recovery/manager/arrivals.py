"""What the ledger is told of a dead letter that came, whoever finds its record: intake, or the follower."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from recovery.ledger.rows import USED_UP, Arrival, Taken
from recovery.manager import schedule
from recovery.manager.metrics import ManagerMetrics, RetryResult
from recovery.manager.records import RowMaker
from recovery.manager.schedule import Scheduler
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.sqs.stored_dead_letter import StoredDeadLetter


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Makes arrivals of records. May be used from any thread."""

    rows: RowMaker
    scheduler: Scheduler
    metrics: ManagerMetrics
    notifies: bool = False
    """Whether somebody is to be notified of what comes; the ledger notes it then."""

    def of(self, message_id: str, record: StoredDeadLetter, at_ms: int, *, by: str = "intake") -> Arrival:
        """The arrival of a dead letter with this id; `record` is as it was written then."""
        made = Arrival(message_id, self.rows.row(record), at_ms, by, is_news=self.notifies)
        if not self.scheduler.is_used_up(record):
            return made
        finding = f"its {record.retry.count} {schedule.USED_UP}"
        return replace(made, row=replace(made.row, finding=finding), also=(USED_UP,))

    def tell(self, arrivals: Iterable[Arrival], taken: Mapping[str, Taken]) -> None:
        """Count and log those whose retries are used up, once they are in the ledger; `taken` says which are not repeated."""
        for one in arrivals:
            if USED_UP in one.also and taken[one.message_id] is not Taken.REPEATED:
                self.metrics.count(RetryResult.USED_UP)
                emit(LogEvent.RETRY_ENDED, "warning", message_id=one.row.identity, why=one.row.finding)
