"""One deployment on the real servers for each test."""

from collections.abc import Iterator

import pytest

from testing.site import Site, make_site


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()
