"""Show what was measured: recall by format, CPU and wall time by format, and each phrase that was not found."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from benchmarks.recall.compare import Asked, Measured
from benchmarks.recall.cost import Cost
from benchmarks.recall.explanations import Explanation, reason


def table(found: list[Measured], labels: list[str], explanations: list[Explanation]) -> Iterator[str]:
    """The lines of a table: for each format the files, the phrases, and the share that each version has.

    Phrases in embedded documents (attachments, objects) are counted apart. `right` is the share of the first version without
    the phrases which the tool is known to have wrong.
    """
    shares = "".join(f"{label:>15}" for label in labels)
    yield f"{'format':8}{'files':>7}{'phrases':>9}{shares}{'right':>9}{'embedded':>11}{shares}"
    by_format: dict[str, list[Measured]] = defaultdict(list)
    for one in found:
        by_format[one.format].append(one)
    for form, files in [*sorted(by_format.items()), ("all", found)]:
        own = [asked for one in files for asked in one.phrases if not asked.is_embedded]
        inside = [asked for one in files for asked in one.phrases if asked.is_embedded]
        right = [
            asked
            for one in files
            for asked in one.phrases
            if not asked.is_embedded and not _is_wrong(explanations, one.file, asked, labels[0])
        ]
        cells = "".join(f"{_share(own, label):>15}" for label in labels) + f"{_share(right, labels[0])[-7:]:>9}"
        cells += f"{len(inside) or '':>11}" + "".join(f"{_share(inside, label):>15}" for label in labels)
        yield f"{form:8}{len(files):>7}{len(own):>9}{cells}".rstrip()


def _is_wrong(explanations: list[Explanation], file: str, asked: Asked, label: str) -> bool:
    """Whether a phrase that was not found is known to be the tool's mistake."""
    because = None if asked.found[label] else reason(explanations, file, asked)
    return because is not None and not because.is_ours


def _share(asked: list[Asked], label: str) -> str:
    found = sum(one.found[label] for one in asked)
    return f"{found} {100 * found / len(asked):6.2f}%" if asked else ""


def misses(found: Iterable[Measured], label: str, explanations: list[Explanation]) -> Iterator[str]:
    """Each file in which a version lacks a phrase, and these phrases, with the explanation if there is one."""
    for one in sorted(found, key=lambda one: (one.format, one.file)):
        lacking = [asked for asked in one.phrases if not asked.found[label]]
        if lacking:
            yield f"{one.file}  ({one.status[label]})"
            for asked in lacking:
                part = f", in {asked.part}" if asked.part else ""
                because = reason(explanations, one.file, asked)
                why = f": {because.because}" if because else ""
                yield f"    {' '.join(asked.words.split())!r}  ({asked.said_by}{part}){why}"


def explained(found: Iterable[Measured], label: str, explanations: list[Explanation]) -> Iterator[str]:
    """How many misses have which explanation, and how many have none."""
    reasons: Counter[str] = Counter()
    for one in found:
        for asked in one.phrases:
            if not asked.found[label]:
                because = reason(explanations, one.file, asked)
                reasons[because.because if because else "not explained"] += 1
    for sentence, count in reasons.most_common():
        yield f"{count:>5} not found: {sentence}"


def cost_table(costs: list[Cost]) -> Iterator[str]:
    """The lines of a table: for each format the mean CPU and wall time per file, in milliseconds."""
    names = list(dict.fromkeys(cost.name for cost in costs))
    yield f"{'ms a file':10}" + "".join(f"{name + ' cpu':>16}{'wall':>9}" for name in names)
    for form in [*sorted({cost.format for cost in costs}), "all"]:
        cells = ""
        for name in names:
            own = [cost for cost in costs if cost.name == name and form in {cost.format, "all"}]
            files = sum(cost.files for cost in own) or 1
            cpu_ms, wall_ms = (
                1000 * sum(times) / files for times in zip(*((c.cpu_s, c.wall_s) for c in own), strict=True)
            )
            cells += f"{cpu_ms:>16.1f}{wall_ms:>9.1f}"
        yield f"{form:10}{cells}"


def record(found: list[Measured], costs: list[Cost], about: dict[str, Any]) -> dict[str, Any]:
    """All that was measured, for JSON."""
    return {**about, "costs": [asdict(cost) for cost in costs], "files": [asdict(one) for one in found]}
