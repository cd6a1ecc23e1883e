"""An outage of S3 against one object's own fault."""

import pytest

from testing.fakes import Faults, MemoryS3
from worker.core.base.errors import StoreError
from worker.core.s3.objects import is_object_fault
from worker.pause_gate import PauseGate
from worker.s3_health import FAILURES, S3Health


@pytest.mark.parametrize(
    ("code", "others", "own"),
    [
        ("AccessDenied", True, True),
        ("AccessDenied", False, False),
        ("NoSuchBucket", False, True),
        ("SlowDown", True, False),
        ("ExpiredToken", True, False),
        ("RequestTimeTooSkewed", True, False),
        ("404", False, False),
        ("SomethingNew", True, True),
    ],
)
def test_a_denial_is_the_objects_own_only_where_others_can_be_read(code, others, own):
    assert is_object_fault(StoreError("x", code=code), others_readable=lambda: others) is own


def test_an_outage_shuts_the_gate():
    gate = PauseGate()
    s3_health = S3Health(MemoryS3(Faults()), gate)
    for _ in range(FAILURES):
        assert gate.is_open
        s3_health.failed(StoreError("x", code="AccessDenied"), "b", "k")
    assert list(gate.reasons) == ["s3"]
    s3_health.breaker.stop()
