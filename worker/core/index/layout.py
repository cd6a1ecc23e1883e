"""Create and inspect what OpenSearch needs before documents can be written: template, first index and alias.

There are three cases. If nothing of the name exists, all three are created. An alias is used. An index of that very name
(see earlier_system.py) is used as it is, and its differences are reported. Only calls that Serverless collections support
are made, and any number of workers may do this at once.
"""

import time

from worker.core.base.errors import IndexUnavailableError
from worker.core.base.jsontypes import JsonObject
from worker.core.index import Finding, IndexState
from worker.core.index.client import Client, RefusedError
from worker.core.index.earlier_system import ids_in_use
from worker.core.index.findings import ONE_INDEX, compare, is_ours
from worker.core.index.template import FIRST_INDEX, index_template, template_name

WRONG = 400
UNAVAILABLE = 503
SHARDS_START_S = 15.0
"""A new index answers 503 until its shards have started; this is how long to wait for that."""
SAMPLE = 20
"""Number of documents that are read to find out which form of ids an index has."""


class Layout:
    """Template, index and alias of one name."""

    def __init__(self, client: Client, name: str, *, plain_key: bool | None, creates: bool = True) -> None:
        """`plain_key`: whether ids are to be plain keys; None: as in the existing documents.

        Without `creates`, an index that does not exist is unavailable.
        """
        self._client = client
        self._name = name
        self._plain_key = plain_key
        self._creates = creates
        self.is_alias = False
        """Whether the name was an alias when `ensure` was last called."""
        self.index = name
        """The index behind it then."""

    def ensure(self) -> IndexState:
        """Create what is missing if nothing of the name exists. Raises IndexUnavailableError if that fails."""
        state = IndexState()
        found = self._observe()
        if self._creates:
            self._ensure_template(state, needed=not found)
        elif not found or self._name in found:
            raise IndexUnavailableError(f"{self._client.shown}: the alias {self._name} does not exist")
        if not found:
            self._create(state)
            found = self._observe()
        if not found:
            raise IndexUnavailableError(
                f"{self._client.shown}: the index {self._name} was created but no longer exists; is someone deleting it?"
            )
        self.require_one_index(found)
        self.is_alias, self.index = self._name not in found, next(iter(found))
        self._describe(found, state)
        return state

    def is_there(self) -> bool:
        """Whether an index or alias of the name exists now. Raises IndexUnavailableError."""
        return bool(self._observe("?filter_path=*.aliases"))

    def inspect(self) -> IndexState:
        """Report the same as `ensure`, but change nothing."""
        state = IndexState()
        found = self._observe()
        state.findings += self._of_template()
        if found:
            self._describe(found, state)
        else:
            state.exists = False
            state.findings.append(Finding("ok", f"no index or alias {self._name} exists yet", _AT_START))
        return state

    def _of_template(self) -> list[Finding]:
        name, wanted = template_name(self._name), int(index_template(self._name)["version"])
        try:
            version = self._template_version()
        except RefusedError as error:
            if not error.is_denial:  # the request before this one was allowed
                raise
            return [Finding("warning", f"the template cannot be read: {error}", _ALLOW)]
        if not version:
            return [Finding("ok", f"there is no template {name}", _AT_START)]
        if version < wanted:
            what = f"template {name} is outdated: it has the version {version}, and this program has {wanted}"
            return [Finding("warning", what, _RESTART)]
        return []

    def _observe(self, which: str = "") -> JsonObject:
        """The indexes behind the name, each with its aliases, mappings and settings; empty if there are none."""
        try:
            found: JsonObject = self._client.request("GET", f"/{self._name}{which}")
        except RefusedError as error:
            if error.is_missing:
                return {}
            raise
        return found

    def _template_version(self) -> int:
        try:
            found = self._client.request("GET", f"/_index_template/{template_name(self._name)}")
        except RefusedError as error:
            if error.is_missing:
                return 0
            raise
        return int(found["index_templates"][0]["index_template"].get("version", 0))

    def _ensure_template(self, state: IndexState, *, needed: bool) -> None:
        """Put the template unless one of the same or a newer version exists.

        If an index exists already, the template is not needed, and a refusal becomes a finding.
        """
        try:
            if self._template_version() >= index_template(self._name)["version"]:
                return
            self._put_template()
            state.created.append(f"template {template_name(self._name)}")
        except RefusedError as error:
            if needed:
                raise
            state.findings.append(Finding("warning", f"the template cannot be put: {error}", _ALLOW))

    def _put_template(self) -> None:
        path = f"/_index_template/{template_name(self._name)}"
        try:
            self._client.request("PUT", path, index_template(self._name, japanese=True))
        except RefusedError as error:
            if error.status != WRONG:
                raise
            # Most likely, kuromoji is not installed. If it was something else, this request fails with the reason.
            self._client.request("PUT", path, index_template(self._name, japanese=False))

    def _create(self, state: IndexState) -> None:
        """Create the first index and, in the same request, its alias."""
        index = f"{self._name}-{FIRST_INDEX}"
        alias = {self._name: {"is_write_index": True}}
        try:
            self._client.request("PUT", f"/{index}", {"aliases": alias})
            state.created += [f"index {index}", f"alias {self._name}"]
        except RefusedError as error:
            # Another worker was faster; or a write created an index of this very name, which can be used too.
            if error.kind not in {"resource_already_exists_exception", "invalid_alias_name_exception"}:
                raise
            if not self._observe():
                add = {"index": index, "alias": self._name, "is_write_index": True}
                self._client.request("POST", "/_aliases", {"actions": [{"add": add}]})
                state.created.append(f"alias {self._name}")

    def require_one_index(self, found: JsonObject) -> None:
        """Raises IndexUnavailableError where an old version of a document would stay in another index.

        `found` is by the names of the indexes behind ours. After a rollover, writes and removals reach only the newest.
        """
        if len(found) > 1:
            raise IndexUnavailableError(
                f"{self._client.shown}: the alias {self._name} points to {len(found)} indexes ({', '.join(sorted(found))}), "
                f"of which a write reaches only one: {ONE_INDEX}"
            )
        if next(iter(found), "").startswith(".ds-"):
            raise IndexUnavailableError(
                f"{self._client.shown}: {self._name} is a data stream, in which no document can be changed or removed: set "
                "OPENSEARCH_INDEX to a name of its own"
            )

    def _describe(self, found: JsonObject, state: IndexState) -> None:
        state.findings += compare(self._name, found)
        try:
            sample = self._sample()
        except RefusedError as error:
            # Without knowing it, the form of the ids must not be guessed: each object would be indexed twice.
            if not error.is_denial or (self._plain_key is None and not is_ours(found)):
                raise
            sample = []
            state.findings.append(Finding("warning", f"the documents cannot be searched: {error}", _ALLOW_SEARCH))
        plain_key, findings = ids_in_use(sample, wanted=self._plain_key)
        state.plain_key_ids = plain_key
        state.findings += findings

    def _sample(self) -> list[JsonObject]:
        path = f"/{self._name}/_search?size={SAMPLE}&_source_includes=bucket,file_key"
        until = time.monotonic() + SHARDS_START_S
        while True:
            try:
                answer = self._client.request("POST", path, {"query": {"exists": {"field": "file_key"}}})
            except RefusedError as error:
                if error.status != UNAVAILABLE or time.monotonic() > until:
                    raise
                time.sleep(SHARDS_START_S / 25)  # another worker has just created the index
                continue
            hits: list[JsonObject] = answer["hits"]["hits"]
            return hits


_RESTART = "restart a worker, which puts the present one; an index that is made until then lacks what is new"
_AT_START = "it is created when a worker starts"
_ALLOW_SEARCH = "allow the worker to search in the index, or set DOCUMENT_IDS to the form of the ids that it has"
_ALLOW = "allow the worker to manage index templates, or put config/opensearch/index-template.json yourself"
