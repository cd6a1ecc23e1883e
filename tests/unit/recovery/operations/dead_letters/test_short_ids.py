"""An operator types the beginning of an id: it is taken only where it means one dead letter, wherever that is."""

import threading

import pytest

from recovery.operations.abandon import AbandonRequest, ArchivedAs, abandon
from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Ids
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.dead_letters.short_ids import AmbiguousIdError, PartlyReadError, as_argument, ids_of, whole
from recovery.operations.find import FindRequest, claiming, find
from recovery.operations.restore import RestoreRequest, plan_restore
from recovery.operations.transfer.targets import dlq_target
from testing.fakes import Fakes
from worker.core.audit import Run
from worker.core.base.errors import StoreError

WHOLE = "5f0c3a91-0000-4000-8000-00000000000{}"
ONE, OTHER, THIRD = WHOLE.format(1), WHOLE.format(2), "77ab9012-0000-4000-8000-000000000003"
STOP = threading.Event()


@pytest.fixture
def clients(fakes):
    return DlqClients(fakes.dlq, fakes.s3, fakes.state, load_types(None))


def found(clients, *typed):
    with claiming(clients, Run.new("dlq list", action="list", by="op@host")) as claims:
        selected = find(clients, claims, FindRequest(ids_of(typed)), stop=STOP)
    return sorted(one.id for one in selected.dead_letters), selected.missing


def test_what_was_typed_is_a_whole_id_or_a_beginning_of_six_characters():
    assert ids_of([f" {ONE} ", "77ab90…", "5f0c3a..."]) == Ids(frozenset({ONE}), frozenset({"77ab90", "5f0c3a"}))
    for short in ("5f0c3", "5f0c3…", "", "  "):
        with pytest.raises(ValueError, match=r"is too short: it should be an id, or at least its first 6 characters"):
            ids_of([ONE, short])
    assert ids_of([], ["m1", "5f0c3a"]) == Ids(frozenset({"m1"}), frozenset({"5f0c3a"}))


@pytest.mark.parametrize(
    ("name", "typed"), [(ONE, ONE), ("m1", "--message-id m1"), ("-force-all", "--message-id -force-all")]
)
def test_an_id_of_sqs_is_an_argument_and_another_an_option(name, typed):
    assert as_argument(name) == typed


def test_a_beginning_finds_its_dead_letter_in_the_queue_and_in_the_state_bucket(fakes, clients):
    fakes.dead_letter(ONE, "a.txt", failure={"source_message_id": THIRD, "source_queue": "http://sqs/q/source"})
    fakes.store(ONE)  # under the id that it had in its source queue
    assert found(clients, "77ab90") == ([THIRD], ())
    assert found(clients, "5f0c3a") == ([THIRD], ()), "by the id that it had in the DLQ"
    fakes.dead_letter(OTHER, "b.txt")
    assert found(clients, "77ab90", OTHER, "abcdef") == (sorted([THIRD, OTHER]), ("abcdef",))
    with pytest.raises(AmbiguousIdError):
        found(clients, "5f0c3a")
    assert not fakes.dlq.hidden


def test_a_beginning_that_fits_several_is_refused_with_all_of_them(fakes, clients):
    fakes.dead_letter(ONE, "a.txt", failure={"error_type": "OSError"})
    fakes.dead_letter(OTHER, "b.txt")
    fakes.store(OTHER)
    with pytest.raises(AmbiguousIdError, match="'5f0c3a' fits 2 messages; give more characters") as refused:
        found(clients, "5f0c3a")
    assert sorted(one.id for one in refused.value.fitting) == [ONE, OTHER]
    assert not fakes.dlq.hidden
    assert found(clients, ONE) == ([ONE], ()), "a whole id is never taken for a beginning"


def test_a_forged_record_does_not_take_the_place_of_a_dead_letters_own_id(fakes, clients):
    fakes.dead_letter(ONE, "a.txt")
    fakes.dead_letter(THIRD, "b.txt", failure={"source_message_id": OTHER, "source_queue": "http://sqs/q/source"})
    assert found(clients, "5f0c3a") == ([ONE], ())


@pytest.mark.parametrize("where", ["in the DLQ", "stored"])
@pytest.mark.parametrize("forged", ["5f0c3a", ONE, OTHER])
def test_a_name_that_is_only_claimed_never_takes_the_place_of_an_id_of_sqs(fakes, clients, forged, where):
    fakes.dead_letter(ONE, "a.txt")
    if where == "stored":
        fakes.store(ONE)
    fakes.dead_letter(THIRD, "b.txt", failure={"source_message_id": forged, "source_queue": "http://sqs/q/source"})
    assert found(clients, "5f0c3a") == ([ONE], ())
    assert found(clients, ONE) == ([ONE], ())


def test_a_claimed_name_does_not_hide_the_id_that_a_stored_dead_letter_had(fakes, clients):
    fakes.dead_letter(ONE, "a.txt", failure={"source_message_id": OTHER, "source_queue": "http://sqs/q/source"})
    assert (fakes.store(ONE).dead_letter.id, found(clients, "77ab90")) == (OTHER, ([], ("77ab90",)))
    fakes.dead_letter(THIRD, "b.txt", failure={"source_message_id": ONE, "source_queue": "http://sqs/q/source"})
    assert found(clients, ONE) == found(clients, "5f0c3a") == ([OTHER], ())


def test_a_claimed_name_is_found_where_no_other_fits(fakes, clients):
    fakes.dead_letter(THIRD, "b.txt", failure={"source_message_id": "5f0c3a", "source_queue": "http://sqs/q/source"})
    assert found(clients, "5f0c3a") == ([THIRD], ())


def test_a_beginning_is_refused_if_not_every_dead_letter_could_be_read(fakes, clients):
    fakes.dead_letter(ONE, "a.txt")
    fakes.faults.add("state.list", StoreError("denied", code="AccessDenied"))
    with pytest.raises(
        PartlyReadError, match=r"'5f0c3a': give the whole id; .* dead-letters/ could not be read: denied"
    ):
        found(clients, "5f0c3a")
    assert not fakes.dlq.hidden
    assert found(clients, ONE) == ([ONE], ())


def test_copies_with_one_id_are_found_together_as_by_the_whole_id(fakes, clients):
    for name in (ONE, OTHER):
        fakes.dead_letter(name, "a.txt", failure={"source_message_id": THIRD, "source_queue": "http://sqs/q/source"})
    assert found(clients, "77ab90") == found(clients, THIRD) == ([ONE, OTHER], ())


def test_a_whole_id_of_another_make_is_taken_before_what_it_begins():
    dead_letters = [fitting(name) for name in ("order-1", "order-12")]
    assert whole(ids_of(["order-1"]), dead_letters).names == {"order-1"}
    with pytest.raises(AmbiguousIdError):
        whole(ids_of(["order-"]), dead_letters)


def fitting(name):
    fakes = Fakes()
    fakes.dead_letter(name, "a.txt")
    return fakes.store(name).dead_letter


def test_a_beginning_is_restored_from_the_archive(fakes, clients):
    fakes.dead_letter(ONE, "a.txt", failure={"source_message_id": THIRD, "source_queue": "http://sqs/q/source"})
    fakes.dead_letter(OTHER, "b-5f0c3a.txt")
    run = Run.new("dlq delete", action="delete", by="op@host")
    with claiming(clients, run) as claims:
        which = FindRequest(Ids(frozenset({ONE, OTHER})))
        request = AbandonRequest(run, which, "x", ArchivedAs.DELETED)
        abandon(clients, fakes.state, claims, request, find(clients, claims, which, stop=STOP), stop=STOP)

    def planned(*typed):
        plan = plan_restore(fakes.state, RestoreRequest(run, ids=ids_of(typed)), dlq_target(clients))
        return [one.dead_letter.id for one in plan.entries], plan.missing

    assert planned(ONE[:-1] + "1") == planned("77ab90") == ([ONE], ())
    assert planned(OTHER, "abcdef") == ([OTHER], ("abcdef",))
    with pytest.raises(AmbiguousIdError):
        planned("5f0c3a")


def test_a_beginning_in_the_archive_may_be_that_of_an_id_that_another_had(fakes, clients):
    for name in (ONE, OTHER):
        fakes.dead_letter(name, f"{name}.txt", failure=None if name == ONE else {
            "source_message_id": THIRD, "source_queue": "http://sqs/q/source",
        })  # fmt: skip
    fakes.store(OTHER)  # as THIRD, which was OTHER in the DLQ
    run = Run.new("dlq delete", action="delete", by="op@host")
    with claiming(clients, run) as claims:
        which = FindRequest(Ids(frozenset({ONE, THIRD})))
        request = AbandonRequest(run, which, "x", ArchivedAs.DELETED)
        abandon(clients, fakes.state, claims, request, find(clients, claims, which, stop=STOP), stop=STOP)
    with pytest.raises(AmbiguousIdError):
        plan_restore(fakes.state, RestoreRequest(run, ids=ids_of(["5f0c3a"])), dlq_target(clients))
