"""Replaces an index of OpenSearch: aliases are moved, and each index has an alias of its own for writing, with require_alias."""

import re
import threading
from typing import Any

from worker.core.base.errors import ConfigError, IndexUnavailableError
from worker.core.base.jsontypes import JsonObject
from worker.core.index.client import MAX_REASON_CHARS, MISSING, Client, RefusedError, reason_of
from worker.core.index.exchange import FIRST, Copied, Current, OnCopied
from worker.core.index.layout import Layout
from worker.core.index.template import index_template

GC_DELETES = "30d"
"""How long the new index remembers the versions of removed documents: an old version that is copied must not bring one back."""
COPIED_AT_ONCE = (500, 50, 5)
"""Number of documents that OpenSearch copies at once: whole contents, in its memory. Fewer where that does not suffice."""
_NO_MEMORY = ("circuit_breaking_exception", "rejected_execution_exception")
POLL_S = 1.0
MAX_BUCKETS = 10_000
_NUMBERED = re.compile(r"(.+)-(\d{6})")
_EXISTS = "resource_already_exists_exception"


def write_alias(index: str) -> str:
    """The alias by which one index is written to during a reindex: a write to it never creates an index."""
    return f"{index}-writes"


class OpenSearchExchange:
    """Replaces the index behind one name."""

    def __init__(self, client: Client, name: str, *, plain_key: bool | None) -> None:
        """`plain_key`: whether ids are plain keys; None: as in the existing documents."""
        self._client = client
        self._name = name
        self._layout = Layout(client, name, plain_key=plain_key)

    def current(self) -> Current:
        """The index behind the name."""
        if self._client.service == "aoss":
            raise ConfigError(
                "INDEX_URL is an OpenSearch Serverless collection, in which this command replaces no index: it relies on _reindex "
                "and require_alias, which it does not know to work there. Set OPENSEARCH_INDEX to a new name on all hosts, restart "
                "the workers, and run backfill_index"
            )
        found = self._found(f"/{self._name}")
        if not found:
            raise ConfigError(
                f"OPENSEARCH_INDEX={self._name}: there is no such index, so there is nothing to replace: start a worker, which "
                "creates it, and run backfill_index"
            )
        self._layout.require_one_index(found)
        [index] = found
        plain_key = self._layout.inspect().plain_key_ids
        documents = self._client.request("GET", f"/{index}/_count")["count"]
        return Current(index, self._name != index, plain_key, documents)

    def next_name(self, current: Current) -> str:
        """`files-000002` after `files-000001`; `files-000001` after `files`."""
        numbered = _NUMBERED.fullmatch(current.name)
        stem, number = (numbered[1], int(numbered[2]) + 1) if numbered else (current.name, FIRST)
        if stem != self._name:  # only then does the index template apply
            stem, number = self._name, FIRST
        while self._found(f"/{stem}-{number:06}"):
            number += 1
        return f"{stem}-{number:06}"

    def buckets(self) -> set[str]:
        """The buckets of the documents."""
        properties = next(iter(self._found(f"/{self._name}/_mapping").values()))["mappings"].get("properties", {})
        field = "bucket.keyword" if properties.get("bucket", {}).get("type") == "text" else "bucket"
        asked = {"size": 0, "aggs": {"buckets": {"terms": {"field": field, "size": MAX_BUCKETS}}}}
        answer = self._client.request("POST", f"/{self._name}/_search", asked)
        return {one["key"] for one in answer.get("aggregations", {}).get("buckets", {}).get("buckets", [])}

    def create(self, old: str, new: str) -> None:
        """Create the new index by the template, and the aliases for writing."""
        self._layout.ensure()
        own = {"index": {"gc_deletes": GC_DELETES}}
        try:
            self._client.request("PUT", f"/{new}", {"settings": own, "aliases": {write_alias(new): {}}})
        except RefusedError as error:
            if error.kind != _EXISTS:
                raise
        named = {old, new} - {self._name}
        self._change_aliases([{"add": {"index": name, "alias": write_alias(name)}} for name in sorted(named)])

    def copy(self, old: str, new: str, *, stop: threading.Event, on_copied: OnCopied) -> Copied:
        """`_reindex` with the versions that the documents have: what is newer there is left alone."""
        *more, least = COPIED_AT_ONCE
        for size in more:
            try:
                return self._copy(old, new, size, stop, on_copied)
            except IndexUnavailableError as error:
                if not any(kind in str(error) for kind in _NO_MEMORY):
                    raise
        return self._copy(old, new, least, stop, on_copied)

    def _copy(self, old: str, new: str, size: int, stop: threading.Event, on_copied: OnCopied) -> Copied:
        self._client.request("POST", f"/{old}/_refresh")
        asked = {
            "conflicts": "proceed",
            "source": {"index": old, "size": size},
            "dest": {"index": write_alias(new), "version_type": "external"},
        }
        path = "/_reindex?wait_for_completion=false&require_alias=true"
        task = self._client.request("POST", path, asked)["task"]
        while True:
            stopped = stop.wait(POLL_S)
            found = self._client.request("GET", f"/_tasks/{task}")
            status = found["task"]["status"]
            on_copied(_number(status, "created", "updated", "version_conflicts"), status["total"])
            if found["completed"]:
                return self._copied(found, status)
            if stopped:
                self._client.request("POST", f"/_tasks/{task}/_cancel")
                return Copied(_number(status, "created", "updated"), is_complete=False)

    def switch(self, to: str, instead_of: str) -> None:
        """Move every alias but those for writing, in one call."""
        if to in self._found(f"/{self._name}"):
            return
        found = self._found(f"/{instead_of}")
        aliases: JsonObject = found[instead_of]["aliases"] if instead_of in found else {}
        moved = {name: how for name, how in aliases.items() if name != write_alias(instead_of)}
        if instead_of == self._name:
            actions: list[Any] = [{"remove_index": {"index": instead_of}}]
        else:
            actions = [{"remove": {"index": instead_of, "alias": name, "must_exist": True}} for name in moved]
        own: JsonObject = {self._name: {"is_write_index": True}}
        for name, how in (own | moved).items():
            actions.append({"add": {"index": to, "alias": name, **_as_asked(how)}})
        self._change_aliases(actions)
        if set(self._found(f"/{self._name}")) != {to}:
            raise IndexUnavailableError(f"{self._client.shown}: {self._name} does not lead to {to} alone")

    def remove(self, name: str) -> None:
        """Delete an index, unless searches read it."""
        if name in self._found(f"/{self._name}"):
            raise IndexUnavailableError(
                f"{self._client.shown}: {name} is not deleted, because {self._name} points to it"
            )
        self._undo({"remove_index": {"index": name}})

    def settle(self, name: str) -> None:
        """Remove its alias for writing, and remember removed documents no longer than usual."""
        if name not in self._found(f"/{name}"):
            return  # it is deleted, and its name may be an alias now
        usual = index_template(self._name)["template"]["settings"]["index"]["gc_deletes"]
        self._client.request("PUT", f"/{name}/_settings", {"index": {"gc_deletes": usual}})
        self._undo({"remove": {"index": name, "alias": write_alias(name)}})

    def _undo(self, action: Any) -> None:
        """Remove an index or an alias. It is no error if it does not exist."""
        try:
            self._change_aliases([action])
        except RefusedError as error:
            if error.status != MISSING:
                raise

    def _copied(self, found: JsonObject, status: JsonObject) -> Copied:
        failures = found.get("response", {}).get("failures") or []
        error = found.get("error") or (failures[0].get("cause") or failures[0].get("reason") if failures else None)
        if error:
            about = f" {failures[0]['id']}" if failures and "id" in failures[0] else ""
            why = reason_of({"error": error})[1]
            raise IndexUnavailableError(
                f"{self._client.shown} did not copy the document{about}: {why}"[:MAX_REASON_CHARS]
            )
        return Copied(_number(status, "created", "updated"), is_complete=True)

    def _change_aliases(self, actions: list[Any]) -> None:
        self._client.request("POST", "/_aliases", {"actions": actions})

    def _found(self, path: str) -> JsonObject:
        """The answer about indexes; empty if there is none."""
        try:
            found: JsonObject = self._client.request("GET", path)
        except RefusedError as error:
            if error.status == MISSING:
                return {}
            raise
        return found


def _number(status: JsonObject, *names: str) -> int:
    return sum(int(status[name]) for name in names)


def _as_asked(alias: JsonObject) -> JsonObject:
    """An alias as it was found, in the words of a request: those of an answer and of a request are the same."""
    return {name: value for name, value in alias.items() if name in _OF_AN_ALIAS}


_OF_AN_ALIAS = frozenset({"filter", "index_routing", "search_routing", "is_write_index", "is_hidden"})
