"""Destroying a dead letter for good: in a bucket with versions, nothing has its body afterwards."""

import json
import urllib.error
import urllib.request

from testing.aws import s3_event, s3_record
from testing.waiting import wait_until
from testing.worker import run_module
from tests.integration.manager_process.conftest import SERVE

SECRET = "marked-7f3a-秘密"


def test_no_version_of_anything_has_the_body_of_what_an_admin_destroyed(site, manager_of, tmp_path):
    site.s3.put_bucket_versioning(Bucket=site.state_bucket, VersioningConfiguration={"Status": "Enabled"})
    env = {"LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite", "MANAGER_PORT": "0", "MANAGER_AUTH": "token"}
    tokens = {role: _token({**site.env, **env}, role) for role in ("operator", "admin")}
    manager = manager_of(**env).start()
    for name in (SECRET, "other"):
        site.sqs.send_message(QueueUrl=site.queues.dlq, MessageBody=json.dumps({"note": name}, ensure_ascii=False))
    site.sqs.send_message(QueueUrl=site.queues.dlq, MessageBody=s3_event(s3_record(site.bucket, "a.txt")))

    def ask(path, method="GET", body=None, role="admin", status=200):
        request = urllib.request.Request(
            f"http://127.0.0.1:{manager.port}{path}", method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {tokens[role]}", "Content-Type": "application/json", "If-Match": "*"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                found, said = answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            found, said = error.code, json.loads(error.read())
        assert found == status, said
        return said

    items = wait_until(lambda: (found := ask("/api/v1/messages")["items"])[2:] and found, 60, "three are taken in")
    marked = next(one["identity"] for one in items if SECRET in str(ask(f"/api/v1/messages/{one['identity']}/body")))
    ask(f"/api/v1/messages/{marked}/note", "PUT", {"note": "調査中"})  # another version of its record
    assert ask(f"/dlq/message/{marked}", "DELETE")["success"]  # archived first
    assert _versions_with(site, SECRET) > 1
    ask(f"/dlq/message/{marked}?purge=true", "DELETE", role="operator", status=403)
    assert ask(f"/dlq/message/{marked}?purge=true", "DELETE") == {"success": True, "message": "destroyed"}
    assert _versions_with(site, SECRET) == 0
    assert _versions_with(site, "other") == 1, "the others are as they were"
    assert [one["result"] for one in site.state_records("s3-index-worker/audit/") if one["action"] == "purge"] == [
        {marked: "purged"}
    ]


def _token(env, role):
    done = run_module(SERVE[0], env, "token", "create", "--role", role, "--name", role, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["token"]


def _versions_with(site, text):
    """The number of object versions in the state bucket that have this text."""
    found = 0
    for page in site.s3.get_paginator("list_object_versions").paginate(Bucket=site.state_bucket):
        for one in page.get("Versions", []):
            body = site.s3.get_object(Bucket=site.state_bucket, Key=one["Key"], VersionId=one["VersionId"])[
                "Body"
            ].read()
            found += text in body.decode() or text in body.decode("unicode_escape", "replace")
    return found
