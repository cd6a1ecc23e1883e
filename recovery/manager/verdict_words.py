"""The verdict in English, for those who read the API. The console has the same words, and those of other languages (templates)."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from recovery.manager.verdict import Do, Part, Says, Step, Value


class Words(NamedTuple):
    """A template for one, and one for any other number; empty where the number does not matter."""

    one: str
    many: str = ""


WORDS: Mapping[Says, Words] = {
    Says.NOTHING_FAILED: Words("nothing has failed"),
    Says.CAUSES: Words("%(count)s cause", "%(count)s causes"),
    Says.MESSAGES: Words("%(count)s message", "%(count)s messages"),
    Says.NOT_TAKEN_IN: Words("%(count)s message not taken in yet", "%(count)s messages not taken in yet"),
    Says.DLQ_UNKNOWN: Words("what the dead-letter queue holds is unknown: %(why)s"),
    Says.EXPIRES: Words("the first expires in %(left_s)s"),
    Says.INTAKE_RESTS: Words("dead letters are not taken in"),
    Says.INDEX_REACHABLE: Words("index reachable"),
    Says.INDEX_UNAVAILABLE: Words(
        "index unavailable on %(count)s of %(of)s worker", "index unavailable on %(count)s of %(of)s workers"
    ),
    Says.BUCKET_UNREADABLE: Words("%(name)s cannot be read"),
    Says.FLEET_SERVING: Words("fleet serving (%(count)s worker)", "fleet serving (%(count)s workers)"),
    Says.FLEET_PAUSED: Words("fleet paused by %(by)s: %(reason)s"),
    Says.BRAKED: Words(
        "%(count)s worker has stopped because nearly everything failed",
        "%(count)s workers have stopped because nearly everything failed",
    ),
    Says.RESTING: Words("%(count)s worker receives nothing: %(why)s", "%(count)s workers receive nothing: %(why)s"),
    Says.SILENT: Words("%(count)s worker silent since %(since_ms)s", "%(count)s workers silent since %(since_ms)s"),
    Says.NO_WORKER: Words("no worker is running"),
    Says.NOT_SERVING: Words("no worker is serving"),
    Says.RESUMED: Words("fleet resumed; workers follow within %(within_s)s"),
    Says.UNNAMED: Words(
        "%(count)s worker does not name all that it cannot reach",
        "%(count)s workers do not name all that they cannot reach",
    ),
    Says.WAITS_FOR_INDEX: Words("%(count)s document waits for the index", "%(count)s documents wait for the index"),
    Says.PARKED: Words(
        "%(count)s document that the index rejects is parked", "%(count)s documents that the index rejects are parked"
    ),
    Says.HELD: Words("%(count)s object is held for a budget", "%(count)s objects are held for a budget"),
    Says.WAITING_UNKNOWN: Words("dead letters unknown since %(since_ms)s: %(why)s"),
    Says.FLEET_UNKNOWN: Words("fleet unknown since %(since_ms)s: %(why)s"),
    Says.PAUSE_UNKNOWN: Words("whether the fleet is paused is unknown since %(since_ms)s: %(why)s"),
    Says.RETRY_INDEX_UNKNOWN: Words("retry-index/ unknown since %(since_ms)s: %(why)s"),
    Says.LIMITS: Words("%(count)s limit exceeded", "%(count)s limits exceeded"),
}
STEPS: Mapping[Do, Words] = {
    Do.NOTHING: Words("Nothing has to be done."),
    Do.SEE_GROUP: Words(
        "Look at the largest cause: %(error_type)s, %(count)s message.",
        "Look at the largest cause: %(error_type)s, %(count)s messages.",
    ),
    Do.RESUME: Words("Resume the fleet when the reason for the pause is gone."),
    Do.CORRECT_AND_RESUME: Words("Correct the cause, then resume the fleet: %(why)s"),
    Do.START_WORKER: Words("Start the workers, or find out what stopped them."),
    Do.REPAIR_INDEX: Words("Make the index reachable again; until then, documents wait in retry-index/: %(why)s"),
    Do.ALLOW_BUCKET: Words("Restore the workers' access to %(name)s: %(why)s"),
    Do.DECIDE_PARKED: Words("Decide what becomes of the parked documents."),
    Do.REPAIR_INTAKE: Words("Find out why the manager cannot take dead letters in; the queue keeps them meanwhile."),
    Do.SEE_INTAKE: Words("Wait a minute until the manager has taken them in; if it has not, find out why."),
    Do.LET_RECEIVE: Words("Find out why workers receive nothing, and correct it: %(why)s"),
    Do.LOOK_AT_WORKERS: Words("Look at what each worker says, and find out why none is serving."),
    Do.SEE_WAITING: Words("See why documents wait for the index."),
    Do.SEE_BUDGET: Words("See which budget is used up; held objects are read once there is room again."),
    Do.SEE_LIMITS: Words("See which limits are exceeded."),
    Do.ASK_AGAIN: Words("Find out why something is unknown; nothing is lost by it."),
}
CONTINUES = frozenset({Says.MESSAGES})
"""Parts before which a comma stands, and no semicolon."""
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def part_in_words(part: Part) -> str:
    """One part: `3 causes`."""
    return _filled(WORDS[part.says], part.values)


def step_in_words(step: Step) -> str:
    """One step."""
    return _filled(STEPS[step.do], step.values)


def sentence(parts: Iterable[Part]) -> str:
    """All parts: `3 causes, 412 messages; the first expires in 9 days; index reachable; fleet serving (2 workers)`."""
    said = ""
    for part in parts:
        joint = ", " if part.says in CONTINUES else "; "
        said += (joint if said else "") + part_in_words(part)
    return said


def number_of(values: Mapping[str, Value], words: Words) -> int:
    """What decides between singular and plural: the number of those that a word stands behind."""
    number = values.get("of" if "%(of)s" in words.one else "count", 2)
    return number if isinstance(number, int) else 2


def _filled(words: Words, values: Mapping[str, Value]) -> str:
    template = words.one if number_of(values, words) == 1 or not words.many else words.many
    return template % ({name: _shown(name, value) for name, value in values.items()} | _count(values))


def _count(values: Mapping[str, Value]) -> dict[str, str]:
    """The number where there may be more: `10,000+`."""
    return {"count": f"{values['count']:,}+"} if values.get("or_more") else {}


def _shown(name: str, value: Value) -> str:
    """A value by its name: `…_ms` is a time, shown in UTC, `…_s` a duration in its largest unit."""
    if name.endswith("_ms"):
        return f"{datetime.fromtimestamp(float(value) / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    if name.endswith("_s"):
        return span(float(value))
    return value if isinstance(value, str) else f"{value:,}"


def span(seconds: float) -> str:
    """`9 days`, `1 hour`, `0 seconds`, in English."""
    number, unit = largest_unit(seconds)
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def largest_unit(seconds: float) -> tuple[int, str]:
    """A length of time as a number of days, hours, minutes or seconds, and which of these (`day`).

    Rounded down, so that nobody counts on time that is not there.
    """
    size, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    number = int(seconds // size)
    return number, unit
