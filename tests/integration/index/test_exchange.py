"""Replacing an index of OpenSearch: aliases move as they are, copies keep versions, and nothing is deleted that is searched."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.integration.index.conftest import REQUIRED, opened
from worker.core.base.errors import ConfigError, IndexUnavailableError
from worker.core.base.settings import load
from worker.core.base.throttle import Throttle
from worker.core.index import Index, WriteStatus
from worker.core.index.client import Client
from worker.core.index.document import Write, encode
from worker.core.index.exchange_opensearch import OpenSearchExchange
from worker.core.index.open import open_named

NEVER = threading.Event()


class Scene:
    """An index behind an alias, and what replaces it."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name
        self.settings = load(**REQUIRED, index_url=url, opensearch_index=name)
        self.client = Client(self.settings)
        self.exchange = OpenSearchExchange(self.client, name, plain_key=None)
        self.index = opened(url, name)

    def close(self) -> None:
        self.index.close()
        self.client.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as found:
                return json.loads(found.read() or b"{}")
        except urllib.error.HTTPError as refused:
            return json.loads(refused.read() or b"{}")

    def named(self, name: str) -> Index:
        return open_named(self.settings, name, plain_key=False, credentials=lambda: None, throttle=Throttle("index"))

    def aliases(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", f"/{name}/_alias")[name]["aliases"]
        return found

    def searched(self) -> set[str]:
        return set(self.ask("GET", f"/{self.name}"))


def document(key: str, version: int, **more: Any) -> Write:
    return Write("b", key, version, "e", encode({"bucket": "b", "file_key": key, "etag": "e", **more}))


@pytest.fixture
def scene(opensearch, index_name) -> Iterator[Scene]:
    made = Scene(opensearch.url, index_name)
    yield made
    made.close()


def begun(scene: Scene) -> tuple[str, str]:
    """The names of the old index and the new one, both made."""
    scene.index.ensure()
    current = scene.exchange.current()
    new = scene.exchange.next_name(current)
    scene.exchange.create(current.name, new)
    return current.name, new


def test_without_an_index_there_is_nothing_to_replace(scene):
    with pytest.raises(ConfigError, match=f"OPENSEARCH_INDEX={scene.name}: there is no such index"):
        scene.exchange.current()


def test_all_aliases_move_as_they_are_and_back(scene):
    old, new = begun(scene)
    narrow = {"index": old, "alias": f"{scene.name}-legal", "filter": {"term": {"bucket": "legal"}}, "routing": "1"}
    scene.ask("POST", "/_aliases", {"actions": [{"add": narrow}]})
    before = scene.aliases(old)
    scene.exchange.switch(new, old)
    moved = scene.aliases(new)
    own = {f"{old}-writes", f"{new}-writes"}
    assert {name: how for name, how in moved.items() if name not in own} == {
        name: how for name, how in before.items() if name not in own
    }
    assert set(scene.aliases(old)) == {f"{old}-writes"}
    assert scene.searched() == {new}
    scene.exchange.switch(old, new)
    assert scene.aliases(old) == before
    scene.exchange.switch(old, new)  # again: nothing happens
    assert scene.aliases(old) == before


def test_what_searches_read_is_not_deleted_and_what_is_lost_can_be_gone_back_from(scene):
    old, new = begun(scene)
    scene.exchange.switch(new, old)
    with pytest.raises(IndexUnavailableError, match=f"{new} is not deleted, because {scene.name} points to it"):
        scene.exchange.remove(new)
    scene.ask("DELETE", f"/{new}")
    scene.exchange.switch(old, new)
    assert scene.searched() == {old}
    with pytest.raises(IndexUnavailableError, match="no such index"):
        scene.exchange.switch(new, old)
    assert scene.searched() == {old}
    scene.exchange.remove(new)  # again: nothing happens
    scene.exchange.settle(new)
    scene.exchange.settle(old)
    assert set(scene.aliases(old)) == {scene.name}


def test_a_copy_keeps_versions_and_brings_no_removed_document_back(scene):
    old, new = begun(scene)
    scene.index.write([document("a", 5), document("b", 5), document("c", 5)])
    with closing(scene.named(new)) as second:
        second.write([document("b", 9), Write("b", "c", 9, None, None)])
        seen: list[tuple[int, int]] = []
        copied = scene.exchange.copy(old, new, stop=NEVER, on_copied=lambda *all_: seen.append(all_))
        assert (copied.changed, copied.is_complete) == (1, True)
        assert [one.version if one else None for one in second.stored([("b", "a"), ("b", "b"), ("b", "c")])] == [
            5,
            9,
            None,
        ]
        assert seen[-1] == (3, 3)
        assert scene.exchange.copy(old, new, stop=NEVER, on_copied=lambda *_: None).changed == 0


def test_documents_that_are_too_large_to_be_copied_together_are_copied_in_smaller_groups(scene, monkeypatch):
    sizes: list[int] = []
    real = scene.client.request

    def request(method, path, body=None):
        if path.startswith("/_reindex"):
            sizes.append(body["source"]["size"])
        found = real(method, path, body)
        if path.startswith("/_tasks/") and len(sizes) < 3:
            found["error"] = {"type": "circuit_breaking_exception", "reason": "[parent] Data too large"}
        return found

    old, new = begun(scene)
    scene.index.write([document("a", 5), document("b", 5)])
    monkeypatch.setattr(scene.client, "request", request)
    assert scene.exchange.copy(old, new, stop=NEVER, on_copied=lambda *_: None).is_complete
    assert sizes == [500, 50, 5]
    with closing(scene.named(new)) as second:
        assert None not in second.stored([("b", "a"), ("b", "b")])


def test_a_document_that_the_new_index_rejects_is_named(scene):
    old, new = begun(scene)
    scene.ask("PUT", f"/{new}/_mapping", {"properties": {"odd": {"type": "date"}}})
    scene.index.write([document("a", 5, odd="no date")])
    with pytest.raises(IndexUnavailableError, match=r"did not copy the document b/a: mapper_parsing_exception"):
        scene.exchange.copy(old, new, stop=NEVER, on_copied=lambda *_: None)


def test_a_late_write_or_removal_creates_no_index_that_was_deleted(scene):
    old, new = begun(scene)
    with closing(scene.named(new)) as second:
        assert second.write([document("a", 5)])[0].status is WriteStatus.WRITTEN
        scene.exchange.remove(new)
        for late in (document("b", 6), Write("b", "a", 6, None, None)):
            with pytest.raises(IndexUnavailableError, match=f"the alias {new}-writes does not exist"):
                second.write([late])
    assert set(scene.ask("GET", f"/{scene.name}*")) == {old}


def test_an_index_of_the_name_itself_becomes_an_alias_also_for_who_knew_it_before(scene):
    scene.ask("PUT", f"/{scene.name}")
    scene.ask("POST", "/_aliases", {"actions": [{"add": {"index": scene.name, "alias": f"{scene.name}-other"}}]})
    old, new = begun(scene)
    assert (old, new, scene.exchange.current().is_alias) == (scene.name, f"{scene.name}-000001", False)
    scene.index.write([document("a", 5)])
    scene.exchange.switch(new, old)
    assert set(scene.aliases(new)) == {scene.name, f"{scene.name}-other", f"{new}-writes"}
    assert scene.index.write([document("b", 6)])[0].status is WriteStatus.WRITTEN
    # the alias is known as one by now: a write after its removal creates no index of its name
    scene.ask("DELETE", f"/{new}/_alias/{scene.name}")
    assert scene.index.write([document("c", 7)])[0].status is WriteStatus.WRITTEN
    assert scene.searched() == {new}


def test_the_next_name_is_one_that_nothing_has(scene):
    scene.index.ensure()
    scene.ask("PUT", f"/{scene.name}-000002")
    assert scene.exchange.next_name(scene.exchange.current()) == f"{scene.name}-000003"


def test_the_buckets_are_those_of_the_documents(scene):
    scene.index.ensure()
    scene.index.write([document("a", 5), Write("other", "x", 5, "e", encode({"bucket": "other", "file_key": "x"}))])
    scene.index.refresh()
    assert scene.exchange.buckets() == {"b", "other"}
