"""What of a hit in OpenSearch is shown: its name and passages of its text, with the matches marked.

The texts are read and marked here. OpenSearch would analyse each text again to mark it, fails where a text has over 1,024 words
that begin as the last one of a phrase does, and reaches no further than an index allows (docs/evidence.md, OpenSearch). It is
asked only for what it alone can find: other forms of Japanese words, where a text has no other match.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from worker.core.base.errors import IndexUnavailableError
from worker.core.base.jsontypes import JsonObject
from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START, Hit, question
from worker.core.index.document import as_text
from worker.core.index.highlight import fragments, marked
from worker.core.index.query import Word
from worker.core.index.snippets import Span, passages
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
AROUND_CHARS = 1_000
"""What is kept of a text beyond that, for a sentence that begins there."""
_MARK = re.compile(f"{HIGHLIGHT_START}|{HIGHLIGHT_END}")


def hit_of(found: JsonObject, words: Sequence[Word], shown: Sequence[str]) -> Hit:
    """A hit, with its marked name and these passages."""
    fields: JsonObject = found.get("_source") or {}
    name = marked(as_text(fields.get("file_name")), words)
    key: str = fields.get("file_key") or found["_id"]
    highlights = [*([name] if name else []), *shown]
    return Hit(fields.get("bucket", ""), key, found.get("_score") or 0.0, fields, highlights)


def read_passages(
    ask: Callable[[JsonObject], Any], found: Sequence[JsonObject], words: list[Word]
) -> dict[str, list[str]]:
    """Passages of the texts of these hits, by the ids of the documents; what prevents them does not prevent a search.

    `ask` makes a search request. It raises IndexUnavailableError.
    """
    read: dict[str, list[str]] = {}
    without: dict[str, str] = {}
    """The beginnings of texts without a match, as far as OpenSearch looks for other forms."""
    forms = [word for word in words if not word.exact and any(map(is_cjk, word.phrase.tokens))]
    until = time.monotonic() + PATIENCE_S
    try:
        for ids in to_be_read(found):
            if time.monotonic() > until:
                return read
            for one in ask(question.texts(ids))["hits"]["hits"]:
                text = as_text((one.get("_source") or {}).get("content"))
                read[one["_id"]] = fragments(text, words)
                if not read[one["_id"]] and len(without) < MOST_OTHER_FORMS:
                    without[one["_id"]] = text[: question.ANALYZED_CHARS + AROUND_CHARS]
        if forms and without:
            answer = ask(question.other_forms(list(without), forms))
            read |= {one["_id"]: of_other_forms(one, without[one["_id"]]) for one in answer["hits"]["hits"]}
    except IndexUnavailableError:
        pass
    return read


def of_other_forms(found: JsonObject, text: str) -> list[str]:
    """The passages of a document's text around the words that OpenSearch has found in it: of those, it gives the sentences."""
    spans: list[Span] = []
    for one in found.get("highlight", {}).get(question.JAPANESE_FIELD, []):
        at = text.find(_MARK.sub("", one))
        if at >= 0:
            spans += _spans(one, at)
    return passages(text, sorted(spans))


def _spans(marked_text: str, at: int) -> Iterator[Span]:
    """Where in a text the marks of a part of it stand; the part begins at `at`."""
    for number, part in enumerate(_MARK.split(marked_text)):
        if number % 2 and part:
            yield at, at + len(part)
        at += len(part)


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
