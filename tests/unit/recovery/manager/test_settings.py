"""The manager's settings: on which address it may answer, and what each way of signing in needs."""

import pytest
from starlette.requests import Request
from starlette.responses import Response

from recovery.manager.roles import Principal, Role
from recovery.manager.settings import ManagerSettings
from recovery.manager.web.sign_in import Mode
from recovery.manager.who import sign_in_of
from testing.ledgers import new_ledger
from worker.core.base.errors import ConfigError
from worker.core.base.settings_model import load_as

USUAL = {
    "sqs_queue_url": "https://sqs.eu-west-1.amazonaws.com/1/documents",
    "dlq_queue_url": "https://sqs.eu-west-1.amazonaws.com/1/documents-dlq",
    "state_bucket": "our-state", "index_url": "https://search.example.com",
}  # fmt: skip
OIDC = {
    "manager_auth": "oidc", "oidc_issuer": "https://idp.example.com/realm", "oidc_client_id": "dlq", "oidc_client_secret": "s",
    "manager_url": "https://dlq.example.com:8443/", "manager_operators": "ops, on-call",
}  # fmt: skip
PROXY = {
    "manager_auth": "proxy", "proxy_user_header": "X-User", "proxy_role_header": "X-Groups", "proxy_trusted": "10.0.0.7,::1",
    "manager_admins": "root",
}  # fmt: skip


def load(**given):
    return load_as(ManagerSettings, **(USUAL | given))


def refused(**given):
    with pytest.raises(ConfigError) as error:
        load(**given)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_nobody_has_to_sign_in(host):
    assert load(manager_host=host).manager_auth == "none"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "dlq.example.com", "127.0.0.1.example.com", "1"])
def test_on_any_other_address_somebody_has_to(host):
    said = refused(manager_host=host)
    assert said.startswith(f"MANAGER_HOST='{host}'")
    assert "MANAGER_AUTH should be token, oidc or proxy" in said
    for more in ({"manager_auth": "token"}, OIDC, PROXY):
        assert load(manager_host=host, **more).manager_host == host


@pytest.mark.parametrize(
    ("mode", "missing"),
    [
        (OIDC, ["oidc_issuer", "oidc_client_id", "oidc_client_secret", "manager_url"]),
        (PROXY, ["proxy_user_header", "proxy_role_header", "proxy_trusted"]),
    ],
)
def test_what_a_way_of_signing_in_lacks_is_named_together(mode, missing):
    said = refused(manager_auth=mode["manager_auth"])
    assert all(name.upper() in said for name in missing)
    for name in missing:
        assert refused(**{key: value for key, value in mode.items() if key != name}).endswith(f": {name.upper()}")


@pytest.mark.parametrize("mode", [OIDC, PROXY])
def test_without_a_role_that_lets_somebody_in_it_does_not_start(mode):
    assert "MANAGER_READERS" in refused(**mode | {"manager_operators": "", "manager_admins": " , "})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"manager_auth": "basic"}, "MANAGER_AUTH='basic'"),
        ({"proxy_trusted": "10.0.0.0/24,host"}, "'host' is not an address or a network"),
        ({"proxy_trusted": "10.0.0.7/24"}, "'10.0.0.7/24' is not an address or a network"),
        ({"redact_fields": "$.a,password"}, "'password' is not a JSON path"),
        ({"oidc_issuer": "http://idp.example.com"}, "OIDC_ISSUER='http://idp.example.com': is not such a URL"),
        ({"oidc_issuer": "https://user@idp.example.com"}, "is not such a URL"),
        ({"manager_url": "dlq.example.com"}, "MANAGER_URL='dlq.example.com'"),
        ({"manager_url": "https://dlq.example.com?x"}, "is not such a URL"),
        ({"manager_requests_per_minute": 1}, "MANAGER_REQUESTS_PER_MINUTE"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(given, said):
    assert said in refused(**given)


def test_an_unencrypted_provider_is_one_of_this_machine():
    assert load(**OIDC | {"oidc_issuer": "http://127.0.0.1:8080"}).oidc_issuer == "http://127.0.0.1:8080"


def test_the_secret_is_a_credential_and_is_not_shown(tmp_path, monkeypatch):
    (tmp_path / "oidc_client_secret").write_text("s3cret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    found = load(**{key: value for key, value in OIDC.items() if key != "oidc_client_secret"})
    assert found.oidc_client_secret.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("change", "is_known"),
    [
        ({}, True),
        ({"manager_operators": "on-call, ops"}, True),
        ({"manager_requests_per_minute": 60}, True),
        ({"manager_operators": "ops"}, False),
        ({"manager_admins": "ops"}, False),
        ({"oidc_roles_claim": "groups"}, False),
        ({"oidc_issuer": "https://other.example.com"}, False),
        ({"oidc_client_secret": "t"}, False),
    ],
)
def test_a_session_does_not_outlive_a_change_of_what_makes_somebody_a_role(tmp_path, change, is_known):
    ledger = new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    before, after = (sign_in_of(load(**given), ledger, by="x") for given in (OIDC, OIDC | change))
    assert before.oidc is not None
    response = Response()
    before.oidc.sessions.open(response, Principal("ana", Role.OPERATOR))
    cookie = response.headers["set-cookie"].partition(";")[0]
    request = Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})
    known = before.principal(request)
    assert known is not None
    assert known.role is Role.OPERATOR
    assert (after.principal(request) is not None) == is_known
    ledger.close()


@pytest.mark.parametrize("given", [{}, {"manager_auth": "token"}, OIDC, PROXY])
def test_the_sign_in_is_as_the_settings_say(given, tmp_path):
    ledger = new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    found = load(**given)
    made = sign_in_of(found, ledger, by="api@host")
    assert (made.mode, made.tokens) == (Mode(found.manager_auth), ledger.tokens)
    assert (made.oidc is not None, made.proxy is not None) == (made.mode is Mode.OIDC, made.mode is Mode.PROXY)
    assert made.is_proxy("::1") == (made.mode is Mode.PROXY)
    if made.oidc is not None:
        assert made.oidc.provider._client.redirect_url == "https://dlq.example.com:8443/auth/callback"
        assert made.roles["operator"] == {"ops", "on-call"}
        assert "dlq.example.com" in found.hosts
    ledger.close()


@pytest.mark.parametrize("value", ["on", "yes", "true", "1"])
def test_the_search_page_is_off_until_it_is_turned_on(value):
    assert load().search_page is False
    assert load(search_page=value).search_page is True


def test_the_search_page_needs_an_index():
    assert refused(search_page="on", index_url="") == "SEARCH_PAGE=on needs a setting that is missing: INDEX_URL"
    assert "SEARCH_PAGE" in refused(search_page="everyone")
