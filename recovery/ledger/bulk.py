"""Finds, inserts and updates many rows in the quickest way of each database.

SQLAlchemy prepares each statement, and each parameter of each row, which takes most of the time on SQLite; the driver is given
plain text and plain tuples instead. PostgreSQL is given each column as an array, so that a statement is sent for each table,
not for each row.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import JSON, Boolean, Connection, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from recovery.ledger.schema import GRAMS


def select_in(connection: Connection, query: str, names: Iterable[str]) -> Sequence[Any]:
    """The rows of a query without parameters that ends with a column of texts, of which only these values are wanted."""
    wanted = tuple(names)
    if not wanted:
        return []
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql(f"{query} IN ({', '.join('?' * len(wanted))})", wanted).all()
    return connection.exec_driver_sql(f"{query} = ANY(CAST(%s AS text[]))", (list(wanted),)).all()


def last_number(connection: Connection, table: Table) -> int:
    """The greatest `id` of a table; 0 where it is empty."""
    return int(connection.exec_driver_sql(f"SELECT coalesce(max(id), 0) FROM {table.name}").scalar_one())  # noqa: S608


def insert_many(
    connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, suffix: str = ""
) -> None:
    """Insert rows, given in the order of the columns. An array is given as one text, separated by spaces.

    `suffix` follows the values, such as ON CONFLICT.
    """
    found = [tuple(row) for row in rows]
    if not found:
        return
    names = _names(columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks}) {suffix}", found)  # noqa: S608
    else:
        values = ", ".join(_received(name, table) for name in columns)
        statement = f"INSERT INTO {table.name} ({names}) SELECT {values} FROM {_rows(table, columns)} {suffix}"  # noqa: S608
        connection.exec_driver_sql(statement, _by_column(found))


def update_many(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Set these columns of rows that are given by their `id`, which comes last in each."""
    found = [tuple(row) for row in rows]
    if not found:
        return
    if connection.dialect.name == "sqlite":
        settings = ", ".join(f'"{name}" = ?' for name in columns)
        connection.exec_driver_sql(f"UPDATE {table.name} SET {settings} WHERE id = ?", found)  # noqa: S608
    else:
        settings = ", ".join(f'"{name}" = {_received(name, table)}' for name in columns)
        rows_of = _rows(table, [*columns, "id"])
        statement = f"UPDATE {table.name} SET {settings} FROM {rows_of} WHERE {table.name}.id = u.id"  # noqa: S608
        connection.exec_driver_sql(statement, _by_column(found))


def insert_grams(connection: Connection, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert into FTS5's table, which SQLAlchemy cannot describe."""
    found = [tuple(row) for row in rows]
    if found:
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {GRAMS} ({', '.join(columns)}) VALUES ({marks})", found)  # noqa: S608


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _by_column(rows: list[tuple[Any, ...]]) -> tuple[list[Any], ...]:
    return tuple(map(list, zip(*rows, strict=True)))


def _rows(table: Table, columns: Sequence[str]) -> str:
    """The rows `u` that PostgreSQL makes of one array for each column."""
    arrays = ", ".join(f"CAST(%s AS {_sent_as(table.c[name].type)}[])" for name in columns)
    return f"unnest({arrays}) AS u ({_names(columns)})"


def _sent_as(type_: object) -> str:
    return "text" if isinstance(type_, Text | JSON | ARRAY) else "boolean" if isinstance(type_, Boolean) else "bigint"


def _received(name: str, table: Table) -> str:
    type_ = table.c[name].type
    if isinstance(type_, ARRAY):
        return f"string_to_array(u.\"{name}\", ' ')"
    return f'CAST(u."{name}" AS json)' if isinstance(type_, JSON) else f'u."{name}"'
