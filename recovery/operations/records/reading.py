"""Reads many records of the state bucket, a few at once, in the order of their keys."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

READERS = 16
"""Number of records that are read at once."""


def read_all(keys: Iterable[str], read_one: Callable[[str], T | None]) -> Iterator[T]:
    """What is read under each key, in order, without what is None. Raises what listing and `read_one` raise."""
    remaining = iter(keys)
    with ThreadPoolExecutor(READERS, thread_name_prefix="records") as pool:
        while batch := list(islice(remaining, READERS * 4)):
            yield from (found for found in pool.map(read_one, batch) if found is not None)
