"""Records one start of each Java server, with the first things that are asked of it, so that all later ones are quicker.

Once for each version of a server, 20–30 s on two cores: as much as `make test` then saves in one run.
"""

import json
import secrets
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from testing import jars
from testing.aws import create_queues, drain, send_batch, sqs_client
from testing.process import Server
from testing.servers import ELASTICMQ, OPENSEARCH_RELEASES, ElasticMQServer, OpenSearchServer
from worker.core.base.settings import load
from worker.core.index.document import Write
from worker.core.index.open import open_index

END_S = 180.0
"""Java writes the record when it ends."""


def record_starts(coordinates: str) -> None:
    """Record a start of these jars, unless there is a record already."""
    jars.class_path(coordinates)
    with jars.recording(coordinates) as record, tempfile.TemporaryDirectory() as folder:
        if record is not None:
            _recorded(_server(coordinates, Path(folder), record))


def _server(coordinates: str, folder: Path, record: Path) -> tuple[Server, Callable[[Server], None]]:
    if coordinates == ELASTICMQ:
        return ElasticMQServer(folder, durable=True, record=record), _ask_queues
    [release] = [name for name, one in OPENSEARCH_RELEASES.items() if one.coordinates == coordinates]
    return OpenSearchServer(folder, release, record=record), _ask_index


def _recorded(of: tuple[Server, Callable[[Server], None]]) -> None:
    server, ask = of
    with server:
        ask(server)
        server.stop_timeout_s = END_S


def _ask_queues(server: Server) -> None:
    with closing(sqs_client(server.url)) as sqs:
        queues = create_queues(sqs, "recorded")
        send_batch(sqs, queues.source, "bucket", [f"{number}.txt" for number in range(20)])
        drain(sqs, queues.source)


def _ask_index(server: Server) -> None:
    queue = "https://sqs.eu-west-1.amazonaws.com/1/q"
    settings = load(
        sqs_queue_url=queue, dlq_queue_url=f"{queue}-dlq", state_bucket="state", index_url=server.url,
        opensearch_index=f"recorded-{secrets.token_hex(4)}",
    )  # fmt: skip
    with closing(open_index(settings)) as index:
        index.ensure()
        document = {"bucket": "b", "file_key": "経理/a.txt", "content": "東京都の予算 budget", "etag": "e"}
        index.write(
            [Write("b", "経理/a.txt", 1, "e", json.dumps(document).encode()), Write("b", "b.txt", 1, None, None)]
        )
        index.refresh()
        index.search("東京都")
        index.stored([("b", "経理/a.txt")])
