"""The policies of config/iam allow exactly what the code calls. tests/integration/iam shows the same call by call."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from botocore import xform_name
from botocore.session import get_session

from tests.support.awscalls import ACTIONS, listed

ROOT = Path(__file__).resolve().parents[3]
POLICIES = {path.stem: json.loads(path.read_text()) for path in (ROOT / "config/iam").glob("*.json")}
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})
OTHERS = {
    "aoss:APIAccessAll",  # every http call, to a collection instead of a domain
    "kms:GenerateDataKey", "kms:Decrypt",  # what SQS and S3 do for the caller
    "logs:CreateLogStream", "logs:PutLogEvents",  # what the CloudWatch agent calls
}  # fmt: skip
SERVICES = ("sqs", "s3", "cloudwatch", "sts", "iam")


def test_every_call_of_the_code_has_its_action():
    assert called() - ACTIONS.keys() == set()
    assert ACTIONS.keys() - called() == set()


def test_the_policies_grant_all_that_is_called_and_nothing_else():
    granted = {
        action for policy in POLICIES.values() for one in policy["Statement"] for action in listed(one["Action"])
    }
    with_version = {"s3:DeleteObjectVersion"}  # DeleteObject, where a version is named
    assert granted == {ACTIONS[call] for call in called()} | with_version | OTHERS


def test_no_policy_has_a_wildcard_for_actions_or_for_every_resource():
    for name, policy in POLICIES.items():
        for one in policy["Statement"]:
            assert one["Effect"] == "Allow"
            assert not any("*" in action for action in listed(one["Action"])), name
            assert "*" not in listed(one["Resource"]) or one["Condition"] == {
                "StringEquals": {"cloudwatch:namespace": "NAMESPACE"}
            }, name


def test_every_resource_is_named_by_the_placeholders_that_the_page_explains():
    page = (ROOT / "docs/setup.md").read_text()
    words = {word for policy in POLICIES.values() for word in re.findall(r"\b[A-Z][A-Z-]{2,}\b", json.dumps(policy))}
    assert words - set(re.findall(r"`([A-Z-]+)`", page)) == set()


def test_the_resume_of_an_earlier_version_which_deletes_the_record_is_allowed_after_a_rollback():
    for name in ("pause", "manager"):
        of_pause = [one for one in POLICIES[name]["Statement"] if str(one["Resource"]).endswith("/pause.json")]
        assert "s3:DeleteObject" in {action for one in of_pause for action in listed(one["Action"])}, name


def test_the_manager_reads_files_and_changes_none():
    """Recovery, Present and the links of the search page read them; whoever may open a link needs no right of their own."""
    of_files = [one for one in POLICIES["manager"]["Statement"] if "arn:aws:s3:::BUCKET/*" in listed(one["Resource"])]
    assert [listed(one["Action"]) for one in of_files] == [["s3:GetObject"]]
    assert not any("PutObject" in action for one in POLICIES["manager"]["Statement"] for action in listed(one["Action"])
                   if any("arn:aws:s3:::BUCKET" in resource for resource in listed(one["Resource"])))  # fmt: skip


# -- what the code calls -----------------------------------------------------------------------------------------------


def called() -> set[str]:
    return {call for path in (*(ROOT / "worker").rglob("*.py"), *(ROOT / "recovery").rglob("*.py"))
            if "demo" not in path.parts for call in _calls(path)}  # fmt: skip


def _calls(path: Path) -> Iterator[str]:
    """`service.operation` for each attribute that is an operation of boto3, `obstore.verb`, `http.METHOD`."""
    tree = ast.parse(path.read_text())
    obstore = any(isinstance(node, ast.Import) and node.names[0].name == "obstore" for node in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if obstore and getattr(node.value, "id", "") == "obstore" and node.attr not in {"store", "exceptions"}:
                yield f"obstore.{node.attr}"
            elif (service := OPERATIONS.get(node.attr)) and not _is_our_own(node):
                yield f"{service}.{node.attr}"
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get_paginator":
            yield f"s3.{node.args[0].value}"  # type: ignore[attr-defined]
        elif (
            isinstance(node, ast.Constant)
            and node.value in {"GET", "HEAD", "POST", "PUT", "DELETE"}
            and path.parent.name == "index"
        ):
            yield f"http.{node.value}"


def _is_our_own(node: ast.Attribute) -> bool:
    """`self.x` is a method of this project's class, and `typer.main.x` a function; neither is a call of a client."""
    return getattr(node.value, "id", "") == "self" or ast.unparse(node.value).startswith("typer.")


def _operations() -> dict[str, str]:
    session = get_session()
    models = {service: session.get_service_model(service) for service in SERVICES}
    return {xform_name(name): service for service, model in models.items() for name in model.operation_names}


OPERATIONS = _operations()
