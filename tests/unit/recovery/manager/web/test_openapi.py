"""The description of the API."""

import re

from jsonschema import Draft202012Validator

from recovery.manager.web.openapi import describe
from recovery.manager.web.parameters import EXAMPLE_ID
from tests.support.api import Api

NEEDED = {"/api/v1/where": "?key=a", "/api/v1/search": "?q=a"}
"""What a path cannot be asked without."""


def operations(api: Api):
    """By method and path."""
    paths = describe(api.app)["paths"]
    return {(method, path): one for path, found in paths.items() for method, one in found.items()}


def test_every_route_is_described_with_stable_names_and_problems(shared):
    found = operations(shared)
    assert shared.get("/openapi.json") == describe(shared.app)
    assert describe(shared.app)["openapi"].startswith("3.1")
    assert sorted(one["operationId"] for one in found.values()) == [
        "alias_delete", "alias_get_message", "alias_get_queue_stats", "alias_get_stats", "alias_list_error_groups",
        "alias_list_failures", "alias_list_messages", "alias_replay", "alias_replay_batch", "assign_message",
        "cancel_operation", "export_audit", "export_messages", "find_object", "get_health", "get_message",
        "get_message_body", "get_message_present", "get_metrics",
        "get_operation", "get_overview", "get_pause", "get_plan", "get_schedule", "get_settings",
        "get_stats", "hold_message", "list_audit", "list_groups",
        "list_message_events", "list_messages",
        "list_notifications", "list_operation_items", "list_operations", "make_plan", "note_message", "pause_operation",
        "pause_the_fleet", "release_message", "resume_operation", "resume_the_fleet", "sample_plan", "schedule_message",
        "search_documents",
        "send_copy", "start_operation", "unschedule_message", "watch_operation",
    ]  # fmt: skip
    for one in found.values():
        assert one["description"]
        assert "HTTPValidationError" not in str(one)
        assert all(
            "application/problem+json" in answer["content"] or "`success` is false" in answer["description"]
            for status, answer in one["responses"].items()
            if int(status) >= 400
        )


def test_every_answer_is_as_described(shared):
    schemas = describe(shared.app)["components"]
    answers = 0
    for (method, path), one in operations(shared).items():
        content = one["responses"]["200"]["content"] if method == "get" else {}
        if "application/json" in content and "{" not in path.replace("{any_id}", ""):
            schema = {**content["application/json"]["schema"], "components": schemas}
            answer = shared.get(path.replace("{any_id}", EXAMPLE_ID) + NEEDED.get(path, ""))
            assert list(Draft202012Validator(schema).iter_errors(answer)) == [], path
            answers += 1
    assert answers > 10


def test_every_example_is_as_described(shared):
    made = describe(shared.app)
    for name, schema in made["components"]["schemas"].items():
        for example in schema.get("examples", []):
            assert Draft202012Validator({**schema, "components": made["components"]}).is_valid(example), name
        for field, described in schema.get("properties", {}).items():
            for example in described.get("examples", []):
                valid = Draft202012Validator({**described, "components": made["components"]}).is_valid(example)
                assert valid, (name, field)


def test_nothing_is_described_that_is_not_there(shared):
    made = describe(shared.app)
    text = str(made)
    referred = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert referred >= {"MessagePage", "Problem", "FailedMessage"}
    assert referred == set(made["components"]["schemas"])
