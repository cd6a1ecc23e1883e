"""`dlq-manager token`: what it prints, what it refuses."""

import hashlib
import json

import pytest

from recovery.ledger.ledger import open_ledger
from recovery.manager.cli import main
from tests.support.in_process import run_in_process
from worker.core.base.errors import ExitCode


@pytest.fixture
def token(tmp_path):
    env = {
        "SQS_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/documents", "STATE_BUCKET": "our-state",
        "DLQ_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/documents-dlq", "INDEX_URL": "https://search.example.com",
        "LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite", "COLUMNS": "80",
    }  # fmt: skip
    return lambda *args: run_in_process(main, env, "token", *args)


def test_a_secret_is_shown_once_and_the_ledger_has_its_sha_256(token, tmp_path):
    done = token("create", "--role", "operator", "--name", "ci", "--expires", "90d")
    assert done.returncode == 0, done.stderr
    secret = done.stdout.strip()
    assert (secret[:5], len(secret)) == ("dlqm_", 48)
    assert "shown only now" in done.stderr
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")
    [found] = ledger.tokens.all()
    ledger.close()
    assert found.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert (found.expires_ms or 0) - found.created_ms == 90 * 86_400_000
    listed = token("list")
    assert listed.stdout.splitlines()[1].split()[:3] == ["ci", "operator", "valid"]
    for shown in (listed.stdout, token("list", "--json").stdout):
        assert secret not in shown
        assert found.digest not in shown


def test_a_revoked_token_is_shown_as_such(token):
    made = json.loads(token("create", "--role", "reader", "--name", "ci", "--json").stdout)
    assert (made["role"], made["expires"], made["token"][:5]) == ("reader", None, "dlqm_")
    assert token("revoke", "ci").stdout.startswith("ci: revoked 20")
    [found] = json.loads(token("list", "--json").stdout)
    assert (found["name"], found["is"]) == ("ci", "revoked")
    assert "token" not in found


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--role", "operater", "--name", "x"), "--role='operater': it should be "),
        (("--role", "reader", "--name", "a b"), "it should have up to 64 letters"),
        (("--role", "reader", "--name", ""), "it should have up to 64 letters"),
        (("--role", "reader", "--name", "x" * 65), "it should have up to 64 letters"),
        (("--role", "reader", "--name", "x", "--expires", "soon"), "a number and s, m, h or d"),
        (("--role", "reader", "--name", "x", "--expires", "0d"), "between 1s and 3650d"),
        (("--role", "reader", "--name", "x", "--expires", "9999999999999d"), "between 1s and 3650d"),
        (("--name", "x"), "--role"),
        (("--role", "reader"), "--name"),
    ],
)
def test_mistyped_input_creates_nothing(token, args, said):
    done = token("create", *args)
    assert done.returncode == ExitCode.USAGE
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert json.loads(token("list", "--json").stdout) == []


def test_a_name_that_was_used_and_one_that_is_unknown_are_said(token):
    token("create", "--role", "reader", "--name", "ci")
    again = token("create", "--role", "admin", "--name", "ci")
    assert (again.returncode, again.stdout) == (ExitCode.USAGE, "")
    assert "there is, or was, a token ci" in again.stderr
    unknown = token("revoke", "CI")
    assert (unknown.returncode, unknown.stderr) == (
        ExitCode.NOT_FOUND,
        "not found: there is no token CI; there are: ci\n",
    )


def test_in_a_pipe_nothing_that_is_printed_is_cut_or_folded(token):
    token("create", "--role", "operator", "--name", "n" * 64, "--expires", "1d")
    _, line = token("list").stdout.splitlines()
    assert line.split()[:3] == ["n" * 64, "operator", "valid"]
