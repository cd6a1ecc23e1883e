"""schemathesis asks the running service what its own description allows, and what it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = """
[warnings]
fail-on = ["missing_auth", "unused_openapi_auth", "unsupported_regex", "method_not_allowed", "missing_deserializer"]

[checks.negative_data_rejection]
expected-statuses = ["400", "404", "421", "431"]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "410", "412", "422", "428"]

[[operations]]
include-name = [
  "GET /api/v1/audit", "GET /api/v1/audit/export", "GET /api/v1/messages", "GET /api/v1/search", "GET /api/v1/where",
  "POST /api/v1/messages/{any_id}/copies", "POST /api/v1/plans",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409", "410", "412", "422", "428"]

[[operations]]
include-name = "DELETE /dlq/message/{any_id}"
warnings = false
checks.negative_data_rejection.expected-statuses = ["400", "403", "404", "421", "431"]
"""
"""What no schema can say, and is refused as it must be.

Which cursors there are, and which names buckets and queues have; that a plan takes q or ids, and its hold a reason, the audit
a day or a span, and a search some word; which ETag, plan and Idempotency-Key are still good; that a Host is another server's;
and that nobody is an admin without sign-in. How often what is made up hits a dead letter that is there is no fault of anybody's.
"""


@pytest.mark.slow("some hundred questions, each made up")
@pytest.mark.timeout(400)
def test_every_answer_to_any_question_is_as_described(served, tmp_path):
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    address = f"http://127.0.0.1:{served.port}"
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "st"), "run", f"{address}/openapi.json", "--checks", "all", "--mode", "all",
            "--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--no-color",
            "--generation-deterministic",  # what lets a commit in says the same of it each time
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=380, check=False,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.support.any_question", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
