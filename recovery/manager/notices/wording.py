"""The words of notifications, in English and Japanese. What they say is counts, times, names and a link; never a body."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Literal

from recovery.ledger.news import Reason
from recovery.ledger.outbox import Topic
from recovery.manager.known_groups import path_of
from recovery.manager.notices import english, japanese
from worker.core.base.classify import FailureKind
from worker.core.base.text import one_line

Language = Literal["en", "ja"]
MAX_TOPICS = 20
"""Groups that a digest lists; the others are counted."""
MAX_SHOWN_CHARS = 300


@dataclass(frozen=True, slots=True)
class Said:
    """A notification in words."""

    subject: str
    text: str


class Wording:
    """Words of one language, with times in one zone, and links to one manager."""

    def __init__(self, language: Language, link: Callable[[], str], zone: tzinfo | None = None) -> None:
        """`zone`: None is this machine's. `link`: the manager's address; it may not be known before it listens."""
        self._words = {"en": english, "ja": japanese}[language]
        self._link = link
        self._zone = zone

    def of_group(self, topic: Topic, *, every_s: int) -> Said:
        """That a group is new, or its retries are used up. `every_s`: when more is said of it, at the earliest."""
        words, count = self._words, topic.waiting
        if topic.reason is Reason.RETRIES_USED_UP:
            subject, opening = words.retries_used_up(count, self._error(topic))
        elif topic.kind is FailureKind.USER_ERROR:
            subject, opening = words.user_error(count, self._error(topic))
        elif topic.kind is FailureKind.RECOVERABLE:
            subject, opening = words.not_retried(count, self._error(topic))
        else:
            subject, opening = words.system_error(count, self._error(topic))
        lines = [
            (words.ERROR, self._error(topic)), (words.EXAMPLE, _shown(topic.example)),
            (words.FIRST, self._time(topic.first_ms)), (words.LAST, self._time(topic.last_ms)),
            (words.GROUP, self._link_to(topic)),
        ]  # fmt: skip
        facts = "\n".join(words.fact(name, value) for name, value in lines if value)
        return Said(words.PREFIX + subject, f"{opening}\n\n{facts}\n\n{words.more_later(words.duration(every_s))}\n")

    def digest(self, topics: Sequence[Topic]) -> Said:
        """What was added to these groups, the largest first."""
        words = self._words
        ordered = sorted(topics, key=lambda one: (-one.waiting, one.name))
        count = sum(one.waiting for one in topics)
        first_ms, last_ms = min(one.first_ms for one in topics), max(one.last_ms for one in topics)
        subject, opening = words.digest(count, len(topics), self._time(first_ms), self._time(last_ms))
        parts = [opening, *(self._entry(topic) for topic in ordered[:MAX_TOPICS])]
        if len(ordered) > MAX_TOPICS:
            parts.append(words.others(len(ordered) - MAX_TOPICS, sum(one.waiting for one in ordered[MAX_TOPICS:])))
        return Said(words.PREFIX + subject, "\n\n".join(parts) + "\n")

    def test(self) -> Said:
        """What `dlq-manager notify-test` sends."""
        subject, text = self._words.test(self._link())
        return Said(self._words.PREFIX + subject, text + "\n")

    def _entry(self, topic: Topic) -> str:
        words = self._words
        kind = words.KINDS["retries" if topic.reason is Reason.RETRIES_USED_UP else topic.kind.value]
        lines = [
            words.entry(topic.waiting, topic.total, self._error(topic), kind),
            words.fact(words.EXAMPLE, _shown(topic.example)) if topic.example else "",
            words.fact(words.LAST, self._time(topic.last_ms)),
            words.fact(words.GROUP, self._link_to(topic)),
        ]
        return "\n    ".join(line for line in lines if line)

    def _error(self, topic: Topic) -> str:
        return _shown(topic.error_type) or self._words.NO_ERROR

    def _time(self, at_ms: int) -> str:
        at = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self._zone)
        shown: str = self._words.time(at, at.tzname() or "UTC")
        return shown

    def _link_to(self, topic: Topic) -> str:
        return self._link() + path_of((topic.fingerprint, topic.error_type, topic.kind.value))


def _shown(text: str) -> str:
    """Untrusted text, as a chat may show it: nobody is called by it, and it stays on its line."""
    said = one_line(text).replace("@everyone", "@\u200beveryone").replace("@here", "@\u200bhere")
    return said if len(said) <= MAX_SHOWN_CHARS else said[: MAX_SHOWN_CHARS - 1] + "…"
