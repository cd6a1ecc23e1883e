"""The checks of `dlq-manager doctor`: what the manager needs, and what to do where it is missing. They change nothing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from recovery.ledger.ledger import Ledger, is_missing
from recovery.ledger.migrating import SchemaState
from recovery.manager.assembly import Parts, ledger_to_migrate, open_own_index
from recovery.manager.fleet_health import why_unhealthy
from recovery.manager.notices.assembly import open_parts
from recovery.manager.notices.channels import NotifyError
from recovery.manager.notices.owners import is_mail
from recovery.manager.ownership import OWNER_KEY, Owner
from recovery.manager.settings import ManagerSettings
from recovery.manager.who import check_provider
from recovery.operations.clients import attributes_of, retention_of
from recovery.operations.transfer.targets import retry_target
from worker import machine_checks, queue_checks
from worker.checks import CREDENTIALS, Check, Step, fatality, results
from worker.cloudwatch_check import figures
from worker.core.base.errors import DependencyError, IndexUnavailableError, PausedError
from worker.core.s3.state import DEAD_LETTERS_PREFIX
from worker.core.sqs.queue import SqsQueue
from worker.index_checks import unavailable

SHORT_RETENTION_S = 4 * 86_400
T = TypeVar("T")


def checks(settings: ManagerSettings, parts: Parts) -> Iterator[Check]:
    """Every check, in the order in which a failure explains the next."""
    dlq, state = "dead-letter queue", "state bucket"
    yield from results(
        [
            Step("settings", machine_checks.names),
            Step(CREDENTIALS, lambda: _credentials(parts)),
            Step("region", lambda: queue_checks.region(settings, parts.aws.region)),
            Step(dlq, lambda: _queue(parts), (CREDENTIALS,), _HINTS[dlq]),
            Step(state, lambda: _state(parts), (CREDENTIALS,), _HINTS[state]),
            Step("ledger", lambda: _ledger(settings), hint=_HINTS["ledger"]),
            Step("ledger: whose", lambda: _owner(settings, parts), (state, "ledger"), _HINTS["ledger: whose"]),
            Step("sign-in", lambda: _sign_in(settings), hint=_HINTS["sign-in"]),
            Step("notifications", lambda: _notifications(settings), hint=_HINTS["notifications"]),
            *_of_figures(settings, parts),
            Step("index", lambda: _index(settings, parts), hint=_HINTS["index"]),
            Step("port", lambda: _port(settings)),
            Step("retries", lambda: _retries(settings, parts), (dlq, state), _HINTS["retries"]),
        ]
    )


def of_settings(settings: ManagerSettings) -> Iterator[Check]:
    """What the settings alone say: nothing is asked. For people who look at them in the manager, which has started."""
    yield from results(
        [
            Step("settings", machine_checks.names),
            Step("notifications", lambda: _notifications(settings), hint=_HINTS["notifications"]),
            *(() if settings.has_index else [Step("index", _no_index)]),
        ]
    )


def _of_figures(settings: ManagerSettings, parts: Parts) -> Iterator[Step]:
    if settings.cloudwatch_namespace:
        yield Step("CloudWatch", lambda: figures(settings, parts.aws), (CREDENTIALS,))


def _port(settings: ManagerSettings) -> Check:
    """Whether the manager's port is free, or a manager answers there."""
    host, number = settings.manager_host, settings.manager_port
    found = machine_checks.own_port(host, number, "MANAGER", path="/health", member="service")
    return found if isinstance(found, Check) else Check("", "ok", f"a manager answers at {host}:{number}")


def _credentials(parts: Parts) -> Check:
    return Check("", "ok", f"found by {parts.aws.credentials().method}")


_LEDGER = "correct LEDGER_URL; the database must exist, and its user must be allowed to create tables"
_PROVIDER = "correct OIDC_ISSUER, or let this host reach the provider; until then, nobody new can sign in"
_HINTS = {
    "dead-letter queue": "correct DLQ_QUEUE_URL, or grant this role what config/iam/manager.json allows",
    "state bucket": "correct STATE_BUCKET, or grant this role what config/iam/manager.json allows",
    "ledger": _LEDGER,
    "ledger: whose": "correct LEDGER_URL and STATE_BUCKET",
    "sign-in": _LEDGER,
    "notifications": "correct NOTIFY_URLS and OWNERS; docs/manager.md has examples",
    "index": "correct INDEX_URL, or grant this role to read the index; until then, nothing is confirmed or diagnosed",
    "retries": "correct SQS_QUEUE_URL, or grant this role what config/iam/manager.json allows",
}


def _queue(parts: Parts) -> Check:
    attributes = attributes_of(parts.clients.dlq, called="DLQ_QUEUE_URL")
    depth = int(attributes.get("ApproximateNumberOfMessages", 0))
    days = retention_of(attributes) / 86_400
    if retention_of(attributes) < SHORT_RETENTION_S:
        hint = "raise its MessageRetentionPeriod to 14 days: while the manager is away, SQS drops what is older"
        return Check("", "warning", f"{depth:,} messages; it keeps them only {days:g} days", hint)
    return Check("", "ok", f"{depth:,} messages; it keeps them {days:g} days")


def _state(parts: Parts) -> Check:
    parts.clients.objects.check_bucket(parts.state.bucket)
    count = parts.state.count(DEAD_LETTERS_PREFIX, at_most=1_000)
    return Check("", "ok", f"{parts.state.bucket} has {count:,}{' or more' if count == 1_000 else ''} dead letters")


def _ledger(settings: ManagerSettings) -> Check:
    if is_missing(settings.ledger_url.get_secret_value()):
        return Check("", "warning", "the ledger's file does not exist", "`serve` makes it, if its user may write there")
    ledger = ledger_to_migrate(settings)
    try:
        state = ledger.schema_state()
        if state is SchemaState.NEWER:
            return Check("", "error", f"{ledger.shown} is of a newer version", "install that version", "config")
        if state is not SchemaState.CURRENT:
            hint = "`serve` makes it ready" if ledger.is_sqlite else "run `dlq-manager migrate`"
            return Check("", "warning", f"{ledger.shown} is {state.value}", hint)
        ledger.check()
        return Check("", "ok", f"{ledger.shown} can be written to")
    finally:
        ledger.close()


def _owner(settings: ManagerSettings, parts: Parts) -> Check:
    raw = parts.state.get(OWNER_KEY)
    if raw is None:
        return Check("", "ok", "the state bucket has no ledger yet; `serve` gives it this one")
    owner = Owner.from_json(raw)
    if _ledger_id(settings) == owner.id:
        return Check("", "ok", f"it is the state bucket's, since {owner.since}")
    hint = "set LEDGER_URL to that one; or, if it is lost, stop the other manager and run `dlq-manager rebuild`"
    return Check("", "error", f"the state bucket's ledger is {owner.name}, by {owner.by}", hint, "config")


def _sign_in(settings: ManagerSettings) -> Check:
    mode = settings.manager_auth
    if mode == "none":
        who = "there is no sign-in; whoever reaches the port on this machine may do what an operator may"
        return Check("", "ok", who)
    if mode == "oidc":
        try:
            check_provider(settings)
        except DependencyError as error:
            return Check("", "error", str(error), _PROVIDER, fatality(error))
    tokens = _tokens(settings)
    if mode == "oidc":
        return Check("", "ok", f"{settings.oidc_issuer} answers; {tokens:,} tokens are valid")
    if mode == "proxy":
        return Check("", "ok", f"believes {', '.join(settings.proxy_trusted)}; {tokens:,} tokens are valid")
    if not tokens:
        return Check("", "warning", "no token is valid: nobody can ask", "run `dlq-manager token create`")
    return Check("", "ok", f"{tokens:,} tokens are valid")


def _notifications(settings: ManagerSettings) -> Check:
    """The addresses can be used; nothing is sent."""
    found = open_parts(settings, lambda: settings.manager_port)
    if not found.notifies:
        return Check("", "warning", "nobody is notified of failures", "set NOTIFY_URLS, or watch the alerts in config/")
    owners = len(found.owners)
    if not found.channels.ops:
        what = (
            f"{owners:,} prefixes have owners, but nobody is notified of failures of the system, nor of used-up retries"
        )
        return Check("", "warning", what, "set NOTIFY_URLS")
    ops = ", ".join(found.channels.ops)
    return Check("", "ok", f"{ops}; {owners:,} prefixes have owners. `dlq-manager notify-test` sends a message")


def _index(settings: ManagerSettings, parts: Parts) -> Check:
    index = open_own_index(settings, parts)
    if index is None:
        return _no_index()
    try:
        index.inspect()
    except IndexUnavailableError as error:
        found = unavailable(error, settings, index.description)
        return replace(found, level="error", hint=found.hint if found.level == "error" else _HINTS["index"])
    finally:
        index.close()
    return Check("", "ok", f"{index.description} can be read")


def _no_index() -> Check:
    what = "INDEX_URL is not set: no recovery is confirmed, and dead letters of an unknown kind are not diagnosed"
    return Check("", "warning", what, "set INDEX_URL to the workers' index")


def _retries(settings: ManagerSettings, parts: Parts) -> Check:
    url = settings.sqs_queue_url
    try:
        retry_target(parts.clients, SqsQueue(parts.aws.sqs(url), url))
        why = why_unhealthy(parts.state, parts.clients.objects.clock.now_ms())
    except PausedError as error:
        why = error.fact
    if why:
        return Check(
            "", "warning", f"retries would wait now: {why}", "they are sent once index, S3 and fleet are healthy"
        )
    return Check("", "ok", f"they are sent to {url} while index, S3 and fleet are healthy, as they are now")


def _ledger_id(settings: ManagerSettings) -> str | None:
    """The ledger's id; None if it has none yet."""
    return _asked(settings, lambda ledger: ledger.ledger_id())


def _tokens(settings: ManagerSettings) -> int:
    """How many tokens are valid."""
    now_ms = int(time.time() * 1000)
    valid = _asked(settings, lambda ledger: [one for one in ledger.tokens.all() if one.is_valid(now_ms)])
    return len(valid or ())


def _asked(settings: ManagerSettings, ask: Callable[[Ledger], T]) -> T | None:
    """What a ledger answers; None if it has nothing yet."""
    if is_missing(settings.ledger_url.get_secret_value()):
        return None
    ledger = ledger_to_migrate(settings)
    try:
        return ask(ledger) if ledger.schema_state() is SchemaState.CURRENT else None
    finally:
        ledger.close()


def sendings(settings: ManagerSettings) -> Iterator[Check]:
    """Send a test message to each address of NOTIFY_URLS and each owner, and say what became of it. Raises ConfigError."""
    found = open_parts(settings, lambda: settings.manager_port)
    mailed = dict.fromkeys(one.name for one in found.owners if is_mail(one.address))
    for recipient in (*found.channels.ops, *found.channels.owners, *mailed):
        began = time.monotonic()
        try:
            found.channels.send(recipient, found.wording.test())
            done = Check(recipient, "ok", "the message was accepted; see whether it arrives")
        except NotifyError as error:
            hint = "correct the address, its password or token; or let this host reach the service"
            done = Check(recipient, "error", str(error), hint)
        yield replace(done, took_ms=(time.monotonic() - began) * 1000)
    if not found.notifies:
        yield Check("notifications", "error", "NOTIFY_URLS and OWNERS are empty", "set NOTIFY_URLS: docs/manager.md")
