"""Measure a folder: sample phrases from what the independent tools read in each file, and look for them in what we read."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.recall.independent import TWO_MUST_AGREE, Tool, format_of, read_by
from benchmarks.recall.ours import Ours
from benchmarks.recall.packages import declared
from benchmarks.recall.phrases import Block, Sample, Searchable, sampled


@dataclass(frozen=True, slots=True)
class Asked:
    """A phrase that is in a file, and who says so."""

    words: str
    said_by: str
    part: str
    found: dict[str, bool]
    """Whether each version of the worker has it."""

    @property
    def is_embedded(self) -> bool:
        """Whether it is in a document inside the file: Tika gives the path to it."""
        return self.part.startswith("/")


@dataclass(frozen=True, slots=True)
class Measured:
    """One file."""

    file: str
    format: str
    status: dict[str, str]
    """What each version of the worker says of the file: its status, and its error if there is one."""
    phrases: list[Asked] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """The tools that could not read it, and why."""


class Reads(Protocol):
    """A version of the worker."""

    def read(self, path: Path, /) -> Ours:
        """What it reads in a file."""


MAKER = "its maker"
"""Who says that a known phrase is in a file."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known to be in a file."""

    said: list[tuple[str, Sample]]
    """Phrases, each with who says that it is there."""
    failed: dict[str, str] = field(default_factory=dict)
    """The tools that could not read it, and why."""


def measured(
    files: Iterable[Path], base: Path, truth_of: Callable[[Path], Truth], readers: Mapping[str, Reads]
) -> Iterator[Measured]:
    """Measure files, named from `base` on, with these versions of the worker. Raises NoReaderError."""
    for path in files:
        truth = truth_of(path)
        ours = {label: reader.read(path) for label, reader in readers.items()}
        texts = {label: Searchable(one.texts) for label, one in ours.items()}
        phrases = [
            Asked(
                one.words,
                by,
                one.part,
                {label: text.has(one.words, exact=by != MAKER) for label, text in texts.items()},
            )
            for by, one in truth.said
        ]
        status = {label: _said(one) for label, one in ours.items()}
        yield Measured(path.relative_to(base).as_posix(), format_of(path), status, phrases, truth.failed)


def told_by(tools: list[Tool], known: Mapping[Path, list[str]]) -> Callable[[Path], Truth]:
    """The truth of files: phrases that whoever made a file says are in it, and those that the tools read."""

    def truth_of(path: Path) -> Truth:
        failed: dict[str, str] = {}
        made = [(MAKER, Sample(words)) for words in known.get(path, ())]
        return Truth([*made, *_truth(path, tools, failed)], failed)

    return truth_of


def told_before(record: Path, base: Path) -> Callable[[Path], Truth]:
    """The truth of files as an earlier measurement of the same folder recorded it. Raises OSError, ValueError, KeyError."""
    earlier = {
        base / one["file"]: Truth(
            [(asked["said_by"], Sample(asked["words"], asked["part"])) for asked in one["phrases"]], one["failed"]
        )
        for one in json.loads(record.read_text())["files"]
    }
    return lambda path: earlier.get(path, Truth([]))


def _said(one: Ours) -> str:
    return f"{one.status}: {one.error}" if one.error else one.status


def _truth(path: Path, tools: list[Tool], failed: dict[str, str]) -> list[tuple[str, Sample]]:
    """What the tools say is in a file: each alone, or the first two that can read it, where they agree."""
    form = format_of(path)
    seed = hashlib.sha256(path.read_bytes()).hexdigest()
    able = [tool for tool in tools if tool.reads(form)]
    if form not in TWO_MUST_AGREE:
        return [(name, sample) for name, blocks in _read(able, path, failed) for sample in sampled(blocks, seed)]
    if form == "txt" and (by_folder := declared(path)):
        return [(name, one) for name, blocks in _read([by_folder], path, failed) for one in sampled(blocks, seed)]
    both = _first_two(_read(able, path, failed))
    if len(both) < 2:
        return [(f"{name} alone", sample) for name, blocks in both for sample in sampled(blocks, seed)]
    (first, blocks), (second, others) = both
    confirmed: Callable[[str], bool] = Searchable(block.text for block in others).has
    return [(f"{first} and {second}", sample) for sample in sampled(blocks, seed, confirmed)]


def _first_two(readings: Iterator[tuple[str, list[Block]]]) -> list[tuple[str, list[Block]]]:
    return [reading for reading, _ in zip(readings, range(2), strict=False)]


def _read(tools: list[Tool], path: Path, failed: dict[str, str]) -> Iterator[tuple[str, list[Block]]]:
    for tool in tools:
        try:
            yield tool.name, read_by(tool, path)
        except Exception as error:  # noqa: BLE001 (a library may fail in any way)
            failed[tool.name] = f"{type(error).__name__}: {error}"[:200]
