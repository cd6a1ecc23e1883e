"""Judges a status: what is wrong, in words, and for each part whether it is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from worker.core.base.text import one_line, shortened
from worker.core.s3.state import DEAD_LETTERS_PREFIX, HELD_PREFIX, PARKED_PREFIX, RETRY_PREFIX
from worker.core.s3.waiting import MAX_COUNTED
from worker.core.s3.workers import INDEX, WorkerRecord, silent_workers
from worker.status.facts import PARTS, Depth, Status, Unknown
from worker.terminal import span

LATE_S = 3600.0
"""How long messages wait before that is called wrong, as by the alarm `queue-age`."""
MAX_TEXT = 160
"""The number of characters of an error or a reason that a finding quotes."""
NOTHING = "Nothing is wrong."
SHOWN: Mapping[str, str] = {
    "dlq": "DLQ",
    "dead_letters": DEAD_LETTERS_PREFIX,
    "retry_index": RETRY_PREFIX,
    "lets_fail_until_ms": "brake",
}
"""What people call those parts whose names are for programs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    part: str
    """The part of the status in which it shows: one of PARTS, or `breakers`, or `lag`."""
    text: str
    why: str = ""
    """What else is known of it; the first line leaves that out."""

    @property
    def full(self) -> str:
        """Text and reason."""
        return f"{self.text}: {self.why}" if self.why else self.text


def findings(status: Status) -> list[Finding]:
    """What is wrong, the most far-reaching first."""
    paused = pause_finding(status)
    found = chain(
        _workers(status), breaker_findings(status), _failing(status), _budgets(status), _lag(status),
        _dead_letters(status), _retry_index(status),
    )  # fmt: skip
    return [*([paused] if paused else []), *found]


def summary(status: Status) -> str:
    """The answer to "is anything wrong?": one sentence, and what is not known."""
    wrong = "; ".join(one.text for one in findings(status))
    if not (unknown := status.unknown):
        return f"{_capital(wrong)}." if wrong else NOTHING
    reasons: dict[str, list[str]] = {}
    for name, part in unknown.items():
        reasons.setdefault(part.why, []).append(SHOWN.get(name, name))
    nothing_read = unknown.keys() >= set(PARTS) - ({"budgets"} if status.budgets == [] else set())
    missing = "; ".join(
        f"{'everything' if nothing_read and len(reasons) == 1 else ', '.join(names)} ({_cut(why)})"
        for why, names in reasons.items()
    )
    if wrong:
        return f"{_capital(wrong)}. Not known: {missing}."
    return f"{'' if nothing_read else 'Nothing else is wrong. '}Not known: {missing}."


def clock_text(at_ms: float, now_ms: float) -> str:
    """A time as `02:14 UTC`, with its date if it was not in the last twelve hours."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.strftime("%H:%M UTC" if abs(now_ms - at_ms) < 12 * 3_600_000 else "%Y-%m-%d %H:%M UTC")


def pause_finding(status: Status) -> Finding | None:
    """Who paused the fleet and until when, and why; None if it is not paused, or that is not known."""
    if status.pause is None or isinstance(status.pause, Unknown):
        return None
    until_ms, by, since = (status.pause.get(name) for name in ("until_ms", "by", "at"))
    until = clock_text(until_ms, status.at_ms) if isinstance(until_ms, int) else "`s3-index-worker resume`"
    text = one_line(f"paused by {by or '?'} until {until}")
    return Finding(
        "pause", text, one_line(f"{_cut(str(status.pause['reason']))} (since {_moment(since, status.at_ms)})")
    )


def lag_s(status: Status) -> float | None:
    """How long those messages had waited that were received last, at most; None if no worker says so."""
    lags = [one.figures["lag_s"] for one in status.alive if "lag_s" in one.figures]
    return max(lags, default=None)


def silent(status: Status) -> list[WorkerRecord]:
    """The workers that went silent, and in whose place no other has started on their host since."""
    return [] if isinstance(status.workers, Unknown) else silent_workers(status.workers)


def breaker_findings(status: Status) -> list[Finding]:
    """Each open breaker: what that means, on how many workers, since when, and why."""
    alive, found = status.alive, []
    names = {name for one in alive for name in one.breakers}
    for name in sorted(names, key=lambda name: (name != INDEX, name)):
        open_on = [one for one in alive if name in one.breakers]
        since = [one.breakers_since[name] for one in open_on if name in one.breakers_since]
        what = "index unavailable" if name == INDEX else f"{one_line(name)} cannot be read"
        when = f" since {clock_text(min(since), status.at_ms)}" if since else ""
        found.append(Finding("breakers", f"{what} {_on(open_on, alive)}{when}", _cut(open_on[0].breakers[name])))
    return found


def _workers(status: Status) -> Iterable[Finding]:
    if isinstance(status.workers, Unknown):
        return
    lost = silent(status)
    when = f"{clock_text(min(one.written_at_ms for one in lost), status.at_ms)}" if lost else ""
    if not status.alive:
        yield Finding("workers", "no worker is running" + (f", the last was silent from {when}" if lost else ""))
    elif lost:
        first = " " if len(lost) == 1 else ", the first "
        yield Finding("workers", f"{_count(len(lost), 'worker')} silent{first}since {when}")
    if bad := [one for one in status.workers if one.problem]:
        yield Finding("workers", f"{_count(len(bad), 'worker record')} cannot be read", _cut(bad[0].problem))


def _failing(status: Status) -> Iterable[Finding]:
    """Why workers receive nothing, or cannot work, other than by a pause or a breaker; each reason once."""
    alive = status.alive
    reasons: dict[str, list[WorkerRecord]] = {}
    for one in alive:
        held = [why for name, why in one.held_back.items() if name != "paused" and why not in one.breakers.values()]
        threads = [f"threads without progress: {', '.join(one.unhealthy_threads)}"] if one.unhealthy_threads else []
        for why in dict.fromkeys([*held, *one.failing_calls, *threads]):
            reasons.setdefault(why, []).append(one)
    return [Finding("workers", f"{_whole(why, those)} ({_on(those, alive)})") for why, those in reasons.items()]


def _whole(why: str, those: list[WorkerRecord]) -> str:
    """Why workers do not work; that of a brake ends with what to type, and is never cut."""
    return one_line(why) if any(why == one.brake_reason for one in those) else _cut(why)


def _budgets(status: Status) -> Iterable[Finding]:
    if isinstance(status.budgets, Unknown):
        return []
    used = [one for one in status.budgets if one.used >= one.limit]
    return [Finding("budgets", f"the budget {one_line(one.name)} is used up for today") for one in used]


def _lag(status: Status) -> Iterable[Finding]:
    lag = lag_s(status)
    return [Finding("lag", f"messages have waited for {span(lag)}")] if lag is not None and lag >= LATE_S else []


def _dead_letters(status: Status) -> Iterable[Finding]:
    in_dlq = 0 if isinstance(status.dlq, Unknown) else status.dlq.visible + status.dlq.in_flight
    stored = 0 if isinstance(status.dead_letters, Unknown) else status.dead_letters.count
    if count := in_dlq + stored:
        more = "over " if stored >= MAX_COUNTED else ""
        yield Finding("dlq" if in_dlq else "dead_letters", f"{more}{_count(count, 'dead letter')}")


def _retry_index(status: Status) -> Iterable[Finding]:
    if isinstance(status.retry_index, Unknown):
        return
    for prefix, (one, many) in WAITING.items():
        tally = status.retry_index[prefix]
        if tally.count:
            yield Finding("retry_index", f"{tally.text} {one if tally.count == 1 else many}")


WAITING: Mapping[str, tuple[str, str]] = {
    RETRY_PREFIX: ("document waits for the index", "documents wait for the index"),
    PARKED_PREFIX: ("document that the index rejects is parked", "documents that the index rejects are parked"),
    HELD_PREFIX: ("object is held for a budget", "objects are held for a budget"),
}


def depth_text(depth: Depth) -> str:
    """How many messages a queue has."""
    return f"{depth.visible:,} visible, {depth.in_flight:,} in flight, {depth.delayed:,} delayed in {depth.queue}"


def _capital(text: str) -> str:
    """The beginning of a sentence; a name such as `s3://our-files` stays as it is."""
    return text[0].upper() + text[1:] if text.split(maxsplit=1)[0].isalpha() else text


def _moment(text: object, now_ms: float) -> str:
    """A time in ISO 8601 as `clock_text` has it; as it is, if it is none."""
    try:
        return clock_text(datetime.fromisoformat(str(text)).timestamp() * 1000, now_ms)
    except ValueError:
        return _cut(str(text))


def _on(those: list[WorkerRecord], alive: list[WorkerRecord]) -> str:
    """How many workers say so, and how old the oldest of their records is, which are written once a minute."""
    age_s = max(one.age_ms for one in those) / 1000
    return f"on {len(those)} of {_count(len(alive), 'worker')}" + (f", as of {span(age_s)} ago" if age_s >= 1 else "")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _cut(text: str) -> str:
    return shortened(text, MAX_TEXT)
