"""The tables of the SQLite index, how documents are written into them, and how a query is translated to SQL."""

import sqlite3
import time
from datetime import UTC, datetime

import orjson

from worker.core.base.clock import FUTURE_MS
from worker.core.base.jsontypes import JsonObject
from worker.core.index import WriteResult, WriteStatus
from worker.core.index.document import Write, as_text
from worker.core.index.facets import FIELDS
from worker.core.index.query import OneOf, Query, Within, Word
from worker.core.index.text import Phrase, indexed, phrase

MAX_REASON_CHARS = 500
SCHEMA_VERSION = 1
TOKENS_VERSION = 2
"""Of the way in which text is cut in tokens (text.py); a file keeps that with which it was created, as its application_id."""
SCHEMA = """
PRAGMA application_id=2;                -- TOKENS_VERSION
CREATE TABLE IF NOT EXISTS documents (
    rowid INTEGER PRIMARY KEY,
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,           -- ms: the time of the observation
    file_extension TEXT,
    file_size INTEGER,
    last_modified INTEGER,              -- ms since the epoch
    source BLOB,                        -- JSON; NULL: removed at that version
    UNIQUE (bucket, key)
);
CREATE VIRTUAL TABLE IF NOT EXISTS text USING fts5(
    name, path, title, author, content,
    tokenize = "unicode61 remove_diacritics 2 categories 'L* N* Co So Sm'"
);
-- The weight of a match in each column.
INSERT OR REPLACE INTO text (text, rank) VALUES ('rank', 'bm25(8.0, 3.0, 5.0, 2.0, 1.0)');
"""
_UPSERT = """
INSERT INTO documents
    (bucket, key, version, file_extension, file_size, last_modified, source)
VALUES (?,?,?,?,?,?,?)
ON CONFLICT (bucket, key) DO UPDATE SET
    version=excluded.version, file_extension=excluded.file_extension, file_size=excluded.file_size,
    last_modified=excluded.last_modified, source=excluded.source
RETURNING rowid
"""
_INSERT_TEXT = "INSERT INTO text (rowid, name, path, title, author, content) VALUES (?,?,?,?,?,?)"
NEWEST_FIRST = "d.last_modified IS NULL, d.last_modified DESC, d.rowid"
_LEAST, _MOST = -(2**63), 2**63 - 1


def write_one(db: sqlite3.Connection, write: Write) -> WriteResult:
    """Write or remove one document, in the caller's transaction."""
    try:
        fields = _fields(write)
        write.key.encode()
    except ValueError as error:
        return WriteResult(WriteStatus.REJECTED, str(error)[:MAX_REASON_CHARS])
    held = db.execute(
        "SELECT rowid, version FROM documents WHERE bucket=? AND key=?", (write.bucket, write.key)
    ).fetchone()
    if held and held[1] > write.version:
        return WriteResult(WriteStatus.SUPERSEDED)
    if held and write.is_removal and write.version > time.time() * 1000 + FUTURE_MS:
        # what a wrong clock has dated is forgotten, as OpenSearch forgets it after index.gc_deletes: it would hide all that follows
        db.execute("DELETE FROM documents WHERE rowid=?", (held[0],))
        db.execute("DELETE FROM text WHERE rowid=?", (held[0],))
        return WriteResult(WriteStatus.WRITTEN)
    row = (write.bucket, write.key, write.version, *_columns(fields), write.source)
    rowid = db.execute(_UPSERT, row).fetchone()[0]
    if held:
        db.execute("DELETE FROM text WHERE rowid=?", (rowid,))
    if write.source is not None:
        db.execute(_INSERT_TEXT, (rowid, *_text(write.key, fields)))
    return WriteResult(WriteStatus.WRITTEN)


def _fields(write: Write) -> JsonObject:
    if write.source is None:
        return {}
    fields = orjson.loads(write.source)
    if not isinstance(fields, dict):
        raise ValueError("the document is not a JSON object")  # noqa: TRY004 (it is the document that is wrong)
    return fields


def _columns(fields: JsonObject) -> tuple[str, int | None, int | None]:
    """file_extension, file_size, last_modified; None where the document has no usable value."""
    size = fields.get("file_size")
    extension = as_text(fields.get("file_extension")).lstrip(".").lower()
    size_bytes = size if isinstance(size, int) and _LEAST <= size <= _MOST else None
    return extension, size_bytes, _milliseconds(fields.get("last_modified"))


def _milliseconds(value: object) -> int | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except (TypeError, ValueError):
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _text(key: str, fields: JsonObject) -> list[str]:
    values = (fields.get("file_name"), key, fields.get("title"), fields.get("author"), fields.get("content"))
    return [indexed(as_text(value)) for value in values]


def translated(query: Query, tokens_version: int = TOKENS_VERSION) -> tuple[str, list[str | int]]:
    """The query in SQL: everything from the table names to the conditions, and the parameters."""
    is_earlier = tokens_version < TOKENS_VERSION
    wanted = " AND ".join(_match(word, is_earlier) for word in query.words if not word.excluded)
    tables = "documents d WHERE d.source IS NOT NULL"
    parameters: list[str | int] = []
    if wanted:
        tables, parameters = "text JOIN documents d ON d.rowid = text.rowid WHERE text MATCH ?", [wanted]
    for word in query.words:
        if word.excluded:
            tables += " AND d.rowid NOT IN (SELECT rowid FROM text WHERE text MATCH ?)"
            parameters.append(_match(word, is_earlier))
    for one in query.filters:
        condition, values = _condition(one)
        # A document without the field does not match the condition, so it does match its negation.
        tables += f" AND {'NOT ' if one.excluded else ''}coalesce({condition}, 0)"
        parameters += values
    return tables, parameters


def counts(tables: str) -> str:
    """A query for facets: the name of a facet, a value, and how many of the matches in `tables` have it, for each."""
    return f"""
        WITH hits AS MATERIALIZED (
            SELECT d.file_extension AS extensions, d.bucket AS buckets,
                   strftime('%Y', d.last_modified / 1000, 'unixepoch') AS years
            FROM {tables}
        )
        {" UNION ALL ".join(f"SELECT '{name}', {name}, count(*) FROM hits GROUP BY {name}" for name in FIELDS)}
    """  # noqa: S608 (of fixed parts; all values are parameters)


def _match(word: Word, is_earlier: bool) -> str:
    """A word in FTS5's query language; in a file of the first version, in either way in which its texts may have been cut."""
    ways = [word.phrase]
    if is_earlier:
        ways.append(phrase(word.text, exact=word.exact, earlier=True))
    return f"({' OR '.join(dict.fromkeys(map(_expression, ways)))})"


def _expression(wanted: Phrase) -> str:
    """Tokens contain neither quotes nor anything else that is special in FTS5's query language."""
    return f'"{" ".join(wanted.tokens)}"{" *" if wanted.prefix else ""}'


def _condition(one: OneOf | Within) -> tuple[str, list[str | int]]:
    if isinstance(one, OneOf):
        return f"d.{one.field} IN ({','.join('?' * len(one.values))})", list(one.values)
    low, high = _LEAST if one.low is None else one.low, _MOST if one.high is None else one.high
    return f"(d.{one.field} >= ? AND d.{one.field} < ?)", [low, high]
