"""The demo's index is beside the user's, and nothing but the demo's is ever removed."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from worker.core.base.errors import ConfigError
from worker.core.base.settings import Settings, load
from worker.core.index.document import Write
from worker.core.index.open import open_index
from worker.demo.own_index import OwnIndex, own_url


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ({}, "sqlite:////here/s3-index-worker-demo.sqlite"),
        ({"INDEX_URL": "sqlite:////data/files.sqlite"}, "sqlite:////data/s3-index-worker-demo.sqlite"),
        ({"INDEX_URL": "https://search:9200"}, "https://search:9200"),
        ({"OPENSEARCH_ENDPOINT": "https://search:9200"}, "https://search:9200"),
    ],
)
def test_the_index_is_beside_that_of_the_user(monkeypatch, given, own):
    for name in ("INDEX_URL", "OPENSEARCH_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert own_url(Path("/here")) == own


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load(
        sqs_queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/files",
        dlq_queue_url="https://sqs.eu-central-1.amazonaws.com/123456789012/files-dlq",
        state_bucket="demo-state",
        index_url=f"sqlite:///{tmp_path}/s3-index-worker-demo.sqlite",
    )


def fill(settings: Settings, bucket: str) -> None:
    with closing(open_index(settings)) as index:
        index.ensure()
        fields = {"bucket": bucket, "file_key": "a.txt", "content": "wheelbarrows in the yard", "char_count": 24}
        index.write([Write(bucket, "a.txt", 1, "e", json.dumps(fields).encode())])


def test_what_the_demo_has_made_is_read_and_removed_with_its_side_files(tmp_path, settings):
    own = OwnIndex(settings, lambda: None)
    assert own.clear("demo-files") is False
    fill(settings, "demo-files")
    assert own.texts() == ["wheelbarrows in the yard"]
    assert own.clear("demo-files") is True
    assert list(tmp_path.iterdir()) == []


def test_an_index_with_documents_of_others_is_left_alone_and_named(tmp_path, settings):
    fill(settings, "our-files")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(
        ConfigError, match=r"s3-index-worker-demo\.sqlite holds documents of other buckets \(our-files\)"
    ):
        OwnIndex(settings, lambda: None).clear("demo-files")
    assert sorted(tmp_path.iterdir()) == before
