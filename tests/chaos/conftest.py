"""Attacks: the same tests run a sample in `make test-all` and the whole campaign in `make chaos` (FULL_SIZE)."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.stage import Stage, stage


@pytest.fixture
def servers(seaweedfs, elasticmq, opensearch) -> Any:
    return seaweedfs, elasticmq, opensearch


@pytest.fixture
def on(servers, tmp_path) -> Iterator[Stage]:
    with stage(servers, tmp_path) as made:
        yield made
