"""`aws` as far as the docs use it: arguments are checked against botocore's models, and run where a test has the service.

AWS's own command line is not a dependency. A call that would leave this machine is checked, and not made.
"""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import boto3
import jmespath
from botocore import xform_name
from botocore.validate import validate_parameters

SERVICES = {"s3api": "s3"}
RENAMED = {"notification-endpoint": "endpoint"}
"""Options that AWS's command line does not call as the API does: `aws sns subscribe`."""
DEFAULTS = {"run-instances": {"min-count": ["1"], "max-count": ["1"]}}
"""What it adds where the API requires more than the command line does."""
NOT_IN_MOTO = {"opensearchserverless", "ssm", "start-instance-refresh"}
"""Services and operations that are checked, and not called."""
GLOBAL = frozenset({"query", "output", "region", "profile", "max-items"})
REGION = "eu-central-1"


def main(argv: list[str]) -> int:
    """Run `aws ARGV`, with its output on stdout; the exit code."""
    service, operation, *rest = argv
    client = boto3.client(SERVICES.get(service, service), region_name=REGION)  # type: ignore[call-overload]
    if operation == "wait":
        return _wait(client, rest)
    if service == "s3":
        urls = [urlsplit(url) for url in rest if "://" in url]
        return _sync(client, *urls) if operation == "sync" else _make_bucket(client, *urls)
    name = {xform_name(one, "-"): one for one in client.meta.service_model.operation_names}[operation]
    shape = client.meta.service_model.operation_model(name).input_shape
    options = DEFAULTS.get(operation, {}) | _options(rest)
    if "max-items" in options:
        assert client.can_paginate(xform_name(name)), f"{operation} has no pages: --max-items"
    given = parameters(shape, {name: words for name, words in options.items() if name not in GLOBAL})
    is_made = _is_here(client) and not NOT_IN_MOTO & {service, operation}
    answer = getattr(client, xform_name(name))(**given) if is_made else {}
    answer.pop("ResponseMetadata", None)
    if "query" in options:
        answer = jmespath.search(options["query"][0], answer)
    print(answer if options.get("output") == ["text"] else json.dumps(answer, default=str, indent=1))
    return 0


def parameters(shape: Any, options: dict[str, list[str]]) -> dict[str, Any]:
    """The call's parameters. Raises KeyError for an option that the operation has not, ParamValidationError."""
    members = {xform_name(name, "-"): name for name in (shape.members if shape else {})}
    given = {members[option]: _value(shape.members[members[option]], words) for option, words in options.items()}
    if shape:
        validate_parameters(given, shape)
    return given


def _options(words: list[str]) -> dict[str, list[str]]:
    options: dict[str, list[str]] = {}
    current: list[str] = []
    for word in words:
        if word.startswith("--"):
            current = options.setdefault(RENAMED.get(word[2:], word[2:]), [])
        else:
            current.append(word)
    return options


def _value(shape: Any, words: list[str]) -> Any:
    """What the words of one option mean, by the shape that the model gives it."""
    [text, *more] = words or ["true"]
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text()
    if shape.type_name == "blob":
        return Path(text).read_bytes()
    if shape.type_name == "list" and not text.startswith("["):
        return [_value(shape.member, [word]) for word in words]
    assert not more, f"{words}: one value is meant"
    if shape.type_name in {"structure", "map", "list"}:
        return json.loads(text) if text[0] in "{[" else _shorthand(shape, text)
    if shape.type_name == "boolean":
        return text == "true"
    return int(text) if shape.type_name in {"integer", "long"} else text


def _shorthand(shape: Any, text: str) -> dict[str, Any]:
    pairs = dict(pair.split("=", 1) for pair in text.split(","))
    if shape.type_name == "map":
        return dict(pairs)
    return {name: _value(shape.members[name], [value]) for name, value in pairs.items()}


def _wait(client: Any, rest: list[str]) -> int:
    name, *options = rest
    waiter = client.get_waiter(name.replace("-", "_"))
    model = client.meta.service_model.operation_model(waiter.config.operation)
    given = parameters(model.input_shape, _options(options))
    if _is_here(client):
        waiter.wait(**given)
    return 0


def _sync(client: Any, source: SplitResult, target: SplitResult) -> int:
    """Copy what is under one prefix to another bucket."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=source.netloc, Prefix=source.path[1:]):
        for one in page.get("Contents", []):
            key = target.path[1:] + one["Key"].removeprefix(source.path[1:])
            client.copy_object(Bucket=target.netloc, Key=key, CopySource={"Bucket": source.netloc, "Key": one["Key"]})
    return 0


def _make_bucket(client: Any, bucket: SplitResult) -> int:
    """Create a bucket in the region of the command line, as it does in any region."""
    client.create_bucket(Bucket=bucket.netloc, CreateBucketConfiguration={"LocationConstraint": REGION})
    return 0


def _is_here(client: Any) -> bool:
    return "amazonaws.com" not in client.meta.endpoint_url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
