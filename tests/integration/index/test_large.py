"""Documents as large as they may be, and an index that takes requests of up to 10 MiB, as small AWS instances do."""

from collections.abc import Iterator
from contextlib import closing

import orjson
import pytest

from testing.servers import OpenSearchServer
from tests.integration.index.conftest import Documents, opened
from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START, Index, WriteStatus

SMALL = {"http.max_content_length": "10mb"}


@pytest.fixture(scope="module")
def small_opensearch(tmp_path_factory) -> Iterator[OpenSearchServer]:
    """As on a small AWS instance."""
    server = OpenSearchServer(tmp_path_factory.mktemp("small"), settings=SMALL)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def small(small_opensearch, index_name) -> Iterator[Index]:
    with closing(opened(small_opensearch.url, index_name)) as made:
        made.ensure()
        yield made


def source_of(index, key):
    index.refresh()
    [hit] = [hit for hit in index.search("", limit=10).hits if hit.key == key]
    return hit.fields


@pytest.mark.parametrize("line", ["a line of a log\n", '"quoted" \\ line\n', "吾輩は猫である。名前はまだ無い。\n"])
def test_a_document_that_is_too_large_is_shortened_until_it_fits_and_says_so(small, line):
    documents = Documents(small)
    text = "the beginning " + line * (12_000_000 // len(line.encode()))
    extraction = {"status": "ok", "error": None, "truncated": False, "indexed_chars": len(text)}
    large = documents.make("large.txt", text, extraction=extraction, char_count=len(text))
    results = small.write([documents.make("a.txt", "small"), large, documents.make("b.txt", "small")])
    assert [result.status for result in results] == [WriteStatus.WRITTEN] * 3
    fields = source_of(small, "large.txt")
    indexed = fields["extraction"]["indexed_chars"]
    assert fields["extraction"] == {"status": "ok", "error": None, "truncated": True, "indexed_chars": indexed}
    assert fields["char_count"] == len(text)
    assert len(orjson.dumps(text[:indexed])) > 9.8 * 1024**2
    assert documents.keys("beginning") == ["large.txt"]
    assert documents.keys("small") == ["a.txt", "b.txt"]


def test_a_document_that_is_too_large_without_its_text_is_rejected_and_harms_no_other(small):
    documents = Documents(small)
    large = documents.make("large.txt", "text", metadata={f"{number}": "x" * 1000 for number in range(12_000)})
    results = small.write([large, documents.make("a.txt", "small")])
    assert [result.status for result in results] == [WriteStatus.REJECTED, WriteStatus.WRITTEN]
    assert "even without its text" in results[0].reason


def test_a_text_of_ten_million_characters_is_found_and_shown_to_its_end(index, index_name):
    documents = Documents(index)
    lines = "".join(f"2026-04-01T09:00:00 host service[{number}]: job done\n" for number in range(250_000))
    text = f"{lines[: 10_000_000 - 30]} the last line is 縫針"
    assert (
        documents.put("long.log", text, extraction={"status": "ok", "indexed_chars": len(text)}).status
        is WriteStatus.WRITTEN
    )
    assert documents.keys('"last line is"') == ["long.log"]
    [passage] = index.search("縫針").hits[0].highlights
    assert passage.endswith(f"the last line is {HIGHLIGHT_START}縫針{HIGHLIGHT_END}")
