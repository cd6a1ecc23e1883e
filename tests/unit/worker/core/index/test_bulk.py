"""The bulk request's body and answer, where a real OpenSearch cannot be made to answer so."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from worker.core.base.errors import IndexUnavailableError
from worker.core.base.settings import load
from worker.core.index import WriteStatus, bulk
from worker.core.index.document import Write
from worker.core.index.open import open_index
from worker.core.index.opensearch import OpenSearchIndex

UNAVAILABLE, WRITTEN, REJECTED = WriteStatus.UNAVAILABLE, WriteStatus.WRITTEN, WriteStatus.REJECTED


def writes(count, size=10):
    return [
        Write("b", f"{number}", 1_000, "e", json.dumps({"content": "x" * size}).encode()) for number in range(count)
    ]


@contextmanager
def answering(
    answer, *, pinged=lambda: (404, {"error": {"type": "index_not_found_exception"}}), held=0, **options
) -> Iterator[tuple[OpenSearchIndex, list[int]]]:
    """An index whose every bulk request is answered by `answer(lines)`: a status and a body.

    `pinged` answers a ping; `held` is the version of the document that it has, if it has any.
    """
    seen: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # a ping
            self._send(*pinged())

        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.endswith("/_mget?_source=false"):
                self._send(200, {"docs": [{"_id": "0", "found": bool(held), "_version": held}]})
                return
            lines = raw.splitlines()
            seen.append(len(lines) // 2)
            self._send(*answer(lines))

        def _send(self, status, body):
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    settings = load(
        sqs_queue_url="https://sqs.eu-west-1.amazonaws.com/1/q", dlq_queue_url="https://sqs.eu-west-1.amazonaws.com/1/d",
        state_bucket="state-bucket", index_url=f"http://127.0.0.1:{server.server_port}", opensearch_index="files",
        **options,
    )  # fmt: skip
    index = open_index(settings)
    assert isinstance(index, OpenSearchIndex)
    index._ensured, index._plain_key = True, False
    try:
        with closing(index):
            yield index, seen
    finally:
        server.shutdown()
        server.server_close()


def items(*statuses):
    return {"errors": True, "items": [{"index": status} for status in statuses]}


OK = {"status": 201}


def test_a_413_splits_the_request_until_it_fits_and_shortens_what_does_not():
    def answer(lines):
        return (413, {}) if len(lines) > 2 or len(lines[1]) > 30_000 else (200, items(*[OK] * (len(lines) // 2)))

    with answering(answer) as (index, seen):
        found = index.write([*writes(4, 1), *writes(1, 100_000)])
    assert [result.status for result in found] == [WRITTEN] * 5
    assert seen[0] == 5


def test_what_no_request_is_small_enough_for_is_rejected():
    with answering(lambda _: (413, {})) as (index, seen):
        [found] = index.write(writes(1, 3_000_000))
    assert (found.status, "413" in found.reason) == (REJECTED, True)
    assert len(seen) < 12


def test_a_removal_and_what_is_no_document_of_ours_are_not_shortened():
    removal, other = Write("b", "k", 1, None, None), Write("b", "k", 1, "e", b'["x"]')
    with answering(lambda _: (413, {})) as (index, _):
        assert [one.status for one in index.write([removal, other])] == [REJECTED, REJECTED]


@pytest.mark.parametrize(
    "text", ["x" * 3_000_000, "\n" * 3_000_000, "漢字" * 1_000_000, "🌸" * 500_000, "a" * 10 + "漢" * 999_999]
)
@pytest.mark.parametrize("extraction", [{"status": "ok", "truncated": False, "indexed_chars": 3_000_000}, None, "odd"])
def test_a_shortened_document_is_as_large_as_it_may_be_and_says_so(text, extraction):
    fields = {"bucket": "b", "content": text, "extraction": extraction, "char_count": len(text)}
    long = bulk.entry(Write("b", "k", 1, "e", json.dumps(fields, ensure_ascii=False).encode()), plain_key=False)
    assert long is not None
    short = bulk.shortened(long, 1_000_000)
    assert short is not None
    assert 950_000 < len(short) < 1_050_000
    action, source, rest = short.split(b"\n")
    assert (action, rest) == (long.split(b"\n")[0], b"")
    made = json.loads(source)
    assert text.startswith(made["content"])
    said = {"truncated": True, "indexed_chars": len(made["content"])}
    assert made["extraction"] == (extraction | said if isinstance(extraction, dict) else said)
    assert (made["char_count"], made["bucket"]) == (len(text), "b")


def test_a_single_large_document_that_is_not_taken_in_time_is_sent_with_less_of_its_text():
    def answer(lines):
        if sum(map(len, lines)) > 5_000_000:
            time.sleep(1.5)
        return 200, items(*[OK] * (len(lines) // 2))

    with answering(answer, index_timeout_s=1) as (index, seen):
        assert index.write(writes(1, 9_000_000))[0].status is WRITTEN
        assert seen == [1, 1]
        with pytest.raises(IndexUnavailableError, match="within 1 s"):
            index.write(writes(2, 3_000_000))


def test_a_large_document_that_was_written_in_spite_of_a_timeout_is_not_shortened():
    def answer(_lines):
        time.sleep(1.5)
        return 200, items(OK)

    with answering(answer, held=1_000, index_timeout_s=1) as (index, seen):
        assert index.write(writes(1, 9_000_000))[0].status is WRITTEN
        assert seen == [1]


def test_an_index_that_hangs_is_unavailable_and_no_document_is_shortened_for_it():
    def hang(*_):
        time.sleep(1.5)
        return 200, items(OK)

    with answering(hang, pinged=hang, index_timeout_s=1) as (index, seen):
        with pytest.raises(IndexUnavailableError, match="within 1 s"):
            index.write(writes(1, 9_000_000))
        assert seen == [1]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_one_throttled_document_is_unavailable_and_its_neighbour_written(status):
    busy = {"status": status, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}
    with answering(lambda _: (200, items(OK, busy))) as (index, _):
        first, second = index.write(writes(2))
    assert (first.status, second.status) == (WRITTEN, UNAVAILABLE)
    assert f"{status}: es_rejected_execution_exception: full" in second.reason


@pytest.mark.parametrize(
    ("error", "status", "expected"),
    [
        ({"type": "cluster_block_exception", "reason": "blocked"}, 403, UNAVAILABLE),
        ({"type": "index_not_found_exception", "reason": "no such index"}, 404, UNAVAILABLE),
        ({"type": "index_closed_exception", "reason": "closed"}, 400, UNAVAILABLE),
        ({"type": "illegal_argument_exception", "reason": "no write index is defined"}, 400, UNAVAILABLE),
        (
            {"type": "illegal_argument_exception", "reason": "Document contains at least one immense term"},
            400,
            REJECTED,
        ),
        ({"type": "mapper_parsing_exception", "reason": "failed to parse"}, 400, REJECTED),
        ({"type": "version_conflict_engine_exception", "reason": "later"}, 409, WriteStatus.SUPERSEDED),
    ],
)
def test_an_error_is_the_documents_own_or_the_indexs_state(error, status, expected):
    with answering(lambda _: (200, items({"status": status, "error": error}))) as (index, _):
        assert index.write(writes(1))[0].status is expected


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, items(OK)),
        (200, {"took": 1}),
        (200, b"<html>a proxy's page</html>"),
        (200, b""),
        (200, []),
        (403, {"error": {"type": "cluster_block_exception", "reason": "blocked"}, "status": 403}),
        (401, b"Unauthorized"),
        (404, b"not found"),
        (502, b"<html>bad gateway</html>"),
    ],
)
def test_an_answer_that_does_not_speak_of_every_document_is_none(status, body):
    with answering(lambda _: (status, body)) as (index, _), pytest.raises(IndexUnavailableError):
        index.write(writes(2))


def test_bodies_stay_under_8_mib_and_a_larger_document_goes_alone():
    entries = [b"x" * (3 * 1024**2)] * 5 + [b"y" * (9 * 1024**2)] + [b"z"]
    groups = [list(group) for group in bulk.chunks(entries)]
    assert [len(group) for group in groups] == [2, 2, 1, 1, 1]
    assert all(sum(map(len, group)) <= bulk.MAX_BODY_BYTES or len(group) == 1 for group in groups)


def test_stored_documents_that_are_not_read_in_time_are_asked_for_in_smaller_requests():
    def answer(lines):
        ids = json.loads(lines[0])["ids"]
        if len(ids) > 100:
            time.sleep(1.5)
        return 200, {"docs": [{"_id": one, "found": False} for one in ids]}

    with answering(answer, index_timeout_s=1) as (index, seen):
        names = [("b", f"{number}") for number in range(200)]
        assert index.stored(names) == [None] * 200
        assert index.stored(names) == [None] * 200
    assert len(seen) == 1 + 4 + 4


def test_an_index_that_stays_silent_is_unavailable_after_two_requests():
    def answer(_lines):
        time.sleep(1.5)
        return 200, {}

    with (
        answering(answer, index_timeout_s=1) as (index, seen),
        pytest.raises(IndexUnavailableError, match="within 1 s"),
    ):
        index.stored([("b", f"{number}") for number in range(200)])
    assert len(seen) == 2


def test_large_documents_are_sent_one_at_a_time_and_others_meanwhile(monkeypatch):
    at_once, most, other = set(), [], threading.Event()

    def answer(lines):
        size = sum(map(len, lines))
        if size > bulk.LARGE_BYTES:
            at_once.add(size)
            most.append(len(at_once))
            other.wait(5)
            time.sleep(0.1)
            at_once.remove(size)
        else:
            other.set()
        return 200, items(*[OK] * (len(lines) // 2))

    with answering(answer) as (index, _), ThreadPoolExecutor(4) as pool:
        sizes = [6_000_000, 6_000_001, 6_000_002, 10]
        assert [one.status for [one] in pool.map(lambda size: index.write(writes(1, size)), sizes)] == [WRITTEN] * 4
        assert max(most) == 1
        assert other.is_set()
        monkeypatch.setattr(bulk, "LONGEST_TURN_S", 0.1)
        with index._large:
            assert index.write(writes(1, 6_000_000))[0].status is WRITTEN
