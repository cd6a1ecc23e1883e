"""What keeps a worker from starting, and whether systemd should try again."""

import pytest

from testing.fakes import Fakes
from worker.core.base.errors import StoreError
from worker.preflight import _bucket, _state_round, _timed

TRANSIENT = ["SlowDown", "ExpiredToken", "AccessDenied", "403", "404", "429", "ResponseParserError"]


@pytest.mark.parametrize(
    ("code", "fatal"),
    [*((code, "dependency") for code in TRANSIENT), ("NoSuchBucket", "config"), ("PermanentRedirect", "config")],
)
@pytest.mark.parametrize(
    ("call", "check"),
    [
        ("s3.check_bucket", lambda fakes: _bucket(fakes.clients, "files", "S3_BUCKET")),
        ("state.put", lambda fakes: _state_round(fakes.clients)),
    ],
    ids=["bucket", "state"],
)
def test_only_what_no_restart_can_correct_keeps_a_worker_down(call, check, code, fatal):
    """A permission just given takes seconds to be known everywhere, and after exit code 78 systemd would not try again."""
    fakes = Fakes()
    fakes.faults.add(call, StoreError("by the test", code=code))
    [found] = _timed("bucket", lambda: check(fakes))
    assert (found.level, found.fatal) == ("error", fatal)
