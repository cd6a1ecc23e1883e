"""What CloudWatch has of a deployment, minute by minute: our figures by the code that sends them, and SQS's as AWS documents them.

Time is simulated; nothing waits. SQS reports on a queue for six hours after the last call or while it has messages (SQS Developer
Guide, "Monitoring Amazon SQS queues using CloudWatch"), and the age of the oldest message only while there is one.
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Facts
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.dead_letters.scan import Scan
from recovery.operations.find import Found
from recovery.operations.stats import stats
from testing.fakes import Fakes
from tests.support.alarm_states import Alarms, Recorded
from tests.support.template import Filled
from tools.alarms import template
from worker.core.base.cloudwatch import tell_cloudwatch
from worker.core.base.events import LogEvent
from worker.core.s3.state import RETRY_PREFIX
from worker.core.sqs.dead_letter import DeadLetter
from worker.levels import Levels
from worker.metrics import CLOUDWATCH_INTERVAL_S, Metrics, send_to_cloudwatch
from worker.refreshed import INTERVAL_S

NAMESPACE = "s3-index-worker"
QUEUE, DLQ = "files", "files-dlq"
MINUTE_S, HOUR = 60, 60
ACTIVE_MINUTES = 6 * HOUR
RETENTION_S = 14 * 86_400
START_S = 1_800_000_000 // 86_400 * 86_400
"""A midnight."""


@dataclasses.dataclass
class Fleet:
    """One deployment. A scene changes its fields, and calls its methods, at the beginning of each minute."""

    act: Callable[["Fleet", int], None]
    minutes: int
    runs: bool = True
    """Whether a worker runs, and so polls."""
    sends: bool = True
    """Whether its figures arrive."""
    has_timer: bool = True
    """Whether `dlq stats` runs every hour, and its figures arrive."""
    waiting_since: int | None = None
    """The minute since which a message has waited in the queue."""
    touched: int = 0
    """The minute of the last call to the queue or the DLQ that is not a worker's or the timer's."""
    dead: list[int] = dataclasses.field(default_factory=list)
    """The minute in which each message in the DLQ was first sent."""

    def __post_init__(self) -> None:
        self.fakes, self.recorded, self.metrics = Fakes(), Recorded(), Metrics()
        self.levels = Levels(self.fakes.state)
        self.minute = 0
        self._polled = self._listed = -ACTIVE_MINUTES - 1

    # -- what happens --------------------------------------------------------------------------------------------------

    def settle(self, done: int = 0, failed: int = 0) -> None:
        """So many messages are done, or fail."""
        for outcome, count in (("done", done), ("failed", failed)):
            for _ in range(count):
                self.metrics.observe(LogEvent.MESSAGE_SETTLED, {"outcome": outcome, "duration_ms": 5, "note": ""})

    def index(self, *, away: bool) -> None:
        """The index's breaker opens or closes."""
        event = LogEvent.BREAKER_OPENED if away else LogEvent.BREAKER_CLOSED
        self.metrics.observe(event, {"breaker": "index", "error": "refused"})

    def keep(self, name: str, prefix: str = RETRY_PREFIX + "2026-11-30/") -> None:
        """A record is stored in the state bucket."""
        self.fakes.s3.records[prefix + name] = b"{}"

    def clear(self, prefix: str = RETRY_PREFIX) -> None:
        """All records under a prefix are dealt with."""
        for key in [key for key in self.fakes.s3.records if key.startswith(prefix)]:
            del self.fakes.s3.records[key]

    # -- the clock -----------------------------------------------------------------------------------------------------

    def play(self, *, namespace: str = NAMESPACE) -> Recorded:
        """All minutes; without a namespace, only SQS's own figures are recorded."""
        if namespace:
            send_to_cloudwatch(self.metrics, self.levels, self._client(), namespace, self)  # type: ignore[arg-type]
        else:
            while not self.wait(CLOUDWATCH_INTERVAL_S):
                pass
        return self.recorded

    def wait(self, seconds: float) -> bool:
        """One minute passes: the sender waits for its end. Whether it was the last one."""
        assert seconds == CLOUDWATCH_INTERVAL_S == MINUTE_S
        self.act(self, self.minute)
        if self.runs and self.minute % (INTERVAL_S // MINUTE_S) == 0:
            self.levels.count()
        self._sqs()
        if self.has_timer and self.minute % HOUR == 5:
            self._dlq_stats()
        self.minute += 1
        return self.minute >= self.minutes

    @property
    def now_s(self) -> float:
        """The middle of the present minute."""
        return START_S + self.minute * MINUTE_S + MINUTE_S / 2

    def put_metric_data(self, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803
        """As CloudWatch's client, for the worker."""
        if not (self.runs and self.sends):
            raise OSError("no route")
        for one in MetricData:  # of the minute that has just ended
            self.recorded.add(Namespace, one["MetricName"], self.now_s - MINUTE_S, one["Value"])

    def _client(self) -> Any:
        return self

    def _sqs(self) -> None:
        if self.runs:
            self._polled = self.minute
        is_waiting = self.waiting_since is not None
        if is_waiting or self.minute - max(self._polled, self.touched) <= ACTIVE_MINUTES:
            self._of_sqs("NumberOfMessagesReceived", QUEUE, 1 if self.runs and is_waiting else 0)
            self._of_sqs("NumberOfEmptyReceives", QUEUE, 6 if self.runs and not is_waiting else 0)
        if self.waiting_since is not None:
            age_s = (self.minute - self.waiting_since) * MINUTE_S
            self._of_sqs("ApproximateAgeOfOldestMessage", QUEUE, age_s)
        if self.dead or self.minute - max(self._listed, self.touched) <= ACTIVE_MINUTES:
            self._of_sqs("ApproximateNumberOfMessagesVisible", DLQ, len(self.dead))
            self._of_sqs("ApproximateNumberOfMessagesNotVisible", DLQ, 0)

    def _of_sqs(self, metric: str, queue: str, value: float) -> None:
        self.recorded.add("AWS/SQS", metric, self.now_s, value, queue=queue)

    def _dlq_stats(self) -> None:
        self._listed = self.minute
        sent_ms = [int((START_S + minute * MINUTE_S) * 1000) for minute in self.dead]
        dead = [DeadLetter(f"m{ms}", "x", {"SentTimestamp": str(ms)}, {}) for ms in sent_ms]
        found = Found(
            tuple(Facts(one, "unknown", (), "") for one in dead), Scan({"MessageRetentionPeriod": str(RETENTION_S)})
        )
        with patch.object(time, "time", lambda: self.now_s):
            figures = stats(DlqClients(self.fakes.dlq, self.fakes.s3, None, load_types()), found, source=None).figures()
        self.report(figures)

    def report(self, figures: dict[str, float]) -> None:
        """A command sends its figures."""
        client = _Client(lambda name, value: self.recorded.add(NAMESPACE, name, self.now_s, value))
        tell_cloudwatch(client, NAMESPACE, figures)  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class _Client:
    add: Callable[[str, float], None]

    def put_metric_data(self, Namespace: str, MetricData: list[dict[str, Any]]) -> None:  # noqa: N803
        assert Namespace == NAMESPACE
        for one in MetricData:
            self.add(one["MetricName"], one["Value"])


def alarm_resources(*, namespace: str = NAMESPACE) -> dict[str, dict[str, Any]]:
    """The alarms that the template makes, by resource, with everything filled in."""
    every = {name: one for name, one in template()["Resources"].items() if one["Type"].startswith("AWS::CloudWatch::")}
    values = {"QueueName": QUEUE, "CloudWatchNamespace": namespace, "AlarmTopic": "arn:aws:sns:eu-central-1:1:on-call"}
    names = {name: name for name in every}
    filled = Filled(template(), values, {"Queue.QueueName": QUEUE, "DeadLetterQueue.QueueName": DLQ, **names})
    holds = {"SendsFigures": bool(namespace), "SendsNoFigures": not namespace, None: True}
    return {name: filled.properties(name) for name, one in every.items() if holds[one.get("Condition")]}


def history(fleet: Fleet, *, namespace: str = NAMESPACE, fills_nothing: bool = True) -> dict[str, list[str]]:
    """The state of each alarm that notifies at the end of each minute, by the alarm's name without the queue's."""
    recorded = fleet.play(namespace=namespace)
    resources = alarm_resources(namespace=namespace)
    alarms = Alarms(resources, recorded, fills_nothing=fills_nothing)
    notifying = {one: properties["AlarmName"].removeprefix(f"{QUEUE}-")
                 for one, properties in resources.items() if properties.get("AlarmActions")}  # fmt: skip
    found: dict[str, list[str]] = {name: [] for name in notifying.values()}
    for minute in range(fleet.minutes):
        states = alarms.evaluate(START_S + (minute + 1) * MINUTE_S)
        for resource, name in notifying.items():
            found[name].append(states[resource])
    return found
