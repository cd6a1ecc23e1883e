"""config/iam against the calls that the programs really made in this night: each is allowed, and no permission is unused."""

from collections.abc import Iterator

import pytest

from testing.worker import run_module
from tests.integration.operations.conftest import Night
from tests.support.awscalls import Call, allowed, is_like, listed, statements
from tests.unit.config.test_iam import ACTIONS

RARE = {"sqs:CancelMessageMoveTask"}
"""Called when an operator presses Ctrl-C while SQS moves a queue."""

pytestmark = pytest.mark.timeout(600)  # the first test has the whole night in its set-up


@pytest.fixture(scope="module")
def called(runbook: Night):
    """(action, resource) of every call, by role."""
    night, names = runbook, runbook.names
    _operate(night)
    _observe(night)
    _pause(night)
    return {role: set(_needed(night.recorder.calls(role, names))) for role in ("worker", "operator", "reader", "pause")}


def _needed(calls: set[Call]) -> Iterator[tuple[str, str]]:
    for call in calls:
        yield ACTIONS[call.name], call.resource
        if ACTIONS[call.name] == "s3:GetObject":
            yield (
                "s3:ListBucket",
                call.resource.partition("/")[0],
            )  # or a missing key answers 403, not 404 (docs/evidence.md, S3)


def _operate(night: Night) -> None:
    """Run the commands that the runbook does not contain."""
    dlq, queue = (url.rsplit("/", 1)[-1] for url in (night.site.queues.dlq, night.site.queues.source))
    night.dead_letters()
    night.dlq("redrive", "--message-id", night.latest, "--to", queue, "--dlq", dlq)
    night.bad_dead_letter()
    night.dlq("delete", "--message-id", night.latest, "--reason", "a test")
    night.spill()
    run_module("recovery.cli.recover_dlq", night.as_role("operator"))
    night.dead_letters()
    night.dlq("redrive-all", "--native", "--all", "--yes")


def _observe(night: Night) -> None:
    night.dead_letters()
    dlq = night.site.queues.dlq.rsplit("/", 1)[-1]
    for verb in (("list", "--dlq", dlq), ("stats",), ("inspect", "--message-id", night.latest), ("list", "--archive"),
                 ("export", str(night.folder / "read-only.jsonl"))):  # fmt: skip
        night.dlq(*verb, role="reader")


def _pause(night: Night) -> None:
    for role, verb in (("pause", ("pause", "--reason", "a test")), ("pause", ("resume",))):
        night.command(role, *verb)


@pytest.mark.parametrize("role", ["worker", "operator", "reader", "pause"])
def test_everything_a_role_calls_is_allowed(called, role):
    also = ("pause",) if role == "operator" else ()  # in an emergency, the operator pauses the fleet
    beyond = {
        one
        for one in called[role]
        if not allowed(one[0], one[1], (role, *also)) and not one[0].startswith("cloudwatch:")
    }
    assert beyond == set()


@pytest.mark.parametrize("role", ["worker", "operator", "reader", "pause"])
def test_nothing_is_granted_that_a_role_does_not_call(called, role):
    idle = {
        (one["Sid"], action)
        for one in statements(role)
        for action in listed(one["Action"])
        if not any(
            action == made and is_like(pattern, on) for made, on in called[role] for pattern in listed(one["Resource"])
        )
    }
    assert {grant for grant in idle if grant[1] not in RARE} == set()


@pytest.mark.parametrize("role", ["worker", "operator", "reader", "pause"])
def test_no_statement_names_a_resource_that_it_is_not_needed_for(called, role):
    idle = {
        (one["Sid"], pattern)
        for one in statements(role)
        for pattern in listed(one["Resource"])
        if not any(made in listed(one["Action"]) and is_like(pattern, on) for made, on in called[role])
    }
    assert idle == set()
