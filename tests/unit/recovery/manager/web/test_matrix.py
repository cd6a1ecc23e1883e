"""Every route of the application, asked by each role in each way that must be refused. A route that has no role fails here."""

import contextlib
import re
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from recovery.manager.roles import Role
from recovery.manager.web.openapi import describe
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.plan_models import EXAMPLE_OPERATION
from recovery.manager.web.principal import Needs
from recovery.manager.web.sign_in import Mode
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET
from tests.support.api import console_of
from tests.support.signed_in import OTHER_PEER, PROXY_PEER, bearer, new_token, signed_in
from worker.core.s3.state import PAUSE_KEY

MODES = [Mode.TOKEN, Mode.OIDC, Mode.PROXY]


class Matrix:
    """A service of each mode over one ledger, and a token of each role."""

    def __init__(self, ledger):
        self.apis = {mode: signed_in(ledger, mode) for mode in Mode}
        self.tokens = {role: new_token(ledger, role) for role in Role}
        self.revoked = {role: new_token(ledger, role, f"revoked-{role}") for role in Role}
        for role in Role:
            assert ledger.tokens.revoke(f"revoked-{role}", by="me")

    def ask(self, mode, route, **how):
        method, path, _ = route
        body: dict[str, Any] = (
            {"content": b"{}", "content_type": "application/json"} if method not in {"GET", "DELETE"} else {}
        )
        return self.apis[mode].ask(path, method=method, **body, **how)


def needs_of(route):
    """The roles that a route needs, by its dependencies."""
    return [one.call.role for one in route.dependant.dependencies if isinstance(one.call, Needs)]


def routes_of(app, prefix=""):
    """(method, path, needed role) of each route. Ids that do not exist: who asks comes before what is there."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):  # the console, which asks in another way
            continue
        needed = needs_of(route.original_route)
        assert len(needed) == 1, f"{route.path} takes {len(needed)} of Anyone, Reader, Operator and Admin"
        path = (prefix + (route.path or "")).replace(":path}", "}")
        for name in re.findall(r"\{(\w+)\}", path):
            path = path.replace(f"{{{name}}}", "no-such-id")
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, path, needed[0]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        yield Matrix(ledger)


def each(matrix, modes=MODES):
    for mode in modes:
        for route in routes_of(matrix.apis[mode].app):
            yield mode, route


def test_every_route_says_who_may_ask(matrix):
    found = {(method, path): role for _, (method, path, role) in each(matrix)}
    assert len(found) > 14
    opened = {path for (_, path), role in found.items() if role is None}
    assert opened == {
        "/", "/console", "/health", "/openapi.json", "/auth/login", "/auth/callback", "/auth/logout", "/auth/signed-out",
    }  # fmt: skip
    assert found["GET", "/api/v1/messages/no-such-id/body"] is Role.OPERATOR


@pytest.mark.parametrize("role", list(Role))
def test_a_token_is_good_for_what_its_role_may_do(matrix, role):
    for mode, route in each(matrix):
        if route[2] is None:
            continue
        answer = matrix.ask(mode, route, **bearer(matrix.tokens[role]))
        assert (answer.status_code == 403) == (not role.includes(route[2])), (mode, route, answer.text)
        assert answer.status_code != 401


def test_without_sign_in_everybody_is_an_operator(matrix):
    for _, route in each(matrix, [Mode.NONE]):
        answer = matrix.ask(Mode.NONE, route)
        assert (answer.status_code == 403) == (route[2] is Role.ADMIN), (route, answer.text)
        assert answer.status_code != 401


@pytest.mark.parametrize("how", ["none", "made up", "twice", "no scheme", *(f"revoked {role}" for role in Role)])
def test_without_a_good_token_nobody_gets_in(matrix, how):
    headers = {
        "none": {}, "made up": bearer("dlqm_" + "a" * 43), "twice": bearer(matrix.tokens[Role.ADMIN] + ", Bearer x"),
        "no scheme": {"authorization": matrix.tokens[Role.ADMIN]},
        **{f"revoked {role}": bearer(secret) for role, secret in matrix.revoked.items()},
    }[how]  # fmt: skip
    for mode, route in each(matrix):
        if route[2] is None:
            continue
        answer = matrix.ask(mode, route, sec_fetch_site="same-origin", **headers)
        assert answer.status_code in {401, 429}, (mode, route, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("role", [None, *Role])
def test_a_foreign_origin_or_host_is_refused_whoever_asks(matrix, role):
    headers = bearer(matrix.tokens[role]) if role else {}
    for mode, route in each(matrix, list(Mode)):
        read_by_all = route[0] == "GET" and route[1] in {"/health", "/metrics", "/auth/login", "/auth/callback"}
        for foreign in ({"sec_fetch_site": "cross-site"}, {"origin": "http://evil.example"}):
            status = matrix.ask(mode, route, **headers, **foreign).status_code
            assert read_by_all or status == 403, (mode, route)
        assert matrix.ask(mode, route, host="evil.example", **headers).status_code == 421


@pytest.mark.parametrize("role", list(Role))
def test_a_proxy_is_believed_from_its_own_address_alone(matrix, role):
    named = {"x_forwarded_user": "alice", "x_forwarded_groups": f"others, dlq-{role.value}s"}
    for mode, route in each(matrix, list(Mode)):
        forged = matrix.ask(mode, route, peer=OTHER_PEER, sec_fetch_site="same-origin", **named).status_code
        if mode in {Mode.NONE, Mode.PROXY}:
            assert forged == 403, (mode, route)
        elif route[2] is not None:
            assert forged == 401, (mode, route)
    for _, route in each(matrix, [Mode.PROXY]):
        answer = matrix.ask(Mode.PROXY, route, peer=PROXY_PEER, sec_fetch_site="same-origin", **named)
        allowed = route[2] is None or role.includes(route[2])
        assert (answer.status_code == 403) == (not allowed), (route, answer.text)
        assert answer.status_code != 401


def test_where_browsers_sign_in_a_change_without_their_headers_needs_a_token(matrix):
    logout = ("POST", "/auth/logout", None)
    assert matrix.ask(Mode.OIDC, logout).status_code == 403
    assert matrix.ask(Mode.OIDC, logout, **bearer(matrix.tokens[Role.READER])).status_code == 204
    assert matrix.ask(Mode.OIDC, logout, sec_fetch_site="same-origin").status_code == 204


# -- pages -------------------------------------------------------------------------------------------------------------


def each_page(matrix, modes=MODES):
    for mode in modes:
        for route in routes_of(console_of(matrix.apis[mode].app), "/console"):
            yield mode, route


def ask_for_page(matrix, mode, route, **how):
    """As a browser does, from our own page."""
    method, path, _ = route
    form = {"content": b"", "content_type": "application/x-www-form-urlencoded"} if method == "POST" else {}
    return matrix.apis[mode].ask(path, method=method, **{"sec_fetch_site": "same-origin", **form, **how})


def test_every_page_says_who_may_see_it_and_changes_are_forms(matrix):
    found = {(method, path): role for _, (method, path, role) in each_page(matrix)}
    assert {path for (_, path), role in found.items() if role is None} == {
        "/console/static/no-such-id/no-such-id", "/console/preferences",
    }  # fmt: skip
    assert {method for method, _ in found} == {"GET", "POST"}
    assert all(role is not Role.READER for (method, _), role in found.items() if method == "POST")


@pytest.mark.parametrize("role", list(Role))
def test_a_page_is_shown_to_who_may_see_it(matrix, role):
    for mode, route in each_page(matrix):
        answer = ask_for_page(matrix, mode, route, **bearer(matrix.tokens[role]))
        allowed = route[2] is None or role.includes(route[2])
        assert (answer.status_code == 403) == (not allowed), (mode, route, answer.text)
        assert answer.status_code != 401


@pytest.mark.parametrize("how", ["none", "made up", "revoked"])
def test_nobody_sees_a_page_and_is_shown_the_way_in(matrix, how):
    headers = {"none": {}, "made up": bearer("dlqm_" + "a" * 43), "revoked": bearer(matrix.revoked[Role.ADMIN])}[how]
    for mode, route in each_page(matrix):
        if route[2] is None:
            continue
        answer = ask_for_page(matrix, mode, route, **headers)
        if route[0] == "GET" and mode is not Mode.PROXY and answer.status_code != 429:
            assert answer.status_code == 303, (mode, route)
            assert answer.headers["location"].startswith("/auth/login?next=%2Fconsole%2F")
        else:
            assert answer.status_code in {401, 429}, (mode, route)
        assert "text/html" in answer.headers.get("content-type", "text/html")


@pytest.mark.parametrize(
    "foreign", [{}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "none"}, {"origin": "http://evil.example"}]
)
def test_no_form_of_another_site_is_taken_whoever_asks(matrix, foreign):
    for mode, route in each_page(matrix, list(Mode)):
        if route[0] == "POST":
            form = {"content": b"", "content_type": "application/x-www-form-urlencoded"}
            answer = matrix.apis[mode].ask(
                route[1], method="POST", **form, **bearer(matrix.tokens[Role.ADMIN]), **foreign
            )
            assert answer.status_code == 403, (mode, route)


# -- what changes something: repeated, or of a version that is gone ---------------------------------------------------


class Asking:
    """The routes that take one header, each with ids that exist and the body of its example."""

    def __init__(self, ledger, mode, header):
        self.api = signed_in(ledger, mode)
        self.api.add(EXAMPLE_ID, body=s3_event(s3_record(BUCKET, "a")))
        self.api.operate()
        self.tokens = {role: bearer(new_token(ledger, role)) for role in Role}
        self.other = bearer(new_token(ledger, Role.OPERATOR, "another"))
        made = describe(self.api.app)
        self.routes = []
        for path, found in made["paths"].items():
            for method, one in found.items():
                if any(parameter["name"].lower() == header for parameter in one.get("parameters", ())):
                    ids = {"any_id": EXAMPLE_ID, "operation_id": EXAMPLE_OPERATION}
                    schema = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
                    model = made["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
                    self.routes.append((method.upper(), path.format(**ids), *model.get("examples", [None])))

    def ask(self, route, **headers):
        method, path, body = route
        return self.api.ask(path, method=method, body=body, **headers)

    def done(self):
        """What was done so far, as far as anything can be."""
        ledger, fakes = self.api.ledger, self.api.fakes
        row = ledger.get(EXAMPLE_ID)
        operations = [(one.id, one.state) for one in ledger.operations.page()]
        audited = len(fakes.under("s3-index-worker/audit/"))
        return row, operations, audited, len(fakes.source.messages), fakes.s3.records.get(PAUSE_KEY)


def asking_each(tmp_path, mode, header):
    """Each of the routes with a service of its own, as what one does would be in another's way."""
    count, number = 1, 0
    while number < count:
        with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/{number}.sqlite")) as ledger:
            made = Asking(ledger, mode, header)
            count = len(made.routes)
            assert count > 3
            yield made, made.routes[number], made.routes[(number + 1) % count]
        number += 1


def test_a_key_that_is_replayed_gives_its_own_principal_the_same_answer_and_others_nothing(tmp_path):
    kept = 0
    for made, route, another in asking_each(tmp_path, Mode.TOKEN, "idempotency-key"):
        asked = {"idempotency_key": "k", "if_match": "*", **made.tokens[Role.OPERATOR]}
        first = made.ask(route, **asked)
        assert first.status_code in {200, 201, 202, 409}, (route, first.text)
        done = made.done()
        again = made.ask(route, **asked)
        assert (again.status_code, again.content) == (first.status_code, first.content), route
        if first.status_code < 300:  # what was refused may be asked again
            kept += 1
            assert made.ask(another, **asked).status_code == 422, another
        operator, here = made.tokens[Role.OPERATOR], {"sec_fetch_site": "same-origin"}
        for headers, status in (
            (here | made.tokens[Role.READER], 403), (here, 401), (here | bearer("dlqm_" + "a" * 43), 401),
            (operator | {"origin": "http://evil.example"}, 403), (operator | {"host": "evil.example"}, 421),
        ):  # fmt: skip
            answer = made.ask(route, idempotency_key="k", if_match="*", **headers)
            assert answer.status_code == status, (route, headers, answer.text)
        assert made.done() == done, route
        of_another = made.ask(route, idempotency_key="k", **made.other)
        assert of_another.status_code not in {401, 403, 422}, (route, of_another.text)
        if first.status_code == 201 and "id" in first.json():
            assert of_another.json()["id"] != first.json()["id"]
    assert kept > 5


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.TOKEN])
def test_a_version_that_is_gone_or_is_not_said_changes_nothing_whoever_asks(tmp_path, mode):
    for made, route, _ in asking_each(tmp_path, mode, "if-match"):
        before = made.done()
        for role in Role:
            token = {} if mode is Mode.NONE else made.tokens[role]
            may = mode is Mode.NONE or role.includes(Role.OPERATOR)
            for headers, status in (({"if_match": '"7"'}, 412), ({"if_match": "nonsense"}, 412), ({}, 428)):
                answer = made.ask(route, **headers, **token)
                assert answer.status_code == (status if may else 403), (route, role, answer.text)
        if mode is not Mode.NONE:
            assert made.ask(route, if_match="*", sec_fetch_site="same-origin").status_code == 401, route
        assert made.ask(route, if_match="*", host="evil.example", **made.tokens[Role.ADMIN]).status_code == 421
        assert made.ask(route, if_match="*", sec_fetch_site="cross-site", **made.tokens[Role.ADMIN]).status_code == 403
        assert made.done() == before, route
        token = {} if mode is Mode.NONE else made.tokens[Role.OPERATOR]
        right = made.ask(route, if_match='"1"', **token)
        if route[1].endswith("/copies"):  # an S3 event is not edited
            assert (right.status_code, made.done()) == (409, before), right.text
            continue
        assert (right.status_code, right.headers["etag"]) == (200, '"2"'), right.text
