"""Every alarm of the template over figures recorded from the code that sends them: it fires and clears, and others are silent."""

from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import Mock

import pytest

from tests.support.alarm_scenes import HOUR, Fleet, alarm_resources, history
from tests.support.alarm_states import ALARM
from tools.alarms import alarms
from worker.core.base import logs
from worker.core.base.events import LogEvent
from worker.core.s3.state import DEAD_LETTERS_PREFIX, PARKED_PREFIX

BEGINS, ENDS = 60, 180
"""The minutes in which what is wrong begins and ends."""
LONG = 400


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(logs, "_log", Mock())


@dataclass(frozen=True)
class Scene:
    """What happens, and what goes off because of it: the first and the last minute of the alarm, give or take SLACK."""

    act: Callable[[Fleet, int], None]
    alarms: dict[str, tuple[int, int]]
    minutes: int = LONG
    namespace: str = "s3-index-worker"


SLACK = 5


def during(minute: int) -> bool:
    return BEGINS <= minute < ENDS


# -- scenes ------------------------------------------------------------------------------------------------------------


def busy(fleet: Fleet, _minute: int) -> None:
    fleet.settle(done=40, failed=2)


def idle(_fleet: Fleet, _minute: int) -> None:
    pass


def before_the_first_worker(fleet: Fleet, minute: int) -> None:
    """The stack is there, S3 has sent its test event, and people look; a worker comes after ten hours."""
    fleet.runs = minute >= 10 * HOUR
    fleet.has_timer = fleet.runs
    fleet.touched = min(minute, 8 * HOUR)


def never_a_worker(fleet: Fleet, _minute: int) -> None:
    """The stack was made for later, and nobody touches it."""
    fleet.runs = fleet.has_timer = False


def no_worker(fleet: Fleet, minute: int) -> None:
    fleet.runs = not during(minute)
    fleet.waiting_since = BEGINS if BEGINS <= minute < ENDS + 10 else None


def no_worker_and_no_message(fleet: Fleet, minute: int) -> None:
    """After six hours, SQS says nothing of the queue any more."""
    fleet.runs = not BEGINS <= minute < 12 * HOUR


def no_figures(fleet: Fleet, minute: int) -> None:
    fleet.sends = not during(minute)
    busy(fleet, minute)


def index_away(fleet: Fleet, minute: int) -> None:
    busy(fleet, minute)
    index_away_with_a_file_every_20_minutes(fleet, minute, every=1)


def index_away_with_a_file_every_20_minutes(fleet: Fleet, minute: int, every: int = 20) -> None:
    if minute == BEGINS:
        fleet.index(away=True)
    if during(minute) and minute % every == 0:
        fleet.keep(f"{minute}.json")
        fleet.metrics.observe(LogEvent.INDEX_STORED_FOR_RETRY, {"rejected": False})
    if minute == ENDS:
        fleet.index(away=False)
        fleet.clear()


def index_away_and_then_no_worker(fleet: Fleet, minute: int) -> None:
    """That figures end is no news of the index."""
    if minute == BEGINS:
        fleet.index(away=True)
    fleet.runs = not BEGINS + 30 <= minute < ENDS
    if minute == ENDS:
        fleet.index(away=False)


def one_document_rejected(fleet: Fleet, minute: int) -> None:
    if minute == BEGINS:
        fleet.keep("a.json")
        fleet.metrics.observe(LogEvent.INDEX_STORED_FOR_RETRY, {"rejected": True})
    if minute == ENDS:
        fleet.clear()


def one_record_parked(fleet: Fleet, minute: int) -> None:
    if minute == BEGINS:
        fleet.keep("a.json", PARKED_PREFIX)
    if minute == ENDS:
        fleet.clear()


def held_for_a_budget(fleet: Fleet, minute: int) -> None:
    if during(minute):
        fleet.keep(f"{minute}.json", "retry-index/held/objects=5/")


def spilled(fleet: Fleet, minute: int) -> None:
    if during(minute):
        fleet.metrics.observe(LogEvent.DLQ_SPILLED, {"kind": "UNKNOWN"})


def dead_letters_in_two_places(fleet: Fleet, minute: int) -> None:
    if minute == BEGINS:
        fleet.dead = [BEGINS] * 6
        for number in range(5):
            fleet.keep(f"{number}.json", DEAD_LETTERS_PREFIX)
    if minute == ENDS:
        fleet.dead = []
        fleet.clear(DEAD_LETTERS_PREFIX)


def dead_letters_without_figures(fleet: Fleet, minute: int) -> None:
    fleet.dead = [BEGINS] * 11 if during(minute) else []


def an_old_dead_letter(fleet: Fleet, minute: int) -> None:
    fleet.dead = [-20 * HOUR] if minute < 8 * HOUR else []


def a_dead_letter_about_to_expire(fleet: Fleet, minute: int) -> None:
    fleet.dead = [-10 * 24 * HOUR - 20 * HOUR] if minute < 8 * HOUR else []


def an_old_dead_letter_and_then_no_stats(fleet: Fleet, minute: int) -> None:
    fleet.dead = [-30 * HOUR] if minute < 10 * HOUR else []
    fleet.has_timer = not 2 * HOUR <= minute < 10 * HOUR


def no_stats(fleet: Fleet, minute: int) -> None:
    fleet.has_timer = not 2 * HOUR <= minute < 10 * HOUR


def a_dead_letter_for_a_day(fleet: Fleet, minute: int) -> None:
    fleet.dead = [BEGINS] if BEGINS <= minute < 28 * HOUR else []


def errors(fleet: Fleet, minute: int) -> None:
    fleet.settle(done=16, failed=4 if during(minute) else 0)


def every_file_fails_at_one_every_20_minutes(fleet: Fleet, minute: int) -> None:
    """`error-rate` says 0 of so few; the messages are dead letters after that."""
    if during(minute) and minute % 20 == 0:
        fleet.settle(failed=1)
        fleet.dead = [*fleet.dead, minute]


def braked(fleet: Fleet, minute: int) -> None:
    if minute in {BEGINS, ENDS}:
        event = LogEvent.GATE_SHUT if minute == BEGINS else LogEvent.GATE_CLEARED
        fleet.metrics.observe(event, {"name": "brake"})


def archived(fleet: Fleet, minute: int) -> None:
    if minute == BEGINS:
        fleet.report({"Archived": 3})


def delete_failures(fleet: Fleet, minute: int) -> None:
    if during(minute):
        fleet.metrics.observe(LogEvent.MESSAGE_DELETE_FAILED, {})


DAY = 24 * HOUR
SCENES: dict[Callable[[Fleet, int], None], Scene] = {
    one.act: one
    for one in (
        Scene(busy, {}),
        Scene(idle, {}, minutes=8 * HOUR),
        Scene(before_the_first_worker, {}, minutes=16 * HOUR),
        Scene(never_a_worker, {}, minutes=16 * HOUR),
        Scene(no_worker, {"no-poll": (BEGINS + 4, ENDS), "queue-age": (BEGINS + 65, ENDS + 10)}),
        Scene(no_worker_and_no_message, {"no-poll": (BEGINS + 4, 12 * HOUR)}, minutes=16 * HOUR),
        Scene(no_figures, {"no-figures": (BEGINS + 14, ENDS)}),
        Scene(index_away, {"index-unavailable": (BEGINS + 4, ENDS), "stored-for-retry": (BEGINS + 25, ENDS + 5)}),
        Scene(index_away_with_a_file_every_20_minutes,
              {"index-unavailable": (BEGINS + 4, ENDS), "stored-for-retry": (BEGINS + 25, ENDS + 5)}),
        Scene(index_away_and_then_no_worker,
              {"index-unavailable": (BEGINS + 4, ENDS), "no-poll": (BEGINS + 34, ENDS)}),
        Scene(one_document_rejected, {"stored-for-retry": (BEGINS + 25, ENDS + 5)}),
        Scene(one_record_parked, {"parked": (BEGINS, ENDS + 5)}),
        Scene(held_for_a_budget, {}),
        Scene(spilled, {"spilled": (BEGINS, ENDS + 5)}),
        Scene(dead_letters_in_two_places, {"dlq-depth": (BEGINS + 4, ENDS)}),
        Scene(dead_letters_without_figures, {"dlq-depth": (BEGINS + 4, ENDS)}, namespace=""),
        Scene(an_old_dead_letter, {"dlq-age": (4 * HOUR + 5, 10 * HOUR + 5)}, minutes=16 * HOUR),
        Scene(a_dead_letter_about_to_expire, {"dlq-age": (5, 10 * HOUR + 5), "dlq-expiry": (4 * HOUR + 5, 10 * HOUR + 5)},
              minutes=16 * HOUR),
        Scene(an_old_dead_letter_and_then_no_stats,
              {"dlq-age": (5, 10 * HOUR + 5), "no-dlq-figures": (4 * HOUR + 5, 10 * HOUR + 5)}, minutes=16 * HOUR),
        Scene(no_stats, {"no-dlq-figures": (4 * HOUR + 5, 10 * HOUR + 5)}, minutes=16 * HOUR),
        Scene(a_dead_letter_for_a_day, {"dlq-waiting": (DAY, 29 * HOUR)}, minutes=32 * HOUR, namespace=""),
        Scene(errors, {"error-rate": (BEGINS + 7, ENDS + 2)}),
        Scene(every_file_fails_at_one_every_20_minutes, {}),
        Scene(braked, {"braked": (BEGINS, ENDS)}),
        Scene(archived, {"archived": (BEGINS, BEGINS + 15)}),
        Scene(delete_failures, {"delete-failures": (BEGINS + 5, ENDS + 5)}),
    )
}  # fmt: skip


@pytest.mark.parametrize("scene", SCENES.values(), ids=[act.__name__ for act in SCENES])
def test_what_is_wrong_fires_its_alarms_and_no_others_and_its_end_clears_them(scene):
    found = history(Fleet(scene.act, scene.minutes), namespace=scene.namespace)
    rings = {name: [minute for minute, state in enumerate(states) if state == ALARM] for name, states in found.items()}
    assert {name for name, minutes in rings.items() if minutes} == set(scene.alarms)
    for name, (first, last) in scene.alarms.items():
        minutes = rings[name]
        assert minutes == list(range(minutes[0], minutes[-1] + 1)), f"{name} comes and goes"
        assert first <= minutes[0] <= first + SLACK, name
        assert last - SLACK <= minutes[-1] <= last + SLACK, name


@pytest.mark.parametrize(("act", "name"), [(no_figures, "no-figures"), (no_stats, "no-dlq-figures")])
def test_figures_that_never_came_are_missed_whatever_fill_makes_of_that(act, name):
    for fills_nothing in (True, False):
        found = history(Fleet(lambda fleet, _: act(fleet, 3 * HOUR - 1), 6 * HOUR), fills_nothing=fills_nothing)
        assert found[name][-1] == ALARM


def test_every_alarm_is_tested():
    fired = {name for scene in SCENES.values() for name in scene.alarms}
    assert fired == {one.name for one in alarms()}


def test_what_notifies_nobody_is_a_part_of_an_alarm_that_does():
    resources = alarm_resources()
    rules = " ".join(one["AlarmRule"] for one in resources.values() if "AlarmRule" in one)
    for name, one in resources.items():
        assert bool(one.get("AlarmActions")) == bool(one.get("OKActions")) == (f'"{name}"' not in rules)
