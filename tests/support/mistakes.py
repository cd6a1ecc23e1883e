"""A deployment without a fault, behind which `doctor` is asked, and the servers that operators mistake for others."""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testing.fault_proxy import Broken, FaultProxy
from testing.servers import ElasticMQServer, OpenSearchServer, SeaweedFSServer
from testing.site import Site, make_site
from tests.support.in_process import run_in_process
from tests.support.tls import Asked, Authority, serving
from worker.cli import main
from worker.core.index.template import index_template, template_name

SECRET = "p4ss"
NO_ROLE = "no permissions for [indices:admin/get] and User [name=app, backend_roles=[], requestedTenant=null]"
UNSIGNED = "User: anonymous is not authorized to perform: es:ESHttpGet because no resource-based policy allows it"
STUBS: dict[str, tuple[int, Any]] = {
    "unauthorized": (401, b"Unauthorized"),
    "forbidden": (403, {"error": {"type": "security_exception", "reason": NO_ROLE}, "status": 403}),
    "unsigned": (403, {"Message": UNSIGNED}),
    "login": (302, b""),
    "website": (200, b"<html>welcome</html>"),
    "no page": (404, b"<html>not here</html>"),
    "dashboards": (404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"}),
    "json": (200, {"something": "else"}),
    "list": (200, ["something", "else"]),
    "busy": (503, b"no upstream"),
    "cloudwatch": (
        403,
        b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>",
    ),
}
"""What other servers than the right one answer to everything; the first three are OpenSearch's and AWS's own refusals."""


@dataclass(frozen=True)
class World:
    """A deployment without a fault, and what mistakes may lead to."""

    site: Site
    proxy: FaultProxy
    ports: Mapping[str, int]
    folder: Path

    @property
    def proxied(self) -> dict[str, str]:
        """The same deployment through the fault proxy."""
        urls = self.proxy.urls
        return {"AWS_ENDPOINT_URL_S3": urls["s3"], "AWS_ENDPOINT_URL_SQS": urls["sqs"], "INDEX_URL": urls["index"]}

    def index(self, scheme: str, stub: str, **more: str) -> dict[str, str]:
        """The address of a stub as that of the index."""
        return {"INDEX_URL": f"{scheme}://127.0.0.1:{self.ports[stub]}", **more}

    def refused(
        self, *services: str, code: str, status: int = 403, message: str = "by the test", headers: str = ""
    ) -> dict[str, str]:
        """The same deployment, of which these services refuse everything."""
        broken = error(services[0], code, status=status, message=message, headers=headers)
        self.proxy.rules = [lambda call: broken if call.service in services else None]
        return self.proxied


@contextmanager
def world(
    seaweedfs: SeaweedFSServer, elasticmq: ElasticMQServer, opensearch: OpenSearchServer, folder: Path
) -> Iterator[World]:
    """Make it: one object, an index from our template, and every stub."""
    trusted = Authority(folder)
    with ExitStack() as stack:
        site = make_site(seaweedfs, elasticmq, opensearch)
        stack.callback(site.close)
        site.put("a.txt")
        site.ask("PUT", f"/_index_template/{template_name(site.index)}", index_template(site.index))
        site.ask("PUT", f"/{site.index}-000001", {"aliases": {site.index: {"is_write_index": True}}})
        proxy = FaultProxy({"s3": seaweedfs.url, "sqs": elasticmq.url, "index": opensearch.url}).start()
        stack.callback(proxy.stop)
        ports = {name: stack.enter_context(serving(respond=_always(*said)))[0] for name, said in STUBS.items()}
        for name, host in (("tls", "127.0.0.1"), ("tls of another", "search.example")):
            ports[name] = stack.enter_context(serving(context=trusted.context(host), respond=_always(200, {})))[0]
        taken = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        ports["taken"] = taken.getsockname()[1]
        yield World(site, proxy, ports, folder)


def _always(status: int, said: Any) -> Callable[[Asked], tuple[int, dict[str, str], bytes]]:
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    return lambda _: (status, {"Content-Type": "application/json"}, content)


def error(service: str, code: str, *, status: int = 403, message: str = "by the test", headers: str = "") -> Broken:
    """How S3 or SQS words an error."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    if service == "sqs":
        body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message})
    return Broken("answer", status=status, body=body.encode(), headers=headers)


def doctor(env: Mapping[str, str | None], *args: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of `doctor`, and its checks. None of what it says has a secret or a traceback in it."""
    given = {name: value for name, value in env.items() if value is not None}
    done = run_in_process(main, given, "doctor", "--json", *args)
    assert "Traceback" not in done.stderr, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout or "[]")
