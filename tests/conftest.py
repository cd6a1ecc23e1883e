"""Fixtures of the real servers, shared by the whole session and healed between tests, and what is made fresh on them.

`make test` runs three sessions side by side (pytest-xdist), each with servers of its own: most tests wait more than they
work. A session gets whole files, so that what a file's tests share is made once.
"""

import contextlib
import functools
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import hypothesis
import pytest
import structlog
from botocore.loaders import create_loader
from xdist.scheduler import LoadFileScheduling

from recovery.ledger.ledger import Ledger
from testing.aws import Queues, create_queues, s3_client, sqs_client
from testing.ledgers import new_ledger
from testing.postgresql import PostgresServer
from testing.process import Server, ServerFailedError, UnavailableError
from testing.servers import (
    ELASTICMQ,
    OPENSEARCH_RELEASES,
    REGION,
    ElasticMQServer,
    OpenSearchServer,
    SeaweedFSServer,
)
from testing.starts import record_starts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# Server fixture → the jars it needs.
REAL_SERVERS: dict[str, str | None] = {
    "opensearch": OPENSEARCH_RELEASES["3.8"].coordinates,
    "opensearch_2": OPENSEARCH_RELEASES["2.19"].coordinates,
    "elasticmq": ELASTICMQ,
    "seaweedfs": None,
    "postgresql": None,
}
EXTENDED = (
    "tests/systemd/",  # boots a machine, installs the worker on it, types what the pages say
    "tests/acceptance/test_convergence.py",  # two workers at once for ten seconds, and their start
    "tests/acceptance/test_outages.py",  # waits for breakers to open and to close; tests/chaos has outages as well
    "tests/acceptance/test_healing.py",  # waits for what a worker does by itself within a minute
    "tests/acceptance/test_brake.py",  # three workers one after another, and every message indexed in the end
    "tests/acceptance/test_forget.py",  # a corpus for each of its cases
    "tests/acceptance/test_demo.py",  # the demo five times over, which `make demo` shows as well
    "tests/acceptance/test_doctor_mistakes.py",  # fifty mistakes, each with a `doctor` and some with a worker
    "tests/acceptance/test_doctor.py",  # waits for what is away; tests/unit has its checks
    "tests/integration/dlq/test_sending.py",  # waits for workers; tests/unit/recovery/cli has the same verbs
    "tests/integration/dlq/test_reading.py",  # waits until what was read can be received again
    "tests/integration/dlq/test_other_services.py",  # each way in which others fill a dead-letter queue
    "tests/integration/dlq/test_archive.py",  # waits for queues, as do the two before
    "tests/integration/dlq/test_terminal.py",  # types and reads on terminals; tests/unit/recovery/cli has the same verbs
    "tests/integration/dlq/test_settings.py",  # how each verb finds queues, buckets and index
    "tests/integration/index/test_contract.py",  # each case on both indexes
    "tests/integration/index/test_permissions.py",  # every request behind a guard of permissions
    "tests/integration/index/test_large.py",  # documents of ten megabytes
    "tests/integration/index/test_exchange.py",  # index after index
    "tests/integration/extract/test_children.py",  # waits for what hangs
    "tests/integration/ledger/test_reading.py",  # every question on both databases
    "tests/integration/recovery/test_backfill.py",  # kills, and whole buckets; tests/unit kills it between any two calls
    "tests/integration/recovery/test_reconcile.py",  # the same
    "tests/integration/recovery/test_recover_dlq.py",  # signals and kills; tests/acceptance/test_recovery.py recovers
    "tests/integration/recovery/test_replay.py",  # waits for what is replayed; tests/unit replays with every failure
    "tests/integration/recovery/test_reindex.py",  # waits for workers to follow, and until nobody can write as before
    "tests/integration/life/",  # waits for records of workers, deadlines, pauses, and what was released
    "tests/integration/budgets/",  # waits for the next day, and for what a killed worker had in flight
    "tests/integration/operations/",  # every line of the runbook, after a night that leaves what it is about
    "tests/integration/manager/test_any_question.py",  # schemathesis asks the API some thousand questions
    "tests/integration/alerts/",  # a real Prometheus and Alertmanager, which see a worker and a manager in trouble
    "tests/integration/manager/",  # the API as it listens, on both databases; tests/unit asks it every question
    "tests/integration/manager_process/",  # the manager as a process, killed and refused, on both databases
    "tests/integration/console/",  # Chromium looks at every page of the console; tests/unit asks for each of them
    "tests/integration/setup/",  # every line of docs/setup.md
    "tests/integration/servers/",  # the servers that the other tests use: killed, started again
    "tests/integration/fault_proxy/",  # what the attacks break calls with
    "tests/unit/recovery/manager/web/test_matrix.py",  # every role asks every route
    "tests/unit/recovery/operations/recovering/test_recovery_run.py::test_recovery_loses_no_message_whichever_call_fails",
    "tests/unit/recovery/operations/test_inspect.py::test_the_advice_on_an_event_is_what_recovery_then_does",  # 600 findings
    "tests/unit/recovery/operations/test_reindex.py::test_whatever_call_fails",  # each call of a reindex
    "tests/unit/config/test_alarms.py",  # weeks of every alarm, minute by minute
    "tests/unit/config/test_prometheus.py",  # each alert by promtool
    "tests/unit/docs/test_drift.py",  # copies of the docs with each drift; `make check` compares the docs themselves
    "tests/chaos/",  # a sample of the attacks of `make chaos`
    "tests/hostile/",
)
"""What `make test-all` runs and `make test` leaves out, with all that asks an OpenSearch 2.19: it takes long, and is broken
seldom by what a developer does in an afternoon."""
TOGETHER = ("tests/systemd/", "tests/integration/operations/", "tests/integration/recovery/test_reindex.py")
"""Folders whose files share what takes long to make: a booted systemd, a night of operations; and a file that waits a lot.

They take longest, so they come first: at the end, the other sessions would have nothing to do meanwhile.
"""
MEMORY, ROOM_BYTES = Path("/dev/shm"), 4 * 1024**3
_started: dict[str, Server] = {}


# -- hooks -------------------------------------------------------------------------------------------------------


def pytest_configure() -> None:
    """No test depends on how fast this machine is, nor on structlog's default tracebacks, which show every local."""
    unhurried = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("unhurried", deadline=None, suppress_health_check=unhurried)
    hypothesis.settings.load_profile("unhurried")
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
    botocore.session.create_loader = functools.cache(create_loader)  # reads AWS's models once, not for each client


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses a real server, however indirectly, and those of EXTENDED, before `-m` chooses."""
    for item in items:
        servers = _servers_of(item)
        if servers:
            item.add_marker(pytest.mark.real)
        for mark in item.iter_markers("slow"):
            if not mark.args:
                raise pytest.UsageError(f"{item.nodeid}: pytest.mark.slow needs the reason why it is slow")
        if item.nodeid.startswith(EXTENDED) or "opensearch_2" in servers:
            item.add_marker(pytest.mark.extended)
    items.sort(key=lambda item: not item.nodeid.startswith(TOGETHER))  # else as they are


class _WholeFiles(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives a session whole files, and whole folders of TOGETHER.

    Not by xdist's own groups: 3.8 writes them to `item._nodeid`, which pytest 9.2 does not read.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _WholeFiles:
    """How tests are given to the sessions that run side by side."""
    return _WholeFiles(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Download jars and record starts before the first test: on a slow line this takes longer than a test may."""
    needed = {REAL_SERVERS[name] for item in session.items for name in _servers_of(item)}
    if session.config.option.collectonly:
        return
    with ThreadPoolExecutor() as pool:
        list(pool.map(_prepare, filter(None, needed)))


def _prepare(coordinates: str) -> None:
    with contextlib.suppress(UnavailableError, ServerFailedError):  # the fixture meets the same, and tells the reason
        record_starts(coordinates)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _heal_servers_of(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Before the fixtures' own clean-up, which needs servers that answer."""
    _heal_servers_of(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of each server's log with a failure."""
    report = yield
    if report.failed:
        for name in _servers_of(item):
            if name in _started:
                report.sections.append((f"{name} log", _started[name].log_tail()))
    return report


def _servers_of(item: pytest.Item) -> list[str]:
    """Those that it names, or that one of its parameters is (which a fixture then asks for)."""
    callspec = getattr(item, "callspec", None)
    named = {*getattr(item, "fixturenames", ()), *(str(one) for one in (callspec.params.values() if callspec else ()))}
    return [name for name in REAL_SERVERS if name in named]


def _heal_servers_of(item: pytest.Item) -> None:
    for name in _servers_of(item):
        if name in _started:
            _started[name].heal()


# -- servers, one of each a session ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the servers keep their data: in memory where there is room, as each write is synced to its disk."""
    if not _has_room(MEMORY):
        yield tmp_path_factory.mktemp("servers")
        return
    for left in MEMORY.glob("s3iw-*-*"):  # by a run that was killed
        if not Path("/proc", left.name.split("-")[1]).exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"s3iw-{os.getpid()}-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= ROOM_BYTES


@contextlib.contextmanager
def _running(name: str, make: Callable[[], Server]) -> Iterator[Any]:
    try:
        _started[name] = make().start()
    except UnavailableError as reason:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(f"{name}: {reason}", pytrace=False)
        pytest.skip(f"{name}: {reason}")
    try:
        yield _started[name]
    finally:
        _started.pop(name).stop()


@pytest.fixture(scope="session")
def opensearch(server_folder: Path) -> Iterator[OpenSearchServer]:
    """OpenSearch 3.8 with kuromoji."""
    with _running("opensearch", lambda: OpenSearchServer(server_folder / "opensearch")) as server:
        yield server


@pytest.fixture(scope="session")
def opensearch_2(server_folder: Path) -> Iterator[OpenSearchServer]:
    """OpenSearch 2.19 without kuromoji."""
    with _running("opensearch_2", lambda: OpenSearchServer(server_folder / "opensearch_2", "2.19")) as server:
        yield server


@pytest.fixture(scope="session")
def elasticmq(server_folder: Path) -> Iterator[ElasticMQServer]:
    """SQS; killed, it comes back without its queues."""
    with _running("elasticmq", lambda: ElasticMQServer(server_folder / "elasticmq")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(server_folder: Path) -> Iterator[SeaweedFSServer]:
    """S3; `grant` makes key pairs with fewer rights."""
    with _running("seaweedfs", lambda: SeaweedFSServer(server_folder / "seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql(server_folder: Path) -> Iterator[PostgresServer]:
    """PostgreSQL 18, which does not wait for its disk."""
    with _running("postgresql", lambda: PostgresServer(server_folder / "postgresql")) as server:
        yield server


# -- clients and what is made fresh for a test -------------------------------------------------------------------


@pytest.fixture(scope="session")
def s3(seaweedfs: SeaweedFSServer) -> "Iterator[S3Client]":
    with contextlib.closing(s3_client(seaweedfs.url)) as client:
        yield client


@pytest.fixture(scope="session")
def sqs(elasticmq: ElasticMQServer) -> "Iterator[SQSClient]":
    with contextlib.closing(sqs_client(elasticmq.url)) as client:
        yield client


@pytest.fixture
def bucket(s3: "S3Client") -> Iterator[str]:
    with _fresh_bucket(s3, "data") as name:
        yield name


@pytest.fixture
def state_bucket(s3: "S3Client") -> Iterator[str]:
    with _fresh_bucket(s3, "state") as name:
        yield name


@contextlib.contextmanager
def _fresh_bucket(s3: "S3Client", prefix: str) -> Iterator[str]:
    name = _fresh_name(prefix)
    s3.create_bucket(Bucket=name)
    yield name
    with contextlib.suppress(s3.exceptions.ClientError):  # a test may have removed it
        s3.delete_bucket(Bucket=name)  # SeaweedFS takes the objects with it, and frees the volumes


@pytest.fixture
def queues(sqs: "SQSClient") -> Queues:
    """Visibility 30 s, dead-lettered after 10 receives; for others call `aws.create_queues`."""
    return create_queues(sqs, _fresh_name("source"))


@pytest.fixture
def index_name() -> str:
    return _fresh_name("documents")


@pytest.fixture
def aws_env(seaweedfs: SeaweedFSServer, elasticmq: ElasticMQServer) -> dict[str, str]:
    """The environment of a worker process that talks to these servers."""
    return {
        "AWS_ENDPOINT_URL_S3": seaweedfs.url,
        "AWS_ENDPOINT_URL_SQS": elasticmq.url,
        "AWS_ACCESS_KEY_ID": seaweedfs.admin.access_key,
        "AWS_SECRET_ACCESS_KEY": seaweedfs.admin.secret_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of its own: each test that asks for it runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    server: PostgresServer = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty ledger, on either database."""
    with contextlib.closing(new_ledger(ledger_url)) as opened:
        yield opened


def _fresh_name(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"
