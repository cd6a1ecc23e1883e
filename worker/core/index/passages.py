"""What of a hit in OpenSearch is shown: its name and passages of its text, with the matches marked.

The texts are read and marked here. OpenSearch would analyse each text again to mark it, fails where a text has over 1,024 words
that begin as the last one of a phrase does, and reaches no further than an index allows (docs/evidence.md, OpenSearch). It is
asked only for what it alone can find: other forms of Japanese words, where a text has no other match.
"""

from collections.abc import Iterator, Sequence

from worker.core.base.jsontypes import JsonObject
from worker.core.index import Hit
from worker.core.index.document import as_text
from worker.core.index.highlight import fragments, marked
from worker.core.index.query import Word
from worker.core.index.question import JAPANESE_FIELD
from worker.core.index.text import is_cjk

MOST_OTHER_FORMS = 10
"""Number of hits for which OpenSearch is asked for other forms."""
PATIENCE_S = 10.0
"""The time for which texts are read for one page of hits; later hits are shown without passages."""
MAX_TEXT_CHARS = 100_000_000
"""Characters of these texts, all together."""
EARLIER_CHARS = 10_000_000
"""What a document has at most that does not say how much of its text it has."""
TOGETHER_CHARS = 1_000_000
"""Characters of the texts that are read in one request, unless it is a single one."""


def hit_of(found: JsonObject, words: Sequence[Word], passages: Sequence[str]) -> Hit:
    """A hit, with its marked name and these passages."""
    fields: JsonObject = found.get("_source") or {}
    name = marked(as_text(fields.get("file_name")), words)
    key: str = fields.get("file_key") or found["_id"]
    highlights = [*([name] if name else []), *passages]
    return Hit(fields.get("bucket", ""), key, found.get("_score") or 0.0, fields, highlights)


def in_text(found: JsonObject, words: Sequence[Word]) -> list[str]:
    """The passages of a document's text in which the words stand."""
    return fragments(as_text((found.get("_source") or {}).get("content")), words)


def with_other_forms(words: Sequence[Word]) -> list[Word]:
    """The words of which Japanese may have other forms."""
    return [word for word in words if not word.exact and any(map(is_cjk, word.phrase.tokens))]


def of_other_forms(found: JsonObject) -> list[str]:
    """The passages that OpenSearch has found in a document's text, each on one line."""
    return [" ".join(one.split()) for one in found.get("highlight", {}).get(JAPANESE_FIELD, [])]


def to_be_read(found: Sequence[JsonObject]) -> Iterator[list[str]]:
    """The ids of the documents whose texts have to be read, in groups that are read together."""
    group: list[str] = []
    in_group, room = 0, MAX_TEXT_CHARS
    for one in found:
        length = _length(one.get("_source") or {})
        if not length or length > room:
            continue
        room -= length
        if group and in_group + length > TOGETHER_CHARS:
            yield group
            group, in_group = [], 0
        group.append(one["_id"])
        in_group += length
    if group:
        yield group


def _length(fields: JsonObject) -> int:
    """The characters of a document's text, as far as it says; a file has no fewer bytes than its plain text has characters.

    Other systems' documents need not say it.
    """
    extraction = fields.get("extraction")
    indexed = extraction.get("indexed_chars") if isinstance(extraction, dict) else None
    for length in (indexed, fields.get("char_count"), fields.get("file_size")):
        if isinstance(length, int):
            return length if indexed is not None else min(length, EARLIER_CHARS)
    return TOGETHER_CHARS
