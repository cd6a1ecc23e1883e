"""The adaptive limits: against simulated servers on a simulated clock, and that every way to a service heeds them."""

import heapq
import random
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from testing.fakes import Fakes
from worker.core.base.aws import Aws
from worker.core.base.errors import IndexUnavailableError, QueueError, StoreError
from worker.core.base.logs import observe
from worker.core.base.throttle import CUT_EVERY_S, LOWEST, Throttle
from worker.core.index import WriteStatus
from worker.core.index.document import Write
from worker.core.index.open import open_index
from worker.core.s3.store import S3ObjectStore
from worker.core.sqs.queue import SqsQueue

LATENCY_S = 0.05
MEASURED_FROM_S, ENDS_S = 30, 120


class TokenBucket:
    """Allows `rate` a second, and a tenth of a second's at once."""

    def __init__(self, rate):
        self.rate, self.tokens, self.at = rate, rate / 10, 0.0

    def allows(self, now):
        self.tokens = min(self.rate / 10, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class FixedWindow:
    """Allows `rate` in each second of the clock."""

    def __init__(self, rate):
        self.rate, self.second, self.count = rate, -1, 0

    def allows(self, now):
        if int(now) != self.second:
            self.second, self.count = int(now), 0
        self.count += 1
        return self.count <= self.rate


def simulated(server, threads):
    """Threads that ask without a pause, through one throttle: the rate used, and the part refused, from 30 s on."""
    dice, throttle = random.Random(1), Throttle("s3")
    events = [(dice.random() / 100, number, "ask") for number in range(threads)]
    heapq.heapify(events)
    taken = refused = 0
    while events[0][0] < ENDS_S:
        now, number, what = heapq.heappop(events)
        if what == "ask":
            there = throttle.turn(now) + LATENCY_S / 2 * dice.uniform(0.5, 1.5)
            heapq.heappush(events, (there, number, "arrives"))
        elif what == "arrives":
            allowed = server.allows(now)
            if now >= MEASURED_FROM_S:
                taken, refused = taken + allowed, refused + (not allowed)
            heapq.heappush(events, (now + LATENCY_S / 2, number, "done" if allowed else "refused"))
        else:
            if what == "refused":
                throttle.refused(now)
            heapq.heappush(events, (now, number, "ask"))
    return taken / (ENDS_S - MEASURED_FROM_S), refused / (taken + refused)


@pytest.mark.parametrize("kind", [TokenBucket, FixedWindow])
@pytest.mark.parametrize(("rate", "threads"), [(100, 6), (100, 32), (300, 32), (1_000, 64)])
def test_at_least_nine_tenths_of_what_a_server_allows_are_used_and_less_than_one_percent_is_refused(
    kind, rate, threads
):
    used, refused = simulated(kind(rate), threads)
    assert used >= 0.9 * rate
    assert refused < 0.01


def test_a_server_that_allows_enough_limits_nothing():
    used, refused = simulated(TokenBucket(10_000), 32)
    assert used == pytest.approx(32 / LATENCY_S, rel=0.05)
    assert refused == 0


def busy(throttle, per_second, *, from_s=0, seconds=3):
    for number in range(int(per_second * seconds)):
        throttle.turn(from_s + number / per_second)
    return from_s + seconds


def test_the_first_refusal_halves_the_rate_and_each_further_one_takes_a_tenth_once_in_half_a_second():
    throttle = Throttle("s3")
    now = busy(throttle, 200)
    assert throttle.turn(now) == now
    throttle.refused(now)
    assert throttle.rate == pytest.approx(100, rel=0.02)
    for _ in range(5):
        throttle.refused(now + CUT_EVERY_S / 2)
    assert throttle.rate == pytest.approx(100, rel=0.02)
    throttle.refused(now + CUT_EVERY_S)
    assert throttle.rate == pytest.approx(90, rel=0.02)


def test_turns_are_as_far_apart_as_the_rate_says():
    throttle = Throttle("s3")
    now = busy(throttle, 200)
    throttle.refused(now)
    turns = [throttle.turn(now) for _ in range(11)]
    assert turns[10] - turns[0] == pytest.approx(0.1, rel=0.1)
    assert throttle.turn(now, 50) == pytest.approx(turns[10] + 0.01, abs=0.002)
    assert throttle.turn(now) == pytest.approx(turns[10] + 0.51, rel=0.02)


def test_however_much_is_refused_something_goes_on_and_an_outage_is_forgotten_soon():
    throttle, seen = Throttle("sqs"), []
    end = observe(lambda event, fields: seen.append((event, fields["service"])))
    now = busy(throttle, 200)
    for number in range(200):
        throttle.refused(now + number)
    now += 200
    assert throttle.rate == pytest.approx(LOWEST, rel=0.05)
    for second in range(15):
        throttle.turn(now + second)
    assert throttle.rate is None
    end()
    assert seen == [("throttle.limited", "sqs"), ("throttle.lifted", "sqs")]


def test_what_a_service_really_allows_is_not_forgotten_so_soon():
    throttle = Throttle("s3")
    now = busy(throttle, 200)
    throttle.refused(now)
    for second in range(10):
        throttle.turn(now + second)
    assert throttle.rate is not None
    assert 160 < throttle.rate < 200
    for second in range(10, 240):
        throttle.turn(now + second)
    assert throttle.rate is None


def test_one_call_waits_ten_seconds_at_most(monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    throttle = Throttle("index")
    throttle.wait()
    throttle.refused()
    throttle.wait(5_000)
    throttle.wait()
    assert slept == [10.0]


# -- the ways to the services ------------------------------------------------------------------------------------------


@contextmanager
def refusing(status, body, content_type):
    """A server that refuses everything."""

    class Refuses(BaseHTTPRequestHandler):
        def _answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = _answer  # noqa: N815 (as http.server names them)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")

    def make(url):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        return Aws(region="eu-central-1")

    return make


SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


@pytest.mark.parametrize("key", ["a.txt", "a//b.txt"], ids=["obstore", "boto3"])
def test_s3_that_says_slow_down_is_asked_less(aws, tmp_path, key):
    with refusing(503, SLOW_DOWN, "application/xml") as url:
        made = aws(url)
        store = S3ObjectStore(made, spool_bytes=1024, max_object_bytes=1024, temp_dir=tmp_path)
        with pytest.raises(StoreError) as refused:
            store.read("files", key)
        assert refused.value.code == "SlowDown"
        assert made.throttles.limited().keys() == {"s3"}


def test_sqs_that_throttles_is_asked_less(aws):
    body = b'{"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slower"}'
    with refusing(400, body, "application/x-amz-json-1.0") as url:
        made = aws(url)
        with pytest.raises(QueueError):
            SqsQueue(made.sqs(), f"{url}/q").receive(wait_s=0, visibility_s=30)
        assert made.throttles.limited().keys() == {"sqs"}
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(QueueError):
                SqsQueue(made.sqs(), f"{url}/q").receive(wait_s=0, visibility_s=30)
        assert time.monotonic() - began > 2 / LOWEST / 2


def test_an_index_that_answers_429_gets_less():
    throttle = Throttle("index")
    with refusing(429, b'{"error": {"type": "rejected_execution_exception"}}', "application/json") as url:
        index = open_index(Fakes().settings().model_copy(update={"index_url": _secret(url)}), throttle=throttle)
        index._ensured, index._plain_key = True, False  # type: ignore[attr-defined]
        with pytest.raises(IndexUnavailableError):
            index.write([Write("files", "a.txt", 1, "etag", b"{}")])
        index.close()
    assert throttle.rate is not None


def test_an_index_that_refuses_single_documents_for_the_rate_gets_less():
    throttle = Throttle("index")
    item = b'{"errors":true,"items":[{"index":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"x"}}}]}'
    with refusing(200, item, "application/json") as url:
        index = open_index(Fakes().settings().model_copy(update={"index_url": _secret(url)}), throttle=throttle)
        index._ensured, index._plain_key = True, False  # type: ignore[attr-defined]
        [result] = index.write([Write("files", "a.txt", 1, "etag", b"{}")])
        index.close()
    assert result.status is WriteStatus.UNAVAILABLE
    assert throttle.rate is not None


def _secret(url):
    return type(Fakes().settings().index_url)(url)
