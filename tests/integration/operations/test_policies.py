"""config/iam against the calls that the programs really made in this night: each is allowed, and no permission is unused."""

import json
from dataclasses import asdict

import pytest

from testing.worker import run_module
from tests.integration.operations.conftest import Night
from tests.support.awscalls import allowed, idle_actions, idle_resources, needed
from worker.core.s3.brakes import BrakeRecord

RARE = {"sqs:CancelMessageMoveTask"}
"""Called when an operator presses Ctrl-C while SQS moves a queue."""
EARLIER = {("PauseAndResume", "s3:DeleteObject")}
"""What an earlier version's `resume` calls: it is typed after `make rollback`."""

pytestmark = pytest.mark.timeout(600)  # the first test has the whole night in its set-up


@pytest.fixture(scope="module")
def called(runbook: Night):
    """(action, resource) of every call, by role."""
    night, names = runbook, runbook.names
    _operate(night)
    _observe(night)
    _pause(night)
    return {role: set(needed(night.recorder.calls(role, names))) for role in ("worker", "operator", "reader", "pause")}


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
    assert night.command("reader", "status") == 1  # something is wrong, and every part of it could be read


def _pause(night: Night) -> None:
    brake = BrakeRecord("another@0", "nearly everything failed")
    night.site.s3.put_object(Bucket=night.site.state_bucket, Key=brake.key, Body=json.dumps(asdict(brake)).encode())
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
    assert {grant for grant in idle_actions(role, called[role]) if grant[1] not in RARE} - EARLIER == set()


@pytest.mark.parametrize("role", ["worker", "operator", "reader", "pause"])
def test_no_statement_names_a_resource_that_it_is_not_needed_for(called, role):
    assert idle_resources(role, called[role]) == set()
