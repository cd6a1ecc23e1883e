"""Two operations at once in one process, on the real servers: a recovery of one DLQ, and a redrive from another."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from recovery.operations.clients import DlqClients
from recovery.operations.dead_letters.facts import Filter
from recovery.operations.dead_letters.message_types import load_types
from recovery.operations.find import FindRequest, claiming, find
from recovery.operations.progress import OnProgress
from recovery.operations.records.holders import holders
from recovery.operations.recover import recover
from recovery.operations.recovering.request import RecoverRequest
from recovery.operations.redrive import RedriveRequest, plan_redrive, redrive
from recovery.operations.transfer.targets import redrive_target
from testing.aws import create_queues, queue_depth, s3_event, s3_record
from testing.site import Site, make_site
from worker.core.audit import Run
from worker.core.base.settings import load
from worker.core.clients import Clients, connect

COUNT = 30
TIMEOUT_S = 90


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch, monkeypatch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


def fill(site: Site, dlq: str, folder: str) -> set[str]:
    """Dead letters about objects that are there; the keys."""
    keys = {f"{folder}/{number}.txt" for number in range(COUNT)}
    for key in keys:
        site.put(key)
        site.sqs.send_message(QueueUrl=dlq, MessageBody=s3_event(s3_record(site.bucket, key)))
    return keys


class Together:
    """Where the two operations wait for each other in their midst, and who held dead letters then."""

    def __init__(self, clients: Clients) -> None:
        self.held: list[str] = []
        self._clients = clients
        self._barrier = threading.Barrier(2, self._observe, timeout=TIMEOUT_S)

    def once(self) -> OnProgress:
        """A progress callback that waits for the other operation, the first time."""
        first = threading.Event()

        def on_progress(_: object) -> None:
            if not first.is_set():
                first.set()
                self._barrier.wait()

        return on_progress

    def _observe(self) -> None:
        self.held = sorted(str(one["command"]) for one in holders(self._clients.state))


def redriven(clients: Clients, on_progress: OnProgress) -> list[str]:
    run, stop = Run.new("dlq redrive-all", action="redrive-all", by="me@here"), threading.Event()
    own = DlqClients(clients.dlq, clients.objects, clients.state, load_types())
    target = redrive_target(own, clients.source, is_named=False)
    which = FindRequest(Filter())
    with claiming(own, run) as claims:
        plan = plan_redrive(find(own, claims, which, stop=stop), target)
        return redrive(own, claims, RedriveRequest(run, which), plan, stop=stop, on_progress=on_progress).report.sent


def test_a_recovery_and_a_redrive_run_in_one_process(site):
    other = create_queues(site.sqs, f"{site.bucket}-other")
    settings = load()
    ours, others = connect(settings), connect(load(sqs_queue_url=other.source, dlq_queue_url=other.dlq))
    keys = fill(site, site.queues.dlq, "recovered")
    fill(site, other.dlq, "redriven")
    together = Together(ours)
    request = RecoverRequest(Run.new("recover_dlq", action="recover", by="me@here"), load_types())
    with ThreadPoolExecutor(2) as pool:
        recovery = pool.submit(recover, settings, ours, request, stop=threading.Event(), on_progress=together.once())
        sending = pool.submit(redriven, others, together.once())
        report, sent = recovery.result(TIMEOUT_S), sending.result(TIMEOUT_S)
    assert together.held == ["dlq redrive-all", "recover_dlq"]
    assert holders(ours.state) == []
    assert (report.as_json()["recovered"], report.failure, len(sent)) == (COUNT, None, COUNT)
    assert site.documents().keys() == keys
    assert [queue_depth(site.sqs, queue)[:2] for queue in (site.queues.dlq, other.dlq, other.source)] == [
        (0, 0),
        (0, 0),
        (COUNT, 0),
    ]
