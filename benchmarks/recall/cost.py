"""CPU and wall time for the same files, format by format: each version of the worker with one child, and a warm Tika."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.recall.independent import format_of
from benchmarks.recall.ours import Reader
from benchmarks.recall.programs import Tika


@dataclass(frozen=True, slots=True)
class Cost:
    """What the files of one format cost."""

    name: str
    format: str
    files: int
    cpu_s: float
    wall_s: float
    slowest: list[tuple[str, float]]
    """The slowest files, with their wall time in seconds."""


def costs(files: list[Path], readers: Mapping[str, Reader], tika: Tika | None) -> list[Cost]:
    """Have all files read again, by each in turn, one file at a time; everything has been started and is warm."""
    found = []
    for form in sorted({format_of(path) for path in files}):
        group = [path for path in files if format_of(path) == form]
        for label, reader in readers.items():
            found.append(_timed(label, form, group, reader.cpu_s, _wall_of(reader)))
        if tika is not None:
            found.append(_timed("Tika", form, group, tika.cpu_s, tika.wall_s))
    return found


def _wall_of(reader: Reader) -> Callable[[Path], float]:
    return lambda path: reader.read(path).wall_s


def _timed(
    name: str, form: str, files: list[Path], cpu_s: Callable[[], float], wall_s: Callable[[Path], float]
) -> Cost:
    before = cpu_s()
    times = []
    for path in files:
        try:
            times.append((path.name, wall_s(path)))
        except (OSError, ValueError):  # Tika cannot read it; what it cost until then counts
            continue
    slowest = sorted(times, key=lambda one: -one[1])[:5]
    return Cost(name, form, len(files), cpu_s() - before, sum(seconds for _, seconds in times), slowest)
