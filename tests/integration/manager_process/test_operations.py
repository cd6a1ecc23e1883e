"""Operations of real managers: killed again and again and gone on with by others, cancelled, and racing with `dlq`."""

import signal
import threading
import time
from collections import Counter

from testing import failures
from testing.aws import queue_depth
from testing.waiting import wait_until
from tests.integration.dlq.verbs import dlq_process
from tests.integration.manager_process.conftest import ManagerProcess
from tests.integration.manager_process.test_serve import ready
from tests.support.size import sized

COUNT = sized(10_000, usual=200)
KILLS = sized(5, usual=2)
BATCHES_IN_FLIGHT = 1
"""Of one operation; ten dead letters each."""
FAST = {"ramp": False, "rate": sized(200, usual=40)}


def take_in(manager: ManagerProcess, site, elasticmq, count: int, before: int = 0) -> None:
    failures.fill(elasticmq.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=count)
    wait_until(
        lambda: manager.count("state:any") == min(10_000, before + count), timeout_s=300, what="all are taken in"
    )


def start(manager: ManagerProcess, verb: str, q: str, **options: object) -> str:
    plan = manager.post("/api/v1/plans", {"verb": verb, "q": q, "options": options}, status=201)
    return str(manager.post("/api/v1/operations", {"plan": plan["id"]}, status=202)["id"])


def operation(manager: ManagerProcess, name: str):
    return manager.ask(f"/api/v1/operations/{name}")


def wait_for_done(manager: ManagerProcess, name: str, count: int) -> None:
    wait_until(lambda: operation(manager, name)["done"] >= count, timeout_s=120, what=f"{count} are sent")


def drained(site) -> Counter[str]:
    """How often each body is in the source queue; what was read is deleted."""
    found: Counter[str] = Counter()
    while messages := site.sqs.receive_message(
        QueueUrl=site.queues.source, MaxNumberOfMessages=10, WaitTimeSeconds=1
    ).get("Messages"):
        found.update(one["Body"] for one in messages)
        entries = [{"Id": str(at), "ReceiptHandle": one["ReceiptHandle"]} for at, one in enumerate(messages)]
        site.sqs.delete_message_batch(QueueUrl=site.queues.source, Entries=entries)
    return found


def test_a_killed_operation_is_gone_on_with_and_what_is_sent_twice_is_marked(site, elasticmq, manager_of, ledger_env):
    ready(ledger_env, site)
    manager = manager_of(**ledger_env).start()
    take_in(manager, site, elasticmq, COUNT)
    name = start(manager, "redrive", "", **FAST)
    began = time.monotonic()
    for kill in range(1, KILLS + 1):
        wait_for_done(manager, name, kill * COUNT // (KILLS + 2))
        if kill == 1:  # they arrive afterwards: none of them is of the frozen set
            take_in(manager, site, elasticmq, 12, before=COUNT)
        manager.send(signal.SIGKILL)
        manager.wait()
        manager = manager_of(**ledger_env).start()
    wait_until(lambda: operation(manager, name)["ended_at"], timeout_s=300, what="the operation has ended")
    took_s = time.monotonic() - began
    ended = operation(manager, name)
    assert (ended["state"], ended["done"], ended["left"]) == ("done", COUNT, 0), ended
    counts = drained(site)
    duplicates = sum(count - 1 for count in counts.values())
    assert len(counts) == COUNT, "every dead letter is sent, and none outside the frozen set"
    assert duplicates <= ended["perhaps_twice"] <= KILLS * BATCHES_IN_FLIGHT * 10
    assert manager.count() == 12
    print(f"{COUNT:,} in {took_s:.0f} s with {KILLS} kills; {duplicates} duplicates, {ended['perhaps_twice']} marked")


def test_a_cancelled_operation_leaves_the_rest_and_of_two_that_race_one_acts(site, elasticmq, manager_of, ledger_env):
    ready(ledger_env, site)
    manager = manager_of(**ledger_env).start()
    take_in(manager, site, elasticmq, 120)
    name = start(manager, "redrive", "", rate=20)
    wait_for_done(manager, name, 20)
    manager.post(f"/api/v1/operations/{name}/cancel")
    wait_until(lambda: operation(manager, name)["ended_at"], timeout_s=60, what="it has ended")
    ended = operation(manager, name)
    assert (ended["state"], ended["done"] + ended["skips"]["cancelled"]) == ("cancelled", 120)
    assert manager.count() == 120 - ended["done"]
    assert sum(drained(site).values()) == ended["done"]

    began = time.monotonic()
    racing = start(manager, "redrive", "", rate=5)  # still at work when the other program has started
    rival = threading.Thread(target=dlq_process, args=(site, "redrive-all", "--all", "--yes"))
    rival.start()
    rival.join()
    wait_until(lambda: operation(manager, racing)["ended_at"], timeout_s=120, what="it has ended")
    counts = drained(site)
    done = operation(manager, racing)
    assert 0 < done["done"] < 120 - ended["done"]
    assert len(counts) == 120 - ended["done"]
    assert set(counts.values()) == {1}, "only one of the two sends each"
    assert queue_depth(site.sqs, site.queues.dlq)[:2] == (0, 0)
    print(f"{done['done']} by the operation, the rest by dlq, in {time.monotonic() - began:.1f} s")
