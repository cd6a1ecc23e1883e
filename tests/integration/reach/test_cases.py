"""Files whose words could not be found: each is found now by every phrase that is known to be in it, in both indexes."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from testing.corpus_bodies import DATA
from worker.core.base.settings import load
from worker.core.extract.extractor import Extractor
from worker.core.index import Index
from worker.core.index.open import open_index
from worker.core.indexing.pipeline import Pipeline
from worker.core.s3.objects import Snapshot

REACH = DATA / "reach"
CASES: list[dict[str, Any]] = json.loads((REACH / "expect.json").read_text())
WHOLE_WORDS = {"ordinary albatross": "extraordinary albatross"}
"""What was known of a text may begin within a word; a search finds whole words and their beginnings."""
CONTENT_TYPES = {"text_koi_ct.txt": "text/plain; charset=koi8-r"}
SQS = "https://sqs.eu-west-1.amazonaws.com/1"
REQUIRED = {"sqs_queue_url": f"{SQS}/q", "dlq_queue_url": f"{SQS}/d", "state_bucket": "state-bucket"}


class Folder:
    """A bucket as the pipeline sees it: the files of a folder."""

    def __init__(self) -> None:
        self.clock = SimpleNamespace(now_ms=lambda: int(time.time() * 1000))

    def read(self, bucket: str, key: str, **_: object) -> Snapshot:
        body, now = (REACH / key).read_bytes(), datetime.now(UTC)
        return Snapshot(
            bucket, key, self.clock.now_ms(), len(body), f"e-{key}", now, None, CONTENT_TYPES.get(key), {}, body
        )


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extractor]:
    folder = tmp_path_factory.mktemp("children")
    with closing(
        Extractor(processes=1, timeout_s=60, memory_bytes=2 << 30, max_chars=10_000_000, temp_dir=folder)
    ) as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", "opensearch"])
def index(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, extractor: Extractor
) -> Iterator[Index]:
    """An index of all cases."""
    folder = tmp_path_factory.mktemp("index")
    url = f"sqlite:///{folder}/index.db" if request.param == "sqlite" else request.getfixturevalue("opensearch").url
    settings = load(**REQUIRED, index_url=url, opensearch_index="reach")
    bucket: Any = Folder()
    pipeline = Pipeline(settings, bucket, extractor=extractor)
    with closing(open_index(settings)) as made:
        made.ensure()
        products = [pipeline.build("files", case["file"]) for case in CASES]
        assert {result.status.name for result in made.write([product.write for product in products])} == {"WRITTEN"}
        made.refresh()
        yield made


@pytest.mark.parametrize(("name", "phrase"), [(case["file"], phrase) for case in CASES for phrase in case["phrases"]])
def test_a_phrase_finds_its_file(index: Index, name: str, phrase: str) -> None:
    phrase = WHOLE_WORDS.get(phrase, phrase)
    query = phrase if name == "search_jobs.log" else f'"{phrase}"'  # the beginnings of longer words
    assert name in {hit.key for hit in index.search(query, limit=50).hits}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["file"])
def test_what_can_be_read_of_a_file_is_read_and_nothing_is_a_failure(
    extractor: Extractor, case: dict[str, Any]
) -> None:
    path = REACH / case["file"]
    extracted = extractor.extract(path, case["file"], CONTENT_TYPES.get(case["file"]))
    assert extracted.status in {"ok", "partial"}, extracted.error
    assert extracted.content


def test_a_workbook_with_an_embedded_document_is_a_workbook(extractor: Extractor) -> None:
    assert extractor.extract(REACH / "poi_ole2-embedding.xls", "a", None).mime_type == "application/vnd.ms-excel"


def test_the_title_of_an_rtf_document_is_in_its_code_page(extractor: Extractor) -> None:
    assert extractor.extract(REACH / "tika_testRTF-ms932.rtf", "a.rtf", None).title == "タイトル"


def test_a_hit_past_many_words_with_one_prefix_is_shown(index: Index) -> None:
    [hit] = index.search("job-11").hits
    assert hit.key == "search_jobs.log"
    assert hit.highlights
