"""The verdict in words. The templates are English; a console translates them as gettext does, and shows values its own way."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from recovery.manager.verdict import Do, Part, Says, Step, Value

Translate = Callable[[str, str, int], str]
"""The template in a language: of one, of many, and how many, as `ngettext`."""
Show = Callable[[str, Value], str]
"""A value as it is shown, by its name: `…_ms` is a time, `…_s` a duration."""


class Words(NamedTuple):
    """A template for one, and one for any other number; the same where the number does not matter."""

    one: str
    many: str = ""


WORDS: Mapping[Says, Words] = {
    Says.NOTHING_FAILED: Words("nothing has failed"),
    Says.CAUSES: Words("%(count)s cause", "%(count)s causes"),
    Says.MESSAGES: Words("%(count)s message", "%(count)s messages"),
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
    Says.WAITS_FOR_INDEX: Words("%(count)s document waits for the index", "%(count)s documents wait for the index"),
    Says.PARKED: Words(
        "%(count)s document that the index rejects is parked", "%(count)s documents that the index rejects are parked"
    ),
    Says.HELD: Words("%(count)s object is held for a budget", "%(count)s objects are held for a budget"),
    Says.WAITING_UNKNOWN: Words("dead letters unknown since %(since_ms)s: %(why)s"),
    Says.FLEET_UNKNOWN: Words("fleet unknown since %(since_ms)s: %(why)s"),
    Says.PAUSE_UNKNOWN: Words("whether the fleet is paused is unknown since %(since_ms)s: %(why)s"),
    Says.RETRY_INDEX_UNKNOWN: Words("retry-index/ unknown since %(since_ms)s: %(why)s"),
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
    Do.REPAIR_INDEX: Words("Let the index be reachable again; until then, documents wait in retry-index/: %(why)s"),
    Do.ALLOW_BUCKET: Words("Let the workers read %(name)s again: %(why)s"),
    Do.DECIDE_PARKED: Words("Decide what becomes of the parked documents."),
    Do.REPAIR_INTAKE: Words("Find out why the manager cannot take dead letters in; the queue keeps them meanwhile."),
    Do.ASK_AGAIN: Words("Find out why something is unknown; nothing is lost by it."),
}
COMMA, SEMICOLON = Words("%(first)s, %(second)s"), Words("%(first)s; %(second)s")
"""How parts are joined, which is translated as they are."""
_FOLLOWS = frozenset({Says.MESSAGES})
"""Parts that continue the one before."""
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def part_in_words(part: Part, translate: Translate, show: Show) -> str:
    """One part."""
    return _filled(WORDS[part.says], part.values, translate, show)


def step_in_words(step: Step, translate: Translate, show: Show) -> str:
    """One step."""
    return _filled(STEPS[step.do], step.values, translate, show)


def sentence(parts: Iterable[Part], translate: Translate, show: Show) -> str:
    """All parts: `3 causes, 412 messages; the first expires in 9 days; index reachable; fleet serving (2 workers)`."""
    said = ""
    for part in parts:
        text = part_in_words(part, translate, show)
        joint = COMMA if part.says in _FOLLOWS else SEMICOLON
        said = translate(joint.one, joint.one, 1) % {"first": said, "second": text} if said else text
    return said


def in_english(one: str, many: str, number: int) -> str:
    """A Translate for those who read the API."""
    return one if number == 1 else many


def shown_in_english(name: str, value: Value) -> str:
    """A Show for them: times in UTC, durations in their largest unit."""
    if name.endswith("_ms"):
        return f"{datetime.fromtimestamp(float(value) / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    if name.endswith("_s"):
        return span_in_english(float(value))
    return value if isinstance(value, str) else f"{value:,}"


def span_in_english(seconds: float) -> str:
    """`9 days`, `1 hour`, `0 seconds`: rounded down, so that nobody counts on time that is not there."""
    size, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    number = int(seconds // size)
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def _filled(words: Words, values: Mapping[str, Value], translate: Translate, show: Show) -> str:
    number = values.get("of" if "of" in values and "%(of)s" in words.one else "count", 2)
    template = translate(words.one, words.many or words.one, int(number) if isinstance(number, int) else 2)
    return template % {name: show(name, value) for name, value in values.items()}
