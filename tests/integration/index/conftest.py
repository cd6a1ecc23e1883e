"""The three indexes that keep one contract."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from worker.core.base.settings import load
from worker.core.index import Index
from worker.core.index.document import Write, encode
from worker.core.index.open import open_index

SQS = "https://sqs.eu-west-1.amazonaws.com/1"
REQUIRED = {"sqs_queue_url": f"{SQS}/q", "dlq_queue_url": f"{SQS}/d", "state_bucket": "state-bucket"}


def opened(url, name, **settings):
    return open_index(load(**REQUIRED, index_url=url, opensearch_index=name, **settings))


@pytest.fixture(params=["sqlite", "opensearch", "opensearch_2"])
def index(request, tmp_path, index_name) -> Iterator[Index]:
    """An empty index, made."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/index.db" if sqlite else request.getfixturevalue(request.param).url
    with closing(opened(url, index_name)) as made:
        made.ensure()
        yield made


@pytest.fixture
def documents(index):
    return Documents(index)


class Documents:
    """Writes into an index, with a version that grows."""

    def __init__(self, index):
        self.index, self.version = index, int(time.time() * 1000)

    def make(self, key, content="", *, version=None, bucket="b", removal=False, etag="e", **fields):
        self.version += 1
        name = key.rsplit("/", 1)[-1]
        source = {
            "bucket": bucket, "file_key": key, "file_name": name, "path": key.split("/")[:-1],
            "file_extension": name.rpartition(".")[2], "file_size": len(content), "etag": etag,
            "last_modified": "2026-04-01T09:00:00+00:00", "content": content,
            "extraction": {"status": "ok", "error": None, "truncated": False}, **fields,
        }  # fmt: skip
        return Write(
            bucket, key, version or self.version, None if removal else etag, None if removal else encode(source)
        )

    def put(self, *args, **options):
        [result] = self.index.write([self.make(*args, **options)])
        return result

    def keys(self, query, limit=50):
        self.index.refresh()
        return sorted(hit.key for hit in self.index.search(query, limit=limit).hits)
