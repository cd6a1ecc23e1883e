"""What the preflight and `doctor` check of the index.

A worker starts while the index is down, but not where its address or sign-in is wrong: `retry-index/` would fill for nothing.
What begins to be wrong while it runs does not stop it.
"""

from collections.abc import Iterator

from worker.checks import Check
from worker.core.base.errors import ConfigError, IndexUnavailableError
from worker.core.base.settings import Settings
from worker.core.clients import Clients
from worker.core.index.open import is_sqlite, open_client

DOWN = (
    "the worker runs nevertheless: documents wait in retry-index/ until the index is available; check the cluster's health, and "
    "host and port in INDEX_URL"
)
_STRANGE = (LookupError, TypeError, AttributeError, ValueError)
"""What Python raises where an answer is JSON, but has not OpenSearch's form."""


def index(settings: Settings, clients: Clients, *, thorough: bool) -> Iterator[Check]:
    """Whether the index answers, how it differs from ours, and, if `thorough`, whether it may be written to."""
    where = clients.index.description
    try:
        clients.index.ping()
        state = clients.index.inspect()
        reindex = clients.reindex.look()
        tried = list(_tries(settings, clients)) if thorough and state.exists else []
    except ConfigError:
        raise
    except IndexUnavailableError as error:
        yield unavailable(error, settings, where)
        return
    except _STRANGE as error:
        if is_sqlite(settings):
            raise
        hint = f"is {where} really OpenSearch? Correct host and port in INDEX_URL"
        yield Check(
            "", "error", f"{where} sent an answer that OpenSearch would not send: {error!r}", hint, "dependency"
        )
        return
    yield Check("", "ok", f"{where} answers")
    if reindex is not None:
        both = f"{reindex.old} and {reindex.new}"
        yield Check("", "ok", f"a reindex by {reindex.by} is under way, with {both}: see `reindex_index --status`")
    for finding in state.findings:
        yield Check("", finding.level, finding.what, finding.hint)
    yield from tried


def unavailable(error: IndexUnavailableError, settings: Settings, where: str) -> Check:
    """An index that cannot be used: a warning if it is merely down, an error if the way to it is wrong."""
    if is_sqlite(settings):
        return Check(
            "",
            "warning",
            f"{where}: {error}",
            "the worker runs nevertheless: documents wait in retry-index/ until then",
        )
    from worker.core.index.diagnosis import diagnose  # with OpenSearch's client, which takes time to load

    wrong = diagnose(error, settings)
    if wrong is None:
        return Check("", "warning", f"{where}: {error}", DOWN)
    return Check("", "error", f"{where}: {error}", wrong.hint, "" if wrong.may_start else "dependency")


def _tries(settings: Settings, clients: Clients) -> Iterator[Check]:
    """Writes that are always refused, so that they leave nothing."""
    if is_sqlite(settings):
        return
    from worker.core.index.access import try_writes

    client = open_client(settings, clients.aws.credentials)
    try:
        for finding in try_writes(client, settings.opensearch_index):
            yield Check("", finding.level, finding.what, finding.hint)
    finally:
        client.close()
