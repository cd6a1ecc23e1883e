"""The mistakes that operators make, one by one: what `doctor` says of each, and with which exit code it ends.

Those that are in the settings alone are in tests/unit/worker/test_wrong_settings.py.
"""

import json
from collections.abc import Callable, Iterator, Mapping

import pytest

from testing.aws import queue_depth
from testing.fault_proxy import Broken, Call
from tests.support.in_process import run_in_process
from tests.support.mistakes import SECRET, World, doctor, error, world
from tests.support.tls import Authority
from worker.cli import main
from worker.core.base.errors import ExitCode
from worker.core.extract import isolation
from worker.core.index.template import index_template, template_name

RED, GREEN = 1, 0
SQS = "https://sqs.eu-central-1.amazonaws.com/1"
OTHER_REGION = "x-amz-bucket-region: eu-west-1\r\n"
APP = {"INDEX_USER": "app", "INDEX_PASSWORD": SECRET}


@pytest.fixture(scope="module", name="world")
def _world(seaweedfs, elasticmq, opensearch, tmp_path_factory) -> Iterator[World]:
    with world(seaweedfs, elasticmq, opensearch, tmp_path_factory.mktemp("mistakes")) as made:
        yield made


@pytest.fixture(autouse=True)
def _quick(monkeypatch, world):
    monkeypatch.setattr(isolation, "probe", lambda _folder: [])
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    world.proxy.clear()


def swapped(w: World) -> dict[str, str]:
    return {"SQS_QUEUE_URL": w.site.queues.dlq, "DLQ_QUEUE_URL": w.site.queues.source}


def plain_queue(w: World) -> dict[str, str]:
    return {"SQS_QUEUE_URL": w.site.sqs.create_queue(QueueName="plain")["QueueUrl"]}


def outdated(w: World) -> dict[str, str]:
    name = f"{w.site.index}-old"
    w.site.ask("PUT", f"/_index_template/{template_name(name)}", index_template(name) | {"version": 1})
    return {"OPENSEARCH_INDEX": name}


def notifying(w: World) -> dict[str, str]:
    """The queue's policy allows the state bucket to notify it."""
    arn = f"arn:aws:s3:::{w.site.state_bucket}"
    policy = json.dumps({"Statement": [{"Effect": "Allow", "Condition": {"ArnEquals": {"aws:SourceArn": arn}}}]})

    def with_policy(body: bytes) -> bytes:
        said = json.loads(body)
        return json.dumps({"Attributes": {**said["Attributes"], "Policy": policy}}).encode()

    asked = Broken("rewrite", rewrite=with_policy)
    w.proxy.rules = [lambda call: asked if call.action == "GetQueueAttributes" else None]
    return w.proxied


Made = Callable[[World], Mapping[str, str | None]]
MISTAKES: list[tuple[str, Made, str, str]] = [
    ("a queue that does not exist", lambda w: {"SQS_QUEUE_URL": w.site.queues.source + "x"},
     "queue", "no such queue in this account and region (us-east-1)"),
    ("two queues that do not exist", lambda _: {"SQS_QUEUE_URL": "http://sqs/0/a", "DLQ_QUEUE_URL": "http://sqs/0/b"},
     "DLQ", "DLQ_QUEUE_URL=http://sqs/0/b: no such queue"),
    ("queues exchanged", swapped, "redrive policy", "exchange SQS_QUEUE_URL and DLQ_QUEUE_URL"),
    ("a queue of another region", lambda _: {"SQS_QUEUE_URL": f"{SQS}/files"},
     "region", "set AWS_REGION=eu-central-1, or correct SQS_QUEUE_URL"),
    ("a queue of another account", lambda w: w.refused("sqs", code="AccessDenied"),
     "queue", "grant this role sqs:GetQueueAttributes"),
    ("nobody at the address of SQS", lambda _: {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"},
     "queue", "AWS_ENDPOINT_URL_SQS=http://127.0.0.1:9: is this address right, and is there a network route to it?"),
    ("nobody at the address of AWS", lambda _: {"AWS_ENDPOINT_URL_SQS": None, "AWS_ENDPOINT_URL_S3": None,
                                                "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
     "queue", "AWS_ENDPOINT_URL=http://127.0.0.1:9: is this address right"),
    ("nobody at the address of S3", lambda _: {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"},
     "state bucket", "AWS_ENDPOINT_URL_S3=http://127.0.0.1:9: is this address right"),
    ("a state bucket that does not exist", lambda _: {"STATE_BUCKET": "no-such-bucket"},
     "state bucket", "STATE_BUCKET=no-such-bucket: is the name correct?"),
    ("a bucket of files that does not exist", lambda _: {"S3_BUCKET": "no-such-files"},
     "bucket", "S3_BUCKET=no-such-files: is the name correct?"),
    ("a bucket of another region", lambda w: w.refused("s3", code="PermanentRedirect", status=301, headers=OTHER_REGION),
     "state bucket", "set AWS_REGION to the region of this bucket"),
    ("a state bucket that notifies the queue", notifying,
     "state bucket: own", "set STATE_BUCKET to a bucket that no one but the worker"),
    ("an unknown access key", lambda _: {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"},
     "credentials", "correct AWS_ACCESS_KEY_ID"),
    ("no credentials", lambda _: {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
     "credentials", "no AWS credentials found: set AWS_ACCESS_KEY_ID"),
    ("a wrong secret", lambda _: {"AWS_SECRET_ACCESS_KEY": SECRET},
     "credentials", "the secret does not belong to the access key"),
    ("a deactivated key", lambda w: w.refused("sqs", code="InvalidClientTokenId"),
     "credentials", "AWS does not know this access key, or it was deactivated"),
    ("an expired session", lambda w: w.refused("sqs", code="ExpiredToken", status=400),
     "credentials", "the session has expired"),
    ("a token of another key", lambda w: w.refused("s3", code="InvalidToken", status=400),
     "credentials", "AWS_SESSION_TOKEN does not belong"),
    ("a wrong clock, as S3 says it", lambda w: w.refused("s3", code="RequestTimeTooSkewed"),
     "credentials", "synchronise it (chrony)"),
    ("a wrong clock, as SQS says it", lambda w: w.refused("sqs", code="SignatureDoesNotMatch", message="Signature expired: 1"),
     "credentials", "synchronise it (chrony)"),
    ("figures that may not be sent",
     lambda w: {"CLOUDWATCH_NAMESPACE": "files", "AWS_ENDPOINT_URL_CLOUDWATCH": f"http://127.0.0.1:{w.ports['cloudwatch']}"},
     "CloudWatch", "grant this role cloudwatch:PutMetricData with the namespace files"),
    ("a port in use", lambda w: {"METRICS_PORT": str(w.ports["taken"])}, "metrics port", "in use by another program"),
    ("an address of another machine", lambda _: {"METRICS_PORT": "9464", "METRICS_HOST": "192.0.2.1"},
     "metrics port", "set METRICS_HOST to an address of this machine"),
    ("no folder for temporary files", lambda _: {"TEMP_DIR": "/no/such"},
     "temporary files", "TEMP_DIR=/no/such is not a writable folder"),
    ("a user that the index does not know", lambda w: w.index("http", "unauthorized", **APP),
     "index", "correct INDEX_USER=app and INDEX_PASSWORD"),
    ("a password with quotation marks", lambda w: w.index("http", "unauthorized", INDEX_USER="app", INDEX_PASSWORD=f"'{SECRET}'"),
     "index", "INDEX_PASSWORD has quotation marks around it"),
    ("a password in the URL that is not encoded",
     lambda w: {"INDEX_URL": f"http://app:{SECRET}%@127.0.0.1:{w.ports['unauthorized']}"},
     "index", "must be percent-encoded (% as %25)"),
    ("no user for the index", lambda w: w.index("http", "unauthorized"), "index", "set INDEX_USER and INDEX_PASSWORD"),
    ("a user without role in the index", lambda w: w.index("http", "forbidden", **APP),
     "index", "allows what config/opensearch/role.json allows"),
    ("requests that are not signed", lambda w: w.index("http", "unsigned"), "index", "grant this role es:ESHttpGet: in its policy"),
    ("https for http", lambda w: {"INDEX_URL": w.site.env["INDEX_URL"].replace("http:", "https:")},
     "index", "speaks plain HTTP, and not TLS: write http://"),
    ("http for https", lambda w: w.index("http", "tls"), "index", "speaks TLS, and not plain HTTP: write https://"),
    ("a certificate that is not trusted", lambda w: w.index("https", "tls"),
     "index", "set INDEX_CA_FILE to the PEM file of the authority"),
    ("another authority", lambda w: w.index("https", "tls", INDEX_CA_FILE=str(Authority(w.folder, "another").path)),
     "index", "is not the authority that signed the index's certificate"),
    ("a certificate for another name", lambda w: w.index("https", "tls of another", INDEX_CA_FILE=str(w.folder / "ca.pem")),
     "index", "write a name in INDEX_URL that the index's certificate is for"),
    ("a path in the URL", lambda w: {"INDEX_URL": f"{w.site.env['INDEX_URL']}/files"},
     "index", "INDEX_URL has the path /files, which OpenSearch does not have"),
    ("the address of S3", lambda w: {"INDEX_URL": w.site.env["AWS_ENDPOINT_URL_S3"]},
     "index", "it is not OpenSearch: are host and port in INDEX_URL right?"),
    *((f"another server: {stub}", lambda w, stub=stub: w.index("http", stub), "index", "orrect host and port in INDEX_URL")
      for stub in ("login", "website", "no page", "dashboards", "json", "list")),
    ("a host that does not exist", lambda _: {"INDEX_URL": "https://search.invalid:9200"},
     "index", "there is no host search.invalid"),
]  # fmt: skip
UNWISE: list[tuple[str, Made, str, str]] = [
    ("a queue without redrive policy", plain_queue, "redrive policy", "set a redrive policy with maxReceiveCount"),
    ("a misspelt name", lambda _: {"WORKER_CONCURENCY": "4"}, "settings", "WORKER_CONCURRENCY is: did you mean that?"),
    ("a name of another program", lambda _: {"SQS_ENDPOINT_URL": "x"}, "settings", "AWS_ENDPOINT_URL_SQS is"),
    ("a port at which nobody is", lambda _: {"INDEX_URL": "http://127.0.0.1:9"}, "index", "wait in retry-index/"),
    ("an index that is down", lambda w: w.index("http", "busy"), "index", "documents wait in retry-index/"),
    ("an outdated template", outdated, "index", "restart a worker, which puts the present one"),
]
"""With these, a worker works, or will once the index is back."""
ALL = [*((*one, "error") for one in MISTAKES), *((*one, "warning") for one in UNWISE)]


@pytest.mark.parametrize(("made", "name", "says", "level"), [one[1:] for one in ALL], ids=[one[0] for one in ALL])
def test_a_mistake_is_named_with_what_to_do(world, made, name, says, level):
    code, found = doctor(world.site.env | made(world))
    assert code == (RED if level == "error" else GREEN)
    assert [one["level"] for one in found if one["name"] == name and says in f"{one['what']} {one['hint']}"] == [
        level
    ], found


@pytest.mark.parametrize(
    ("mistake", "red"),
    [
        ("no credentials", ["credentials"]),
        ("a deactivated key", ["credentials"]),
        ("two queues that do not exist", ["queue", "DLQ"]),
    ],
)
def test_one_cause_is_one_red_line(world, mistake, red):
    made = next(one[1] for one in MISTAKES if one[0] == mistake)
    _, found = doctor(world.site.env | made(world))
    assert [one["name"] for one in found if one["level"] == "error"] == red
    [left_out] = [one for one in found if one["level"] == "warning"]
    assert left_out["name"] == "not checked"
    assert {"queue: receive", "queue: delete", "DLQ: send"} <= set(left_out["what"].split(", "))


@pytest.mark.parametrize(
    ("mistake", "code"),
    [
        ("queues exchanged", ExitCode.CONFIG),
        ("a queue of another region", ExitCode.CONFIG),
        ("a user that the index does not know", ExitCode.DEPENDENCY),
        ("a user without role in the index", ExitCode.DEPENDENCY),
        ("http for https", ExitCode.DEPENDENCY),
        ("a certificate that is not trusted", ExitCode.DEPENDENCY),
        ("a path in the URL", ExitCode.DEPENDENCY),
    ],
)
def test_a_worker_does_not_start_with_what_only_an_operator_can_correct(world, mistake, code):
    """With 69, systemd tries again: a permission that was just given, or a certificate, needs no one at the keyboard."""
    made, _, says = next(one[1:] for one in MISTAKES if one[0] == mistake)
    env = {name: value for name, value in (world.site.env | made(world)).items() if value is not None}
    done = run_in_process(main, env, "run")
    assert done.returncode == code
    assert says in done.stderr
    assert world.site.state_keys("retry-index/") == []


def test_doctor_finds_nothing_in_a_sound_deployment_and_leaves_nothing_there(world):
    site = world.site
    before = site.state_keys("")
    code, found = doctor(site.env)
    assert (code, [one for one in found if one["level"] != "ok"]) == (GREEN, [])
    assert queue_depth(site.sqs, site.queues.dlq) == (0, 0, 0)
    assert (site.count(), site.state_keys("")) == (0, before)
    assert f"{site.bucket} can be listed, and an object in it read" in [one["what"] for one in found]


def test_a_bucket_without_objects_is_said_to_be_empty(world):
    _, found = doctor(world.site.env, world.site.state_bucket)
    [said] = [one["what"] for one in found if one["name"] == "sources"]
    assert said.startswith(f"{world.site.state_bucket} is empty")


DENIED: list[tuple[str, Callable[[Call], bool]]] = [
    ("sqs:GetQueueAttributes", lambda call: call.action == "GetQueueAttributes"),
    ("sqs:ReceiveMessage", lambda call: call.action == "ReceiveMessage"),
    ("sqs:DeleteMessage", lambda call: call.action == "DeleteMessageBatch"),
    ("sqs:ChangeMessageVisibility", lambda call: call.action == "ChangeMessageVisibilityBatch"),
    ("sqs:SendMessage", lambda call: call.action == "SendMessageBatch"),
    ("s3:ListBucket", lambda call: call.action == "GetBucket"),
    ("s3:GetObject", lambda call: call.action == "GetObject" and "-state/" not in call.about),
    ("s3:GetObject on", lambda call: call.action == "GetObject" and "-state/" in call.about),
    ("s3:PutObject", lambda call: call.action == "PutObject"),
    ("s3:DeleteObject", lambda call: call.action == "DeleteObject"),
    ("es:ESHttpGet", lambda call: call.service == "index" and call.action.startswith("GET")),
    ("es:ESHttpPost", lambda call: call.service == "index" and call.action.startswith(("POST", "_bulk"))),
    ("es:ESHttpPut", lambda call: call.service == "index" and call.action.startswith("PUT")),
]


@pytest.mark.parametrize(("action", "is_it"), DENIED, ids=[action for action, _ in DENIED])
def test_each_permission_that_is_taken_away_is_a_red_line_that_names_it(world, action, is_it):
    """That of CloudWatch is among the mistakes."""

    def rule(call: Call) -> Broken | None:
        if not is_it(call):
            return None
        said = f"User: arn:aws:sts::1:role is not authorized to perform: {action} with an explicit deny"
        if call.service == "index":
            return Broken("answer", status=403, body=json.dumps({"Message": said}).encode())
        return error(call.service, "AccessDenied")

    world.proxy.rules = [rule]
    code, found = doctor(world.site.env | world.proxied | {"INDEX_AUTH": "es"})
    assert code == RED
    assert [one for one in found if one["level"] == "error" and action in one["hint"]], found
