"""config/opensearch/role.json against what is really requested: OpenSearch behind a guard that denies as its security plugin does.

Which action a request is, is from the plugin's documentation ("Permissions") and the names of OpenSearch's actions; which of
them are permissions on the cluster, from its source (`PrivilegesEvaluator.isClusterPerm`).
"""

import json
import shlex
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from recovery.operations.recovering.preconditions import check_state_and_index
from testing.fakes import Fakes
from tests.integration.index.conftest import REQUIRED, Documents, opened
from tests.support.pages import typed
from tests.support.tls import Asked, serving
from worker.assembly import index_breaker
from worker.core.base.errors import IndexUnavailableError
from worker.core.base.settings import load
from worker.core.index import WriteStatus
from worker.core.index.client import Client
from worker.core.index.exchange_opensearch import OpenSearchExchange

CONFIG = Path(__file__).resolve().parents[3] / "config/opensearch"
ROLE = json.loads((CONFIG / "role.json").read_text())
REINDEX_ROLE = json.loads((CONFIG / "reindex-role.json").read_text())


def allowed_by(*roles: dict[str, Any]) -> tuple[set[str], set[str]]:
    """What roles allow on the cluster and on the index."""
    on_cluster = {one for role in roles for one in role["cluster_permissions"]}
    on_index = {one for role in roles for part in role["index_permissions"] for one in part["allowed_actions"]}
    return on_cluster, on_index


CLUSTER, INDEX = allowed_by(ROLE)
SCROLLS = {"indices:data/read/scroll", "indices:data/read/scroll/clear"}
ON_CLUSTER = (
    "cluster:",
    "indices:admin/template/",
    "indices:admin/index_template/",
    "indices:data/read/scroll",
    "indices:data/read/msearch",
)
ON_CLUSTER_TOO = {
    "indices:data/write/bulk",
    "indices:data/read/mget",
    "indices:data/read/mtv",
    "indices:data/write/reindex",
}
"""How the names begin, and which names they are, that the plugin asks for on the cluster, never on an index."""
BY_OPENSEARCH_ITSELF = {"indices:admin/auto_create", "indices:admin/mapping/auto_put", "indices:admin/mapping/put"}
"""Actions within a bulk request: on an index that is missing, or whose mapping is not ours."""
OPTIONAL = {
    "indices:monitor/settings/get", "indices:data/read/search", "indices:admin/index_template/get",
    "indices:admin/index_template/put", "indices:admin/create", "indices:admin/aliases", "indices:admin/refresh",
}  # fmt: skip
"""What the worker can do without once the index exists."""


def actions(asked: Asked) -> tuple[set[str], set[str]]:  # noqa: C901, PLR0911, PLR0912 (a table)
    """The actions on the cluster and on an index that a request is."""
    path = asked.path.partition("?")[0].strip("/").split("/")
    if path[0] == "_index_template":
        return {f"indices:admin/index_template/{asked.method.lower()}"}, set()
    if path[0] == "_aliases":
        return set(), {"indices:admin/aliases"} | (
            {"indices:admin/delete"} if b'"remove_index"' in asked.body else set()
        )
    if path[0] == "_reindex":  # it reads and writes with the rights of who asked
        on_index = {"indices:data/read/search", "indices:data/write/bulk[s]", "indices:data/write/index"}
        return {"indices:data/write/reindex", "indices:data/write/bulk", *SCROLLS}, on_index
    if path == ["_cluster", "health"]:
        return {"cluster:monitor/health"}, set()
    if path == ["_cat", "allocation"]:
        return {"cluster:monitor/state", "cluster:monitor/nodes/stats"}, set()
    if path[0] == "_tasks":
        return {"cluster:monitor/task/get" if asked.method == "GET" else "cluster:admin/tasks/cancel"}, set()
    match asked.method, path[1:]:
        case "GET", []:
            return set(), {"indices:admin/get"}
        case "PUT", []:
            return set(), {"indices:admin/create"} | (
                {"indices:admin/aliases"} if b'"aliases"' in asked.body else set()
            )
        case "PUT", ["_settings"]:
            return set(), {"indices:admin/settings/update"}
        case "GET", ["_mapping"]:
            return set(), {"indices:admin/mappings/get"}
        case "GET", ["_settings"]:
            return set(), {"indices:monitor/settings/get"}
        case "GET" | "POST", ["_search" | "_count"]:
            return set(), {"indices:data/read/search"}
        case "POST", ["_mget"]:
            return {"indices:data/read/mget"}, {"indices:data/read/mget[shard]", "indices:data/read/get"}
        case "POST", ["_bulk"]:
            kinds = {
                next(iter(json.loads(line)))
                for line in asked.body.splitlines()
                if line[:9] in {b'{"index":', b'{"delete"'}
            }
            return {"indices:data/write/bulk"}, {
                "indices:data/write/bulk[s]",
                *(f"indices:data/write/{one}" for one in kinds),
            }
        case "POST", ["_delete_by_query"]:
            on_index = {"indices:data/write/delete/byquery", "indices:data/read/search", "indices:admin/refresh"}
            return {"indices:data/write/bulk", *SCROLLS}, {
                *on_index, "indices:data/write/bulk[s]", "indices:data/write/delete"
            }  # fmt: skip
        case "POST", ["_refresh"]:
            return set(), {"indices:admin/refresh"}
    raise AssertionError(f"which action is {asked.method} {asked.path}?")


@dataclass
class Guard:
    """What is denied, and what was asked for."""

    url: str = ""
    roles: tuple[set[str], set[str]] = (CLUSTER, INDEX)
    """What is allowed on the cluster and on the index."""
    form: str = "plugin"
    """Whose form the refusals have."""
    denied: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def missing(self, asked: Asked) -> list[str]:
        cluster, index = actions(asked)
        on_cluster, on_index = self.roles
        allowed = [(one, on_cluster) for one in cluster] + [(one, on_index) for one in index]
        with self.lock:
            self.used |= cluster | index
        return sorted(
            one
            for one, role in allowed
            if one in self.denied or not any(fnmatchcase(one, p.replace("[", "[[]")) for p in role)
        )


@pytest.fixture
def guard(opensearch) -> Iterator[Guard]:
    made = Guard()

    def respond(asked: Asked) -> tuple[int, dict[str, str], bytes]:
        answer = {"Content-Type": "application/json"}
        if missing := made.missing(asked):
            made.refusals.append(missing[0])
            said = f"no permissions for {missing} and User [name=worker, backend_roles=[], requestedTenant=null]"
            error = {"type": "security_exception", "reason": said}
            if made.form == "aws":
                return 403, answer, b'{"Message": "User: arn is not authorized to perform: es:ESHttpGet"}'
            if made.form == "serverless":
                error = {"type": "Forbidden", "reason": "403 Forbidden"}
            return 403, answer, json.dumps({"error": error, "status": 403}).encode()
        request = urllib.request.Request(
            opensearch.url + asked.path, data=asked.body or None, method=asked.method,
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=30) as found:
                return found.status, answer, found.read()
        except urllib.error.HTTPError as refused:
            return refused.code, answer, refused.read()

    with serving(respond=respond) as (port, _):
        made.url = f"http://127.0.0.1:{port}"
        yield made


@pytest.fixture
def name(index_name) -> str:
    return f"files-{index_name}"


def do_everything(index):
    documents = Documents(index)
    index.ping()
    index.inspect()
    assert documents.put("a.txt", "東京").status is WriteStatus.WRITTEN
    assert documents.put("b.txt", "東京", removal=True).status is WriteStatus.WRITTEN
    assert [one is not None for one in index.stored([("b", "a.txt"), ("b", "b.txt")])] == [True, False]
    assert documents.keys("東京") == ["a.txt"]


def type_the_runbook(client: Client, name: str) -> None:
    """Send what the runbook types with `s3-index-worker index`."""
    for line in (one.line for one in typed("runbook.md") if one.line.startswith("s3-index-worker index ")):
        method, path, *options = shlex.split(line.replace("${OPENSEARCH_INDEX:-files}", name))[2:]
        body = options[options.index("--data") + 1].encode() if "--data" in options else None
        client.exchange(method, path, body)


@pytest.mark.parametrize("role", [ROLE, REINDEX_ROLE], ids=["role", "reindex-role"])
def test_what_the_plugin_asks_for_on_the_cluster_is_granted_there(role):
    cluster, index = allowed_by(role)
    assert {one for one in index if one in ON_CLUSTER_TOO or one.startswith(ON_CLUSTER)} == set()
    assert {one for one in cluster if one not in ON_CLUSTER_TOO and not one.startswith(ON_CLUSTER)} == set()


def test_the_role_allows_all_that_is_done_and_nothing_else(guard, name, opensearch):
    with closing(opened(guard.url, name)) as index:
        index.ping()  # before it exists
        index.ensure()
        do_everything(index)
        [alias] = [{"remove": {"index": f"{name}-000001", "alias": name}}]
        request = urllib.request.Request(
            f"{opensearch.url}/_aliases", data=json.dumps({"actions": [alias]}).encode(), method="POST",
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        urllib.request.urlopen(request, timeout=30).close()
        assert Documents(index).put("c.txt").status is WriteStatus.WRITTEN
    with closing(Client(load(**REQUIRED, index_url=guard.url))) as client:
        type_the_runbook(client, name)
    assert guard.refusals == []
    unused = {
        one for one in CLUSTER | INDEX if not any(fnmatchcase(used, one.replace("[", "[[]")) for used in guard.used)
    }
    assert unused == BY_OPENSEARCH_ITSELF


@pytest.mark.parametrize("form", ["plugin", "aws", "serverless"])
@pytest.mark.parametrize("action", sorted(OPTIONAL))
def test_without_an_optional_permission_the_breaker_closes_and_a_dry_run_starts(action, form, guard, name):
    guard.form = form
    with closing(opened(guard.url, name)) as index:
        index.ensure()
    guard.denied.add(action)
    fakes = Fakes()
    with closing(opened(guard.url, name)) as index:
        breaker = index_breaker(index, interval_s=0.05)
        closed = threading.Event()
        breaker.on_change(lambda error: closed.set() if error is None else None)
        breaker.open(IndexUnavailableError("by the test"))
        assert closed.wait(10), guard.refusals
        assert Documents(index).put("a.txt").status is WriteStatus.WRITTEN
        assert index.stored([("b", "a.txt")]) != [None]
        fakes.index.ping = index.ping  # type: ignore[method-assign]
        fakes.index.inspect = index.inspect  # type: ignore[method-assign]
        check_state_and_index(fakes.settings(), fakes.clients)


def test_ids_are_not_guessed_where_nothing_can_be_searched_and_the_mapping_is_not_ours(guard, name, opensearch):
    body = json.dumps({"mappings": {"properties": {"content": {"type": "text"}}}}).encode()
    request = urllib.request.Request(
        f"{opensearch.url}/{name}", data=body, method="PUT", headers={"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()
    guard.denied.add("indices:data/read/search")
    with (
        closing(opened(guard.url, name)) as index,
        pytest.raises(IndexUnavailableError, match="indices:data/read/search"),
    ):
        index.ensure()
    with closing(opened(guard.url, name, document_ids="key")) as index:
        state = index.ensure()
    assert state.plain_key_ids
    assert any("cannot be searched" in one.what for one in state.findings)


@pytest.mark.parametrize(
    ("call", "denied"),
    [
        ("write", ["indices:data/write/bulk"]),
        ("write", ["indices:data/write/index"]),
        ("ensure", ["indices:admin/get"]),
        ("ping", ["indices:monitor/settings/get", "indices:data/read/search"]),
    ],
)
def test_what_is_needed_is_an_outage_that_names_the_permission(call, denied, guard, name):
    with closing(opened(guard.url, name)) as index:
        index.ensure()
        guard.denied |= set(denied)
        attempt = {"write": lambda: Documents(index).put("a.txt"), "ensure": index.ensure, "ping": index.ping}[call]
        with pytest.raises(IndexUnavailableError, match=r"403: security_exception: no permissions for"):
            attempt()


SERVERLESS = {
    ("GET", "_index_template"): "aoss:DescribeCollectionItems", ("PUT", "_index_template"): "aoss:CreateCollectionItems",
    ("POST", "_aliases"): "aoss:UpdateCollectionItems", ("PUT", ""): "aoss:CreateIndex", ("GET", ""): "aoss:DescribeIndex",
    ("GET", "_settings"): "aoss:DescribeIndex", ("GET", "_search"): "aoss:ReadDocument",
    ("POST", "_search"): "aoss:ReadDocument", ("POST", "_mget"): "aoss:ReadDocument", ("POST", "_bulk"): "aoss:WriteDocument",
}  # fmt: skip
"""Amazon OpenSearch Service Developer Guide, "Supported operations and plugins in Amazon OpenSearch Serverless"."""


def test_the_data_access_policy_has_what_a_collection_needs():
    [policy] = json.loads((CONFIG / "serverless-access.json").read_text())
    granted = {permission for rule in policy["Rules"] for permission in rule["Permission"]}
    assert granted == {*SERVERLESS.values(), "aoss:UpdateIndex"}


def test_the_roles_allow_all_that_a_reindex_does_and_nothing_else(guard, name):
    guard.roles = allowed_by(ROLE, REINDEX_ROLE)
    never = threading.Event()
    client = Client(load(**REQUIRED, index_url=guard.url, opensearch_index=name))
    with closing(opened(guard.url, name)) as index, closing(client):
        index.ensure()
        do_everything(index)
        exchange = OpenSearchExchange(client, name, plain_key=None)
        first = exchange.current().name
        second = exchange.next_name(exchange.current())
        exchange.buckets()
        exchange.create(first, second)
        assert exchange.copy(first, second, stop=never, on_copied=lambda *_: None).is_complete
        exchange.switch(second, first)
        exchange.remove(first)
        exchange.settle(second)
        stopped = threading.Event()
        stopped.set()
        third = exchange.next_name(exchange.current())
        exchange.create(second, third)
        exchange.copy(second, third, stop=stopped, on_copied=lambda *_: None)
    assert guard.refusals == []
    cluster, on_index = allowed_by(REINDEX_ROLE)
    assert {one for one in cluster | on_index if one not in guard.used} <= {"cluster:admin/tasks/cancel"}
