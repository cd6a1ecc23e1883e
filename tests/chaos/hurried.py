"""Runs one of the product's programs with its waits shortened: `python -m tests.chaos.hurried worker run`.

A campaign of a thousand cases cannot wait 60 s for each message that was released. Only durations are changed, and only
here: timeouts of calls, probes, leases, visibility timeouts. The behaviour is the product's own.
"""

import runpy
import sys

from tests.chaos import clocks, panics

clocks.install()

from annotated_types import Ge  # noqa: E402 (these copy the clock's functions)

from worker.core.base import aws, retry, settings  # noqa: E402

SHORTEST_VISIBILITY_S = 5
SHORTEST_DEADLINE_S = 10


def hurry() -> None:
    """Shorten the waits; before the modules that copy these constants are imported."""
    aws.CONNECT_TIMEOUT_S, aws.S3_READ_TIMEOUT_S, aws.SQS_READ_TIMEOUT_S = 1, 2, 3
    retry.SHORTEST_RELEASE_S, retry.LONGEST_RELEASE_S = 1, 4
    _allow("sqs_visibility_timeout", SHORTEST_VISIBILITY_S)
    _allow("message_deadline_s", SHORTEST_DEADLINE_S)
    settings.Settings.model_rebuild(force=True)
    from worker import batcher, consumer, s3_health, selfheal
    from worker.core.s3 import lease

    batcher.PATIENCE_S, batcher.PING_PATIENCE_S = 1.0, 0.7
    consumer.FIRST_BACKOFF_S, consumer.LONGEST_BACKOFF_S = 0.2, 2.0
    s3_health.PROBE_S = 0.7
    lease.LEASE_S = 6
    selfheal.AGAIN_S, selfheal.STORED_S, selfheal.RARELY_S, selfheal.ANYHOW_S = 1.5, 0.7, 6.0, 30.0
    from recovery.operations.dead_letters import scan
    from recovery.operations.records import archive
    from recovery.operations.recovering import recovery_run

    scan.INVISIBLE_S, archive.CLAIM_S = 5, 3
    vars(recovery_run)["INVISIBLE_S"] = 5  # imported from there


def _allow(field: str, least: int) -> None:
    """Allow a setting to be shorter than its usual lower bound."""
    found = settings.Settings.model_fields[field]
    found.metadata = [Ge(least) if isinstance(bound, Ge) else bound for bound in found.metadata]


if __name__ == "__main__":
    hurry()
    panics.install()
    del sys.argv[0]
    module = sys.argv[0]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
