"""Display results on a terminal, for all commands. Untrusted text is first reduced to one harmless line."""

from collections.abc import Sequence

from rich.text import Text

from worker.checks import Check
from worker.core.base.errors import ExitCode
from worker.core.base.text import exact, one_line, printable
from worker.core.index import Hit
from worker.core.index.highlight import pieces
from worker.layout import show
from worker.tables import Column, Table
from worker.terminal import print_json, stdout

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}
_CHECK_COLUMNS = (
    Column(""), Column("check", text=True, lines=None), Column("ms", right=True),
    Column("what was found", text=True, lines=None, least=60, is_named=False),
)  # fmt: skip
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def hit_text(hit: Hit) -> Text:
    """One hit: its address, its properties, and the passages that match."""
    text = Text.assemble((exact(f"s3://{hit.bucket}/{hit.key}"), "bold"))
    text.append("\n  " + " · ".join(_facts(hit)), "dim")
    for fragment in hit.highlights:
        text.append("\n  … ")
        for part, is_match in pieces(fragment):
            text.append(one_line(part), "bold yellow" if is_match else "")
    return text


def size(count: int) -> str:
    """A number of bytes in a readable unit: `512 bytes`, `4.2 MiB`."""
    number, unit = float(count), 0
    while number >= 1024 and unit < len(_UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.1f} {_UNITS[unit]}" if unit else f"{count} bytes"


def _facts(hit: Hit) -> list[str]:
    """Type, size and age, as far as the index has them; their types may differ in an index that we did not create."""
    kind, modified = hit.fields.get("mime_type"), hit.fields.get("last_modified")
    found = [one_line(kind)] if isinstance(kind, str) else []
    if hit.size_bytes is not None:
        found.append(size(hit.size_bytes))
    if hit.modified is not None:
        found.append(hit.modified.strftime("%Y-%m-%d %H:%M %Z"))
    elif isinstance(modified, str):
        found.append(one_line(modified))
    return found


def show_checks(checks: Sequence[Check], *, as_json: bool) -> ExitCode:
    """Print the results of checks; the exit code of a `doctor`."""
    if as_json:
        print_json(checks)
    else:
        show(stdout(), checks_table(checks))
    return ExitCode.NOT_FOUND if any(check.level == "error" for check in checks) else ExitCode.OK


def checks_table(checks: Sequence[Check]) -> Table:
    """The results of checks, with what to do about each."""
    rows: list[tuple[Text | str | int, ...]] = []
    for check in checks:
        mark, style = _MARKS[check.level]
        found = Text(printable(check.what))
        if check.hint:
            found.append(f"\n→ {printable(check.hint)}", style)
        rows.append((Text(mark, style), check.name, round(check.took_ms), found))
    return Table(_CHECK_COLUMNS, rows)
