"""Turns: in one manager at a time, which tries again after a failure, and lets the lease go at the end."""

import threading
import time

from recovery.manager.turns import Turns
from worker.core.base.errors import StoreError
from worker.core.base.liveness import Liveness


def turns(ledger, turn, holder="a", stop=None, **more):
    made = stop or threading.Event()
    return Turns("lease", turn, ledger, holder=holder, every_s=0.01, stop=made, **more)


def test_only_the_manager_that_holds_the_lease_takes_turns(ledger):
    taken = []
    first, second = (turns(ledger, lambda beat, name=name: taken.append((name, beat())), name) for name in ("a", "b"))
    for one in (first, second, first):
        one.once(Liveness(60))
    assert taken == [("a", True), ("a", True)]
    first._let_go()
    second.once(Liveness(60))
    assert taken[-1] == ("b", True)


def test_a_failure_is_a_problem_until_a_turn_succeeds(ledger):
    errors = [StoreError("down", code="SlowDown"), StoreError("down", code="SlowDown")]

    def turn(_beat):
        if errors:
            raise errors.pop()

    one = turns(ledger, turn)
    one.once(Liveness(60))
    assert one.problem == "down"
    one.once(Liveness(60))
    one.once(Liveness(60))
    assert one.problem == ""


def test_it_ends_when_it_is_stopped_and_lets_the_lease_go(ledger):
    stop, taken = threading.Event(), threading.Event()
    one = turns(ledger, lambda _: taken.set(), stop=stop)
    thread = threading.Thread(target=one.run, args=(Liveness(60),))
    thread.start()
    assert taken.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert ledger.claim("lease", "b", 60) is not None


def test_a_turn_learns_that_it_has_to_end(ledger):
    stop, said = threading.Event(), []

    def turn(beat):
        said.append(beat())
        stop.set()
        said.append(beat())

    turns(ledger, turn, stop=stop).once(Liveness(60))
    assert said == [True, False]
    assert time.monotonic() > 0
