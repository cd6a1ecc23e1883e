"""What wrong questions are answered with: the field, its value, and what would be right."""

import pytest


@pytest.mark.parametrize(
    ("path", "field", "value", "expected"),
    [
        ("/api/v1/messages?limit=0", "limit", "0", "greater than or equal to 1"),
        ("/api/v1/messages?limit=1001", "limit", "1001", "less than or equal to 1000"),
        ("/dlq/messages?limit=many", "limit", "many", "a valid integer, unable to parse string as an integer"),
        ("/api/v1/messages?offset=100001", "offset", "100001", "less than or equal to 100000"),
        (
            "/api/v1/messages?sort=size",
            "sort",
            "size",
            "'last_seen', 'first_seen', 'sent', 'key', 'error' or 'retry_at'",
        ),
        ("/api/v1/messages?q=kind:WEIRD", "kind", "WEIRD", "one of RECOVERABLE, USER_ERROR, SYSTEM_ERROR, UNKNOWN"),
        ("/api/v1/groups?q=colour:red", "colour", "red", "a filter: kind, error, type, state, bucket"),
        ("/api/v1/messages?q=older:soon", "older", "soon", "a number and one of s m h d w, such as older:2h"),
        ("/api/v1/messages?q=契約", "query", "契約", "NAME:VALUE"),
        ("/api/v1/messages?q=%00", "q", "\0", "without a NUL character"),
        ("/dlq/messages?correlation_id=a%00", "correlation_id", "a\0", "without a NUL character"),
        ("/dlq/messages?error_type=", "error_type", "", "at least 1 character"),
        ("/dlq/messages?error_type=A&q=error:B", "error_type", "A", "given once, here or in q"),
        ("/dlq/messages?eror_type=A", "eror_type", "A", "a parameter that this path has: limit, offset, error_type"),
        ("/api/v1/messages?limit=1&limit=2", "limit", "2", "given once"),
        ("/api/v1/stats?q=kind:UNKNOWN", "q", "kind:UNKNOWN", "absent: this path has no parameters"),
        ("/api/v1/messages/x/events?after=-1", "after", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_would_be_right(shared, path, field, value, expected):
    said = shared.refused(path, 400)
    assert (said["field"], said["value"]) == (field, value)
    assert said["expected"].startswith(expected)


def test_a_long_value_is_cut(shared):
    assert len(shared.refused(f"/api/v1/messages?q={'x' * 3_000}", 400)["value"]) == 80


@pytest.mark.parametrize("path", ["/api", "/api/v2/messages", "/docs", "/redoc", "/api/v1/messages/", "/dlq/messages/"])
def test_an_unknown_path_is_a_problem_too(shared, path):
    assert shared.refused(path, 404)["detail"].startswith("there is no ")


def test_a_bug_is_answered_without_its_stack_and_logged_with_it(shared, capsys, monkeypatch):
    monkeypatch.setattr(shared, "health", None)
    said = shared.refused("/health", 500)
    assert said["detail"] == "a fault of this program; its log says more"
    logged = capsys.readouterr().out
    assert "request.failed" in logged
    assert "AttributeError" in logged
