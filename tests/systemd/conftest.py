"""One container with a real systemd for the whole session, and the worker installed on it as an operator would."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.binaries import do_without
from testing.ports import free_ports
from testing.process import UnavailableError
from testing.site import Site, make_site
from tests.support.installation import PACKAGES, SOURCE, Installation
from tests.support.nspawn import Machine

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the machine shows as PACKAGES."""
    return tmp_path_factory.mktemp("packages")


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Iterator[Machine]:
    """A booted container: /etc and /var are empty, it uses this machine's network, and this checkout read-only."""
    container = Machine(tmp_path_factory.mktemp("machine"), {ROOT: SOURCE, packages: PACKAGES})
    try:
        container.start()
    except UnavailableError as reason:
        do_without("systemd", reason)
    yield container
    container.close()


@pytest.fixture(scope="session")
def installation(machine: Machine, packages: Path) -> Installation:
    """The one installation; `installed` is what most tests want."""
    return Installation(machine, packages)


@pytest.fixture
def installed(installation: Installation) -> Iterator[Installation]:
    """The worker installed from its wheel, nothing started, nothing enabled."""
    try:
        installation.ensure()
    except UnavailableError as reason:
        do_without("systemd", reason)
    installation.reset()
    yield installation
    installation.reset()


@pytest.fixture
def managed(installed: Installation, site: Site) -> Installation:
    """The same with the manager, which has no ledger yet; settings for worker and manager are those of `site`."""
    installed.configure(site.env)
    try:
        installed.ensure_manager()
    except UnavailableError as reason:
        do_without("systemd", reason)
    installed.machine.run("sh", "-c", "rm -f /var/lib/s3-index-worker/*.sqlite*")
    return installed


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    """Buckets, queues and an index of its own, on the real servers."""
    made = make_site(seaweedfs, elasticmq, opensearch)
    metrics, manager = free_ports(2)
    made.env.update(LONG_POLL_S="1", METRICS_PORT=str(metrics), MANAGER_PORT=str(manager))
    yield made
    made.close()
