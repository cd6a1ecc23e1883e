"""What every request passes: Host, proxies, other sites, methods, headers, the log."""

import pytest
from fastapi import APIRouter, Request, Response

from recovery.manager.web import guard
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.principal import Admin, Anyone, Operator
from tests.support.api import console_of
from worker.core.base.logs import observe


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8024", "localhost:1", "LOCALHOST", "localhost.", "[::1]:8024", "[::1]"]
)
def test_a_host_of_the_list_is_served(shared, host):
    assert shared.ask("/health", host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8024", "localhost.evil.example", "[::2]", "127.0.0.2"]
)
def test_another_host_is_misdirected(shared, host):
    assert "MANAGER_ALLOWED_HOSTS" in shared.refused("/api/v1/messages", 421, host=host)["detail"]
    shared.refused("/health", 421, host=host)


@pytest.mark.parametrize("host", ["", "localhost:port", "a b", "user@localhost", "localhost:80:80", "http://localhost"])
def test_a_host_that_is_none_is_refused(shared, host):
    assert "no Host header" in shared.refused("/health", 400, host=host)["detail"]


@pytest.mark.parametrize(
    "name", ["forwarded", "x_forwarded_for", "X_Forwarded_Host", "x_forwarded_proto", "via", "x_real_ip"]
)
def test_what_came_through_a_proxy_is_refused(shared, name):
    assert "proxy" in shared.refused("/api/v1/stats", 403, **{name: "x"})["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "Cross-Site"}, 403),
        ({"sec_fetch_site": ""}, 403),
        ({"sec_fetch_site": "none"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[evil"}, 403),
        ({"origin": "http://127.0.0.1:8024"}, 200),
    ],
)
def test_a_page_of_another_origin_reads_nothing(shared, headers, status):
    assert shared.ask("/api/v1/stats", **headers).status_code == status
    assert shared.ask("/openapi.json", **headers).status_code == status
    assert shared.ask("/health", **headers).status_code == 200
    assert shared.ask("/metrics", **headers).status_code == 200


@pytest.mark.parametrize(
    "twice",
    [
        [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
        [("Origin", "http://evil.example"), ("Origin", "http://127.0.0.1:8024")],
    ],
)
def test_a_header_that_is_there_twice_is_not_what_one_of_them_says(shared, twice):
    assert shared.ask_with(twice, "/api/v1/stats", peer="127.0.0.1").status_code == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"])
@pytest.mark.parametrize("path", ["/api/v1/messages", f"/dlq/messages/{EXAMPLE_ID}", "/health"])
def test_a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has(shared, method, path):
    answer = shared.ask(path, method=method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path", ["/health", "/api/v1/messages", "/dlq/messages", f"/api/v1/messages/{EXAMPLE_ID}/body", "/nowhere"]
)
def test_head_is_get_without_the_body(shared, path):
    got, head = shared.ask(path), shared.ask(path, method="HEAD")
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers.get("content-length") == got.headers.get("content-length")


@pytest.mark.parametrize(
    "path", ["/health", "/metrics", "/openapi.json", "/api/v1/messages", "/dlq/messages", "/nowhere"]
)
def test_every_answer_has_the_headers_of_safety_and_none_of_cors(shared, path):
    for headers in ({}, {"host": "evil.example"}, {"origin": "http://evil.example"}):
        found = shared.ask(path, **headers).headers
        assert found["content-security-policy"].startswith("default-src 'none'")
        assert (found["x-content-type-options"], found["cache-control"]) == ("nosniff", "no-store")
        assert not [name for name in found if name.startswith("access-control-")]


def test_a_long_head_is_refused(shared):
    assert "32,768 bytes" in shared.refused("/health?" + "x" * 40_000, 431)["detail"]
    shared.refused("/api/v1/messages", 431, x_any="x" * 40_000)
    longest = "".join(f"%{byte:02X}" for byte in ("text:" + "契" * 1_024 + " key:" + "契" * 900).encode())
    assert shared.ask(f"/api/v1/messages?q={longest}").status_code == 200


def test_too_many_at_once_are_told_to_come_again(shared, monkeypatch):
    monkeypatch.setattr(guard, "MAX_REQUESTS", 0)
    assert shared.ask("/health").headers["retry-after"] == "5"
    assert "under way" in shared.refused("/health", 503)["detail"]


def test_the_log_has_templates_and_no_ids_and_no_queries(shared):
    seen = []
    ended = observe(lambda event, fields: seen.append((event, fields)))
    try:
        shared.ask(f"/api/v1/messages/{EXAMPLE_ID}/body?x=secret")
        shared.ask("/secret", method="SECRET")
    finally:
        ended()
    lines = [fields for event, fields in seen if event == "request.answered"]
    assert [(one["method"], one["route"], one["status"]) for one in lines] == [
        ("GET", "/api/v1/messages/{any_id}/body", 400),
        ("other", "", 404),
    ]
    assert "secret" not in str(lines)
    assert EXAMPLE_ID not in str(lines)


# -- changes ----------------------------------------------------------------------------------------------------------

JSON = {"content_type": "application/json"}


@pytest.fixture(scope="module")
def changing(shared):
    """The service, and routes such as those that change something."""
    router = APIRouter()

    pages = APIRouter()

    @pages.post("/change/{name}")
    @router.post("/auth/change/{name}")
    @router.post("/change/{name}")
    async def post(_operator: Operator, request: Request, name: str) -> dict[str, int]:
        return {"length": len(await request.body())}

    @pages.get("/own")
    def own(_anyone: Anyone) -> Response:
        return Response(
            headers={"Cache-Control": "public, max-age=3600", "Content-Security-Policy": "default-src 'self'"}
        )

    @router.delete("/change/{name}")
    def delete(_admin: Admin, name: str) -> None: ...

    shared.app.include_router(router)
    console_of(shared.app).include_router(pages)
    return shared


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:8024"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site", "origin": "http://127.0.0.1:8024"}, 403),
        ({"authorization": "Bearer x", "sec_fetch_site": "cross-site"}, 403),
    ],
)
def test_a_page_of_another_origin_changes_nothing(changing, headers, status):
    assert changing.ask("/change/x", method="POST", **headers).status_code == status


@pytest.mark.parametrize("path", ["/health", "/metrics", "/auth/login", "/auth/callback"])
def test_what_is_open_to_other_pages_is_so_for_reading_alone(changing, path):
    assert changing.ask(path, method="POST", sec_fetch_site="cross-site").status_code == 403


def test_the_methods_of_a_path_are_those_of_all_its_routes(changing):
    answer = changing.ask("/change/x", method="PATCH")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, DELETE")
    assert changing.refused("/change/x", 405)["detail"] == "this path accepts POST, DELETE"


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_a_body_that_a_form_could_send_is_refused(changing, kind):
    answer = changing.ask("/change/x", method="POST", content=b"{}", content_type=kind)
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")


FORM = {"content_type": "application/x-www-form-urlencoded; charset=utf-8", "content": b"a=b"}
FORM_PATHS = ["/console/change/x", "/auth/change/x"]


@pytest.mark.parametrize("path", FORM_PATHS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"authorization": "Bearer x"}, 403),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "same-origin", "origin": "null"}, 200),
        ({"origin": "http://127.0.0.1:8024"}, 200),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "none"}, 403),
        ({"sec_fetch_site": "none", "origin": "http://127.0.0.1:8024"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site", "origin": "http://127.0.0.1:8024"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),
    ],
)
def test_a_form_is_believed_where_the_browser_says_that_it_is_ours(changing, path, headers, status):
    assert changing.ask(path, method="POST", **FORM, **headers).status_code == status


def test_a_form_is_of_pages_alone_and_pages_have_no_other_bodies(changing):
    ours = {"sec_fetch_site": "same-origin"}
    for path in ("/change/x", "/consoles/x", "/console", "/authority"):
        assert changing.ask(path, method="POST", **FORM, **ours).status_code == 415
    for kind in ("multipart/form-data; boundary=x", "text/plain", ""):
        for path in FORM_PATHS:
            answer = changing.ask(path, method="POST", content=b"a=b", content_type=kind, **ours)
            assert answer.status_code == 415
    assert changing.ask("/console/change/x", method="POST").status_code == 403


@pytest.mark.parametrize(
    ("path", "mode", "dest", "is_refused"),
    [
        ("/console/messages", "navigate", "document", False),
        ("/console", "navigate", "document", False),
        ("/", "navigate", "document", False),
        ("/console/messages", "navigate", "iframe", True),
        ("/console/messages", "no-cors", "image", True),
        ("/console/messages", "cors", "empty", True),
        ("/console/../api/v1/stats", "navigate", "document", True),
        ("/consoles", "navigate", "document", True),
        ("/api/v1/stats", "navigate", "document", True),
    ],
)
def test_a_link_of_another_site_leads_to_pages_alone(shared, path, mode, dest, is_refused):
    site = {"sec_fetch_site": "cross-site", "sec_fetch_mode": mode, "sec_fetch_dest": dest}
    assert (shared.ask(path, **site).status_code == 403) == is_refused
    assert shared.ask(path, method="POST", **site).status_code == 403


def test_an_answer_that_has_a_header_of_safety_keeps_its_own(changing):
    found = changing.ask("/console/own").headers
    assert found.get_list("cache-control") == ["public, max-age=3600"]
    assert found.get_list("content-security-policy") == ["default-src 'self'"]
    assert found["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("more", [0, 1])
def test_a_body_is_bounded_whether_or_not_it_says_its_length(changing, is_chunked, more):
    body = b"x" * (guard.MAX_BODY_BYTES + more)

    async def chunks():
        for start in range(0, len(body), 1 << 20):
            yield body[start : start + (1 << 20)]

    answer = changing.ask("/change/x", method="POST", content=chunks() if is_chunked else body, **JSON)
    assert answer.status_code == (413 if more else 200)
    assert ("2,097,152 bytes" in answer.text) == bool(more)


def test_without_sign_in_nobody_is_an_admin(changing):
    assert "MANAGER_AUTH=none" in changing.ask("/change/x", method="DELETE").json()["detail"]
