"""Records the calls that the programs make to AWS, and checks whether a policy of config/iam allows them."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

IAM = Path(__file__).resolve().parents[2] / "config/iam"
CALLS = "RECORD_AWS_CALLS"
ACTIONS = {
    "sqs.receive_message": "sqs:ReceiveMessage",
    "sqs.delete_message_batch": "sqs:DeleteMessage",
    "sqs.change_message_visibility_batch": "sqs:ChangeMessageVisibility",
    "sqs.send_message": "sqs:SendMessage",
    "sqs.send_message_batch": "sqs:SendMessage",
    "sqs.get_queue_attributes": "sqs:GetQueueAttributes",
    "sqs.get_queue_url": "sqs:GetQueueUrl",
    "sqs.start_message_move_task": "sqs:StartMessageMoveTask",
    "sqs.list_message_move_tasks": "sqs:ListMessageMoveTasks",
    "sqs.cancel_message_move_task": "sqs:CancelMessageMoveTask",
    "s3.get_object": "s3:GetObject",
    "s3.head_object": "s3:GetObject",
    "s3.put_object": "s3:PutObject",
    "s3.delete_object": "s3:DeleteObject",
    "s3.delete_objects": "s3:DeleteObject",
    "s3.list_objects_v2": "s3:ListBucket",
    "s3.list_object_versions": "s3:ListBucketVersions",
    "s3.get_bucket_notification_configuration": "s3:GetBucketNotification",
    "s3.put_bucket_notification_configuration": "s3:PutBucketNotification",
    "cloudwatch.put_metric_data": "cloudwatch:PutMetricData",
    "obstore.get": "s3:GetObject",
    "obstore.head": "s3:GetObject",
    "obstore.put": "s3:PutObject",
    "http.GET": "es:ESHttpGet",
    "http.POST": "es:ESHttpPost",
    "http.PUT": "es:ESHttpPut",
}
"""What AWS calls the right to make a call. Source: Service Authorization Reference."""
RECORDER = """
import json, os
import botocore.client, obstore
from botocore import xform_name

def note(call, given):
    with open(os.environ["RECORD_AWS_CALLS"], "a") as file:
        file.write(json.dumps([call, {k: v for k, v in given.items() if isinstance(v, str)}]) + "\\n")

def recorded(before):
    def call(self, name, given):
        is_made = True
        try:
            return before(self, name, given)
        except Exception as error:
            is_made = type(error).__name__ != "_GivenUpError"  # core/base/aws.py asks for an address alone
            raise
        finally:
            for one in given.get("Delete", {}).get("Objects", [{}]) if is_made else ():
                note(f"{self.meta.service_model.service_name}.{xform_name(name)}", {**given, **one})
    return call

def noted(verb, before):
    def call(store, key, *args, **more):
        note(f"obstore.{verb}", {"Bucket": store.config["bucket"], "Key": key})
        return before(store, key, *args, **more)
    return call

botocore.client.BaseClient._make_api_call = recorded(botocore.client.BaseClient._make_api_call)
for verb in ("get", "head", "put"):
    setattr(obstore, verb, noted(verb, getattr(obstore, verb)))
"""


@dataclass(frozen=True)
class Call:
    """One call: `sqs.receive_message`, and what it is about, as config/iam names it."""

    name: str
    resource: str


class Recorder:
    """Records every call of the processes that run with its environment."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(RECORDER)
        self._folder = folder

    def env(self, role: str) -> dict[str, str]:
        """What a process needs in its environment; its calls are those of this role."""
        return {CALLS: str(self._folder / role), "PYTHONPATH": f"{self._folder}{os.pathsep}{Path.cwd()}"}

    def calls(self, role: str, names: dict[str, str]) -> set[Call]:
        """What was called as this role; `names`: `sqs NAME` or `s3 NAME` → QUEUE, DLQ, BUCKET, STATE-BUCKET."""
        lines = (self._folder / role).read_text().splitlines()
        return {Call(name, _resource(given, names)) for name, given in map(json.loads, lines)}


def _resource(given: dict[str, str], names: dict[str, str]) -> str:
    if queue := given.get("QueueUrl", given.get("SourceArn", given.get("QueueName", ""))):
        return f"arn:aws:sqs:REGION:ACCOUNT:{names['sqs ' + re.split('[:/]', queue)[-1]]}"
    if bucket := given.get("Bucket", ""):
        return f"arn:aws:s3:::{names['s3 ' + bucket]}" + (f"/{given['Key']}" if "Key" in given else "")
    return "*"


@cache
def statements(role: str) -> list[dict[str, Any]]:
    """The statements of a policy of config/iam."""
    found: list[dict[str, Any]] = json.loads((IAM / f"{role}.json").read_text())["Statement"]
    return found


def allowed(action: str, resource: str, roles: Iterable[str]) -> bool:
    """Whether these policies together allow it."""
    return any(
        action in listed(one["Action"]) and matches(one, resource) for role in roles for one in statements(role)
    )  # fmt: skip


def needed(calls: Iterable[Call]) -> Iterator[tuple[str, str]]:
    """The actions that calls need, each with its resource."""
    for call in calls:
        yield ACTIONS[call.name], call.resource
        if ACTIONS[call.name] == "s3:GetObject":  # or a missing key answers 403, not 404 (docs/evidence.md, S3)
            yield "s3:ListBucket", call.resource.partition("/")[0]


def idle_actions(role: str, called: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The actions of a policy that none of these calls needed, each with its statement."""
    return {
        (one["Sid"], action)
        for one in statements(role)
        for action in listed(one["Action"])
        if not any(action == made and matches(one, on) for made, on in called)
    }


def idle_resources(role: str, called: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The resources of a policy that none of these calls was about, each with its statement."""
    return {
        (one["Sid"], pattern)
        for one in statements(role)
        for pattern in listed(one["Resource"])
        if not any(made in listed(one["Action"]) and is_like(pattern, on) for made, on in called)
    }


def matches(statement: dict[str, Any], resource: str) -> bool:
    """Whether a statement is about a resource."""
    return any(is_like(pattern, resource) for pattern in listed(statement["Resource"]))


def is_like(pattern: str, resource: str) -> bool:
    """IAM's wildcard: `*` is anything."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), resource, re.DOTALL) is not None


def listed(value: str | list[str]) -> list[str]:
    """IAM writes one as itself, several as a list."""
    return [value] if isinstance(value, str) else value
