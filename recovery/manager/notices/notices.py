"""Notifies: counts news by recipient and group, says what is due, and sends what waits in the outbox.

A group is told at once, when it is new; what is added to it follows in a digest. A group that was quiet for a day is new again.
"""

import time
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter

from recovery.ledger.ledger import Ledger
from recovery.ledger.news import Reason
from recovery.ledger.outbox import About, Notification, Topic, ToSay
from recovery.manager.metrics import ManagerMetrics, NotificationStatus
from recovery.manager.notices.channels import Channels, NotifyError
from recovery.manager.notices.routing import OPS, Router
from recovery.manager.notices.wording import Said, Wording
from recovery.manager.turns import Beat
from worker.core.base.classify import FailureKind
from worker.core.base.errors import WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

LEASE = "notify"
TURN_S = 1.0
AT_ONCE = 100
"""News that are counted in one transaction, and notifications that are read together."""
GATHER_S = 10
"""How long a new group gathers before it is told, so that a burst is told with its number."""
LONGEST_COUNT_S = 30
"""While there are more news to count, nothing is said for so long: a number that grows would be wrong at once."""
MAX_NEW = 10
"""New groups of which one recipient is told by themselves within the time of a digest; further ones are in the digest."""
QUIET_MS = 86_400_000
FIRST_RETRY_S, LONGEST_RETRY_S = 30, 3_600
MAX_ATTEMPTS = 12
"""Of one notification: over five hours."""
DAY_MS = 86_400_000


class Notices:
    """The notifications of one manager. For one thread, except for `problem`."""

    def __init__(
        self, ledger: Ledger, channels: Channels, router: Router, wording: Wording, metrics: ManagerMetrics, *,
        every_s: int, keep_days: int, now_ms: Callable[[], int],
    ) -> None:  # fmt: skip
        """`now_ms` is the clock by which arrivals are dated."""
        self._outbox = ledger.outbox
        self._channels = channels
        self._router = router
        self._wording = wording
        self._metrics = metrics
        self._every_s = every_s
        self._keep_days = keep_days
        self._now_ms = now_ms
        self._counted_to = 0
        """Up to this number, news are counted, or wait until S3 says who owns their objects."""
        self._resting: dict[str, int] = {}
        """Until when (ms) nothing is sent to a recipient who has just refused."""
        self._prune_at = 0.0

    def problem(self) -> str:
        """What was not sent in the last day, in a sentence; empty if all was."""
        try:
            count, error = self._outbox.failed_since(self._now_ms() - DAY_MS)
        except WorkerError:
            return ""  # the ledger's own problem is told elsewhere
        return f"{count:,} notifications could not be sent in 24 h: {error}" if count else ""

    def turn(self, beat: Beat) -> None:
        """Count what is new, say what is due, and send it. Raises LedgerError; nothing is lost: each step is one transaction."""
        say_by = time.monotonic() + LONGEST_COUNT_S
        if not self._router.is_resting:
            self._counted_to = 0
        while self._count_news(beat):
            if time.monotonic() >= say_by:
                self._speak(beat)
                say_by = time.monotonic() + LONGEST_COUNT_S
        self._speak(beat)
        self._prune()

    def _speak(self, beat: Beat) -> None:
        if beat():
            self._say()
            self._send(beat)

    # -- what is said --------------------------------------------------------------------------------------------

    def _count_news(self, beat: Beat) -> bool:
        """Count some news; whether there are more, and the turn goes on."""
        news = self._outbox.news(limit=AT_ONCE, after=self._counted_to)
        routed = []
        goes_on = True
        for one in news:
            goes_on = beat()
            if not goes_on:
                break
            recipient = self._router.recipient(one, now_ms=self._now_ms())
            if recipient is not None:
                routed.append((one, recipient))
            self._counted_to = one.id
        self._outbox.count_news(routed)
        return goes_on and len(news) == AT_ONCE

    def _say(self) -> None:
        topics = sorted((one for one in self._outbox.topics() if one.waiting), key=attrgetter("recipient"))
        for recipient, found in groupby(topics, key=attrgetter("recipient")):
            if self._addresses(recipient):  # otherwise it waits until NOTIFY_URLS has an address
                self._say_to(recipient, list(found))

    def _say_to(self, recipient: str, topics: list[Topic]) -> None:
        now_ms = self._now_ms()
        overdue_ms, gathered_ms = now_ms - self._every_s * 1000, now_ms - GATHER_S * 1000
        fresh = [one for one in topics if _is_new(one) and overdue_ms < one.first_ms <= gathered_ms]
        if fresh:
            said = self._outbox.made_since(overdue_ms, self._addresses(recipient))
            fresh = fresh[: max(0, MAX_NEW - said)]
        for topic in fresh:
            about = About.RETRIES if topic.reason is Reason.RETRIES_USED_UP else About.GROUP
            self._put(recipient, about, self._wording.of_group(topic, every_s=self._every_s), [topic])
        others = [one for one in topics if one not in fresh and (not _is_new(one) or one.first_ms <= gathered_ms)]
        if any(one.first_ms <= overdue_ms for one in others):
            self._put(recipient, About.DIGEST, self._wording.digest(others), others)

    def _put(self, recipient: str, about: About, said: Said, topics: list[Topic]) -> None:
        messages = [ToSay(about, address, said.subject, said.text) for address in self._addresses(recipient)]
        self._outbox.say(messages, topics, now_ms=self._now_ms())

    def _addresses(self, recipient: str) -> tuple[str, ...]:
        return self._channels.ops if recipient == OPS else (recipient,)

    # -- what is sent --------------------------------------------------------------------------------------------

    def _send(self, beat: Beat) -> None:
        """Send what is due. Who has refused rests: each attempt may take half a minute, for which others must not wait."""
        now_ms = self._now_ms()
        self._resting = {name: until_ms for name, until_ms in self._resting.items() if until_ms > now_ms}
        while due := self._outbox.due(now_ms, limit=AT_ONCE, but=tuple(self._resting)):
            for one in due:
                if one.recipient in self._resting:
                    continue
                if not beat():
                    return
                if not self._send_one(one):
                    self._resting[one.recipient] = now_ms + FIRST_RETRY_S * 1000

    def _send_one(self, one: Notification) -> bool:
        try:
            self._channels.send(one.recipient, Said(one.subject, one.text))
        except NotifyError as error:
            self._not_sent(one, str(error))
            return False
        self._outbox.sent(one.id, at_ms=self._now_ms())
        self._metrics.count(NotificationStatus.SENT)
        emit(LogEvent.NOTIFICATION_SENT, "info", about=one.about.value, to=one.recipient, attempts=one.attempts + 1)
        return True

    def _not_sent(self, one: Notification, error: str) -> None:
        self._metrics.count(NotificationStatus.FAILED)
        attempts = one.attempts + 1
        is_last = attempts >= MAX_ATTEMPTS
        next_ms = None if is_last else self._now_ms() + retry_after_s(attempts) * 1000
        self._outbox.not_sent(one.id, error, next_ms=next_ms)
        if is_last:
            emit(LogEvent.NOTIFICATION_GIVEN_UP, "error", to=one.recipient, attempts=attempts, error=error)
        else:
            emit(LogEvent.NOTIFICATION_FAILED, "warning", to=one.recipient, attempts=attempts, error=error)

    def _prune(self) -> None:
        """Once an hour, forget what was long ago."""
        if time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + 3_600
        now_ms = self._now_ms()
        self._outbox.prune(quiet_before_ms=now_ms - QUIET_MS, made_before_ms=now_ms - self._keep_days * DAY_MS)


def retry_after_s(attempts: int) -> int:
    """Seconds until the next attempt, after so many: twice as long each time."""
    return min(LONGEST_RETRY_S, FIRST_RETRY_S << (attempts - 1))


def _is_new(topic: Topic) -> bool:
    """Whether it is told by itself. What SQS moved, and nobody knows why, waits for review in the digest."""
    return topic.told_ms == 0 and topic.kind is not FailureKind.UNKNOWN
