"""Keeps what substrings are found by: the folded texts, and their grams for FTS5 or PostgreSQL's arrays."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from recovery.ledger.bigrams import grams
from recovery.ledger.bulk import insert_grams, insert_many
from recovery.ledger.codec import Texts
from recovery.ledger.schema import gram_arrays, texts


def add(connection: Connection, added: Sequence[tuple[int, Texts]]) -> None:
    """Make these texts searchable; `added` are new, each with its dead letter's number."""
    insert_many(connection, texts, ("id", "key", "said"), ((number, *one) for number, one in added))
    if connection.dialect.name == "sqlite":
        insert_grams(connection, ("rowid", "key", "said"), (_words(number, one) for number, one in added))
    else:
        arrays = ((number, " ".join(grams(one.key)), " ".join(grams(one.said))) for number, one in added)
        insert_many(connection, gram_arrays, ("id", "key", "said"), arrays)


def remove(connection: Connection, ids: Sequence[int]) -> None:
    """Forget the texts of these dead letters."""
    if not ids:
        return
    if connection.dialect.name == "sqlite":
        found = connection.execute(select(texts).where(texts.c.id.in_(bindparam("ids", expanding=True))), {"ids": ids})
        # FTS5's way for a table that keeps no texts: it is told what it was given before.
        words = [("delete", *_words(number, Texts(key, said))) for number, key, said in found]
        insert_grams(connection, ("grams", "rowid", "key", "said"), words)
    else:
        connection.execute(delete(gram_arrays).where(gram_arrays.c.id.in_(ids)))
    connection.execute(delete(texts).where(texts.c.id.in_(ids)))


def replace(connection: Connection, changed: Sequence[tuple[int, Texts]]) -> None:
    """Make these texts searchable instead of the earlier ones of the same dead letters."""
    remove(connection, [number for number, _ in changed])
    add(connection, changed)


def _words(number: int, one: Texts) -> tuple[int, str, str]:
    """A gram of both texts stands once, for the key: what is said usually repeats the key, and would double the index."""
    key = grams(one.key)
    return number, " ".join(key), " ".join(grams(one.said) - key)
