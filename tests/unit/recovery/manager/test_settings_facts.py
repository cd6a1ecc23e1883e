"""Where settings are set, how they are shown, and that no secret is."""

import pytest

from recovery.ledger.tokens import Token
from recovery.manager.settings_facts import SettingsReader
from tests.support.api import manager_settings
from worker.core.base.settings_model import Origin

SECRETS = {
    "OIDC_CLIENT_SECRET": "s3cret-a", "NOTIFY_URLS": "mailtos://user:s3cret-b@example.com?to=ops@example.com",
    "OWNERS": "*=s3cret-c@example.com", "INDEX_PASSWORD": "s3cret-d", "INDEX_USER": "worker",
    "INDEX_URL": "https://index.example.com:9200",
}  # fmt: skip


@pytest.fixture
def read(ledger):
    def reading(problems=(), **more):
        return SettingsReader(manager_settings(**more), ledger, problems=lambda: list(problems)).read()

    return reading


def by_name(facts):
    return {one.name: one for one in facts.settings}


def test_secrets_are_set_and_nothing_else(read, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    found = read()
    assert "s3cret" not in repr(found)
    named = by_name(found)
    assert {named[name].value for name in ("OIDC_CLIENT_SECRET", "NOTIFY_URLS", "OWNERS", "INDEX_PASSWORD")} == {
        "(set)"
    }
    assert named["INDEX_URL"].value == "https://index.example.com:9200"
    assert (named["INDEX_USER"].value, named["INDEX_USER"].is_secret) == ("worker", False)
    assert by_name(read(oidc_client_secret=None))["OIDC_CLIENT_SECRET"].is_secret


def test_an_address_with_a_password_is_shown_without(read):
    found = read(index_url="https://worker:s3cret@index.example.com:9200")
    assert by_name(found)["INDEX_URL"].value == "https://index.example.com:9200"
    assert "s3cret" not in repr(read(ledger_url="postgresql+psycopg://dlq:s3cret@db/ledger"))


def test_each_setting_says_where_it_is_set(read, monkeypatch, tmp_path):
    (tmp_path / "oidc_client_secret").write_text("s3cret\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("OIDC_CLIENT_SECRET", "another")
    monkeypatch.setenv("MANAGER_PORT", "9000")
    monkeypatch.setenv("RETRY_TIMES", "")
    monkeypatch.setenv("OPENSEARCH_ENDPOINT", "https://index.example.com")
    named = by_name(read())
    secret, port, times = (named[name] for name in ("OIDC_CLIENT_SECRET", "MANAGER_PORT", "RETRY_TIMES"))
    assert (secret.origin, secret.where) == (Origin.CREDENTIAL, str(tmp_path / "oidc_client_secret"))
    assert (port.value, port.default, port.origin, port.where) == ("9000", "8024", Origin.ENVIRONMENT, "MANAGER_PORT")
    assert (times.value, times.origin, times.where) == ("8", Origin.DEFAULT, "")
    assert named["INDEX_URL"].where == "OPENSEARCH_ENDPOINT"
    assert {one.name for one in named.values() if one.differs} == {"OIDC_CLIENT_SECRET", "MANAGER_PORT", "INDEX_URL"}


def test_the_managers_own_settings_come_first_and_each_has_its_purpose(read):
    found = read().settings
    assert [one.is_shared for one in found] == sorted(one.is_shared for one in found)
    assert all(one.purpose for one in found)
    assert by_name(read())["MANAGER_PORT"].accepts == "a whole number from 0 to 65,535"


def test_values_are_shown_as_they_would_be_typed(read):
    found = by_name(read(include_keys="a/*, b/*", budget_caps="objects=500", retry_first_s=1.5, manager_readers="a,b"))
    assert found["INCLUDE_KEYS"].value == "a/*,b/*"
    assert found["BUDGET_CAPS"].value == "objects=500"
    assert (found["RETRY_FIRST_S"].value, found["RETRY_MAX_S"].value) == ("1.5", "21600")
    assert (found["INDEX_VERIFY_TLS"].value, found["MANAGER_READERS"].value) == ("yes", "a,b")


def test_what_is_wrong_is_said_with_what_to_do(read, ledger, monkeypatch):
    monkeypatch.setenv("MANAGER_PROT", "9000")
    found = {(one.name, one.level): one for one in read(["intake is on hold: denied"], manager_auth="token").wrong}
    assert found["manager", "error"].what == "intake is on hold: denied"
    assert "MANAGER_PROT" in found["settings", "warning"].what
    assert {name for name, _ in found} == {"manager", "settings", "notifications", "index", "sign-in"}
    ledger.tokens.create(Token("ci", "reader", "d" * 64, 1, "me"))
    assert "sign-in" not in {one.name for one in read(manager_auth="token").wrong}
