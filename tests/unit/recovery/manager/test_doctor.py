"""What doctor says of sign-in and notifications, and what it advises."""

import pytest

from recovery.manager import doctor
from recovery.manager.assembly import Parts
from recovery.manager.settings import ManagerSettings
from recovery.operations.clients import DlqClients
from worker.checks import Check
from worker.core.base.aws import Aws
from worker.core.base.errors import DependencyError, PausedError
from worker.core.base.settings_model import load_as

OIDC = {
    "manager_auth": "oidc", "oidc_issuer": "https://idp.example.com", "oidc_client_id": "m", "oidc_client_secret": "s" * 40,
    "manager_url": "https://dlq.example.com", "manager_readers": "all",
}  # fmt: skip


@pytest.fixture
def checked(fakes, rows):
    """The check of a name, with these settings."""

    def check(name, **given):
        settings = load_as(
            ManagerSettings, sqs_queue_url="http://sqs/q/source", dlq_queue_url="http://sqs/q/dlq", state_bucket="state",
            s3_bucket="files", **{"ledger_url": "postgresql+psycopg://u:p@127.0.0.1:1/d", **given},
        )  # fmt: skip
        clients = DlqClients(fakes.dlq, fakes.s3, fakes.state, rows.types)
        parts = Parts(Aws(region="eu-central-1"), clients, fakes.state, rows)
        steps = doctor.checks(settings, parts)
        return next(one for one in steps if one.name == name)

    return check


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    for name in ("_queue", "_state", "_ledger", "_owner"):
        monkeypatch.setattr(doctor, name, lambda *_: Check("", "ok", "not asked here"))


def test_without_sign_in_no_ledger_is_opened_for_tokens(checked):
    assert checked("sign-in").level == "ok"


def test_a_ledger_that_cannot_be_opened_is_not_blamed_on_the_provider(checked, monkeypatch):
    said = checked("sign-in", manager_auth="token")
    assert (said.level, said.hint) == ("error", doctor._LEDGER)
    monkeypatch.setattr(doctor, "check_provider", lambda _: None)
    assert checked("sign-in", **OIDC).hint == doctor._LEDGER


def test_a_provider_that_does_not_answer_is_not_blamed_on_the_ledger(checked, monkeypatch):
    def away(_):
        raise DependencyError("the OpenID provider cannot be used")

    monkeypatch.setattr(doctor, "check_provider", away)
    assert checked("sign-in", **OIDC).hint == doctor._PROVIDER


def test_owners_without_addresses_of_those_who_operate_are_a_warning(checked):
    said = checked("notifications", owners="scans/=json://127.0.0.1/x")
    assert (said.level, said.hint) == ("warning", "set NOTIFY_URLS")
    assert "nobody is notified of failures of the system" in said.what
    assert checked("notifications", owners="scans/=json://127.0.0.1/x", notify_urls="json://127.0.0.1/y").level == "ok"


def test_a_pause_for_which_retries_would_wait_is_said_without_what_a_command_would_need(checked, monkeypatch):
    def paused(*_):
        raise PausedError("ana@ops-1", "index upgrade")

    monkeypatch.setattr(doctor, "retry_target", paused)
    monkeypatch.setattr(doctor, "_credentials", lambda *_: Check("", "ok", "not asked here"))
    said = checked("retries")
    assert said.what == "retries would wait now: the fleet is paused by ana@ops-1: index upgrade"
    assert (said.level, said.hint) == ("warning", "they are sent once index, S3 and fleet are healthy")
