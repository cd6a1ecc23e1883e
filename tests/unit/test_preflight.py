"""What keeps a worker from starting, and whether systemd is to try again."""

import pytest

from tests.support.world import World
from worker.core.errors import StoreError
from worker.preflight import _bucket, _state_round, _timed

PASSING = ["SlowDown", "ExpiredToken", "AccessDenied", "403", "404", "429", "ResponseParserError"]


@pytest.mark.parametrize(
    ("code", "fatal"),
    [*((code, "dependency") for code in PASSING), ("NoSuchBucket", "config"), ("PermanentRedirect", "config")],
)
@pytest.mark.parametrize(
    ("call", "check"),
    [
        ("s3.check_bucket", lambda world: _bucket(world.outside, "files", "S3_BUCKET")),
        ("state.put", lambda world: _state_round(world.outside)),
    ],
    ids=["bucket", "state"],
)
def test_only_what_no_restart_can_mend_keeps_a_worker_down(call, check, code, fatal):
    """A permission just given takes seconds to be known everywhere, and after 78 nobody would try again."""
    world = World()
    world.faults.add(call, StoreError("by the test", code=code))
    [found] = _timed("bucket", lambda: check(world))
    assert (found.level, found.fatal) == ("error", fatal)
