"""Five hundred objects of many formats, some of them bad, through the daemon and the three real servers."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from testing.corpus import corpus
from testing.site import Site, make_site
from testing.worker import running
from tests.support.in_process import run_in_process
from worker.cli import main
from worker.core.index.open import open_index

OBJECTS = 500
BAD = 20


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


@pytest.mark.slow("five hundred files of every format are parsed")
def test_five_hundred_objects_are_findable_and_the_dlq_holds_exactly_the_bad_ones(site, tmp_path):
    samples = {sample.key: sample for sample in corpus(OBJECTS, BAD)}
    for sample in samples.values():
        options = {"ContentType": sample.content_type} if sample.content_type else {}
        site.put(sample.key, sample.body, **options)
    site.send_all(list(samples))
    with running(site.env, tmp_path) as worker:
        site.wait_empty(120)
        assert worker.stop() == 0

    documents = site.documents()
    assert set(documents) == set(samples)
    assert len({sample.format for sample in samples.values()}) >= 15
    bad = {key: sample.bad for key, sample in samples.items() if sample.bad}
    assert {
        k: d["extraction"]["status"]
        for k, d in documents.items()
        if d["extraction"]["status"] in {"corrupt", "encrypted", "timeout", "out_of_memory"}
    } == bad
    failed = site.dead_letters()
    assert len(failed) == BAD
    assert {dead_letter["failure"]["kind"] for dead_letter in failed} == {"USER_ERROR"}
    assert all(dead_letter["failure"]["message"] for dead_letter in failed)
    for key in bad:
        assert sum(f"/{key}: " in dead_letter["failure"]["message"] for dead_letter in failed) == 1, key
    assert site.depth() == (0, 0, 0)
    assert site.state_keys("retry-index/") == []
    with closing(open_index(site.settings())) as index:
        marked = [sample for sample in samples.values() if sample.marker and not sample.bad]
        found = {sample.key: [hit.key for hit in index.search(f'"{sample.marker}"').hits] for sample in marked}
    assert found == {sample.key: [sample.key] for sample in marked}


def test_search_on_the_command_line_shows_a_hit(site, tmp_path):
    site.put("経理/見積書.txt", "東京都の見積書です")
    site.send("経理/見積書.txt")
    with running(site.env, tmp_path):
        site.wait_empty()
    site.documents()  # refreshes
    answer = run_in_process(main, site.env, "search", "京都")
    assert answer.returncode == 0, answer.stderr
    assert "経理/見積書.txt" in answer.stdout
    assert run_in_process(main, site.env, "search", "大阪").returncode == 1
