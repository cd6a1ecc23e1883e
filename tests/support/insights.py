"""Queries of CloudWatch Logs Insights as far as docs/logs.md uses them, over the journal as the CloudWatch agent sends it.

Only which lines a query leaves, and with which fields: it is not run anywhere else in tests. `sort`, `limit`, `display` and
the functions of `stats` change nothing about that.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
_PARSE = re.compile(r"parse body\.MESSAGE /(.*)/")
_CONDITION = re.compile(r'([\w.]+) (not like|like|=|<=) (?:/(.*?)/|"(.*?)"|(\d+))')
_BY = re.compile(r"stats .* by (.*)")

Row = dict[str, str]


def queries(name: str) -> dict[str, str]:
    """The queries of docs/NAME, by the sentence in bold before each."""
    return dict(
        re.findall(r"^\*\*([^\n]+)\*\*\n\n```\n(.*?)\n```$", (DOCS / name).read_text(), re.MULTILINE | re.DOTALL)
    )


def selected(query: str, rows: Iterable[Row]) -> list[Row]:
    """The rows that are left, with the fields that the query took out of them."""
    found = [dict(row) for row in rows]
    for step in (one.strip() for one in query.split("\n| ")):
        if parse := _PARSE.fullmatch(step):
            pattern = re.compile(re.sub(r"\(\?<(\w+)>", r"(?P<\1>", parse[1]))
            for row in found:
                if match := pattern.search(row["body.MESSAGE"]):
                    row.update(match.groupdict())
        elif step.startswith("filter "):
            found = [row for row in found if _holds(step.removeprefix("filter "), row)]
        else:
            assert step.split()[0] in {"fields", "display", "sort", "limit", "stats"}, step
    return found


def columns(query: str) -> set[str]:
    """The fields by which a query groups."""
    by = _BY.search(query)
    return {one for one in (by[1].split(", ") if by else []) if "(" not in one}


def _holds(condition: str, row: Row) -> bool:
    parts = condition.split(" or ")
    assert all(_CONDITION.fullmatch(part) for part in parts), condition
    return any(_each(parts, row))


def _each(parts: Iterable[str], row: Row) -> Iterator[bool]:
    for part in parts:
        match = _CONDITION.fullmatch(part)
        assert match is not None
        name, operator, pattern, text, number = match.groups()
        value = row.get(name)
        if operator == "=":
            yield value == text
        elif operator == "<=":
            yield value is not None and int(value) <= int(number)
        else:
            yield value is not None and (re.search(pattern, value) is not None) == (operator == "like")
