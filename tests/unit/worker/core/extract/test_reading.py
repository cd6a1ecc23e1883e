"""What is read of a file: part by part, and bounded."""

import pytest

from worker.core.extract.faults import EncryptedError, MachineError
from worker.core.extract.reading import MAX_MISSED, EnoughError, Reading


def test_blocks_stand_on_lines_of_their_own_and_empty_ones_are_left_out() -> None:
    reading = Reading(100)
    for text in ("one", "", " \n", "two\n", "\n  three"):
        reading.add(text)
    assert reading.text == "one\ntwo\n  three"


def test_reading_ends_once_there_is_more_than_is_kept() -> None:
    reading = Reading(10)
    reading.add("0123456789")
    with pytest.raises(EnoughError):
        reading.add("x")
    assert reading.text == "0123456789\nx"


def test_a_broken_part_is_named_and_the_next_one_is_read() -> None:
    reading = Reading(100)
    numbers: dict[str, int] = {}
    with reading.part("comments"):
        reading.add("before")
        reading.add(str(numbers["id"]))
    with reading.part("notes"):
        reading.add("after")
    assert reading.text == "before\nafter"
    assert reading.missed == ["comments: 'id'"]


@pytest.mark.parametrize("error", [EnoughError(), EncryptedError("x"), MachineError("x"), MemoryError()])
def test_what_concerns_the_whole_file_is_not_the_fault_of_a_part(error: Exception) -> None:
    with pytest.raises(type(error)), Reading(10).part("notes"):
        raise error


def test_only_so_many_faults_are_named_each_once() -> None:
    reading = Reading(10)
    for number in range(100):
        reading.miss(f"part {number // 2}")
    assert reading.missed == [f"part {number}" for number in range(MAX_MISSED)]
