"""The result as a page for a browser: one file that needs nothing else, with counts and bytes by prefix, charts and examples."""

import html
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from recovery.operations.reconciling.request import LOST, STATES, Reconciled, ReconcileState
from recovery.operations.reconciling.work_file import OTHERS, PrefixCount
from worker.core.base.text import one_line

COLOURS = {
    ReconcileState.SKIPPED: "#9aa5b1", ReconcileState.YOUNG: "#7cb5ec", ReconcileState.CURRENT: "#2e8b57",
    ReconcileState.WAITING: "#e4b429", ReconcileState.PARKED: "#d98c1f", ReconcileState.DEAD: "#b0643a",
    ReconcileState.ARCHIVED: "#7a5c99", ReconcileState.STALE: "#e05c5c", ReconcileState.MISSING: "#a61c1c",
}  # fmt: skip
"""The colour of each state in charts; the numbers stand beside them."""
_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Reconciliation</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #1c2430; }
table { border-collapse: collapse; margin: 1em 0; } td, th { padding: .2em .8em .2em 0; text-align: right; }
td:first-child, th:first-child { text-align: left; overflow-wrap: anywhere; } tr { border-bottom: 1px solid #dde3ea; }
.bar { display: flex; height: 1.2em; min-width: 16em; background: #eef1f5; } .bar span { display: block; }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
</style></head><body>
"""


@dataclass(frozen=True, slots=True)
class PagePart:
    """What the page shows of one place."""

    result: Reconciled
    prefixes: Sequence[PrefixCount]


def page(parts: Sequence[PagePart], *, by: str) -> Iterator[bytes]:
    """The page, piece by piece; `by` is who made it."""
    yield _HEAD.encode()
    made = datetime.now(UTC).isoformat(timespec="minutes")
    yield f"<h1>Reconciliation</h1><p>{made} by {_text(by)}</p>".encode()
    for part in parts:
        yield "".join(_part(part)).encode()
    yield b"</body></html>\n"


def _part(part: PagePart) -> Iterator[str]:
    found = part.result
    verdict = "Everything is accounted for." if found.is_accounted else f"{found.unaccounted:,} are not accounted for."
    yield f"<h2>{_text(str(found.place))}</h2><p><strong>{verdict}</strong> "
    yield f"{found.objects:,} objects, {found.size_bytes:,} bytes, {found.documents:,} documents.</p>"
    if found.unsettled:
        yield f"<p>{found.unsettled:,} messages were waiting: what is missing may be on its way.</p>"
    yield _bar({state: found.states[state] for state in STATES})
    rows = [(_key(state) + state.value, f"{found.states[state]:,}") for state in STATES]
    rows += [
        ("documents without an object", f"{found.orphans:,}"),
        ("documents with a version from the future", f"{found.future:,}"),
        ("current objects that are dead letters too", f"{found.current_dead:,}"),
        ("skipped objects in the index", f"{found.skipped_indexed:,}"),
    ]
    yield _table(("state", "objects"), rows)
    yield "<h3>By prefix</h3>"
    yield _table(
        ("prefix", "objects", "bytes", *(state.value for state in LOST), "states"), _prefix_rows(part.prefixes)
    )
    for name, keys in found.examples.items():
        yield f"<h3>Such as, {_text(name)}</h3><ul>"
        yield "".join(f"<li><code>{_text(key)}</code></li>" for key in keys)
        yield "</ul>"


def _prefix_rows(counts: Sequence[PrefixCount]) -> Iterator[tuple[str, ...]]:
    for prefix in dict.fromkeys(one.prefix for one in counts):
        of = [one for one in counts if one.prefix == prefix]
        states = {one.state: one.objects for one in of}
        name = "all others" if prefix == OTHERS else f"<code>{_text(prefix or '(no prefix)')}</code>"
        yield (
            name,
            f"{sum(states.values()):,}",
            f"{sum(one.size_bytes for one in of):,}",
            *(f"{states.get(state, 0):,}" for state in LOST),
            _bar(states),
        )


def _bar(counts: dict[ReconcileState, int]) -> str:
    """A chart of the shares, which says the same to who does not see it."""
    total = max(1, sum(counts.values()))
    shares = [(state, counts[state]) for state in STATES if counts.get(state)]
    said = ", ".join(f"{state.value} {count:,}" for state, count in shares) or "nothing"
    spans = "".join(
        f'<span style="width:{100 * count / total:.3f}%;background:{COLOURS[state]}"></span>' for state, count in shares
    )
    return f'<div class="bar" role="img" aria-label="{said}" title="{said}">{spans}</div>'


def _key(state: ReconcileState) -> str:
    return f'<span class="key" style="background:{COLOURS[state]}"></span>'


def _table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    """Untrusted text, as it is shown: keys may contain markup and control characters."""
    return html.escape(one_line(text))
