"""Whatever verb runs, and whatever one call fails: every message is somewhere."""

import contextlib
import json

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery.cli.verbs.abandon import abandon
from recovery.cli.verbs.purge import purge
from recovery.cli.verbs.redrive import redrive_all
from recovery.cli.verbs.restore import restore
from recovery.operations.dead_letters.facts import Filter
from testing.fakes import Fakes
from testing.memory import BUCKET
from tests.support.size import sized
from tests.support.verbs import fill
from worker.core.base.errors import QueueError, StoreError, WorkerError
from worker.core.s3.state import ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX

CALLS = (
    "dlq.receive", "dlq.delete", "dlq.hide", "dlq.attributes", "source.send", "source.attributes", "state.put",
    "state.claim", "state.get", "state.list", "state.delete",
)  # fmt: skip
VERBS = ("redrive", "delete", "restore", "purge", "canary")


@pytest.mark.timeout(sized(900, usual=180))
@settings(
    max_examples=sized(500, usual=40), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    verb=st.sampled_from(VERBS),
    count=st.integers(1, 25),
    call=st.sampled_from(CALLS),
    after=st.integers(0, 4),
    times=st.sampled_from([1, 3, 1_000_000]),
    transient=st.booleans(),
    stored=st.integers(1, 4),
)
def test_any_verb_and_any_single_failing_call_loses_nothing(
    tmp_path_factory, verb, count, call, after, times, transient, stored
):
    folder = tmp_path_factory.mktemp("files")
    fakes = Fakes()
    fill(fakes, count)
    bodies = {message.body for message in fakes.dlq.messages.values()}
    for number in range(0, count, stored):
        fakes.store(f"m{number}")
    with pytest.MonkeyPatch.context() as patch:
        made = _context(fakes, patch, verb)
        if verb == "restore":
            abandon(made, Filter(), reason="x", everything=True, yes=True)
        code = "ServiceUnavailable" if transient else "AccessDenied"
        kind = QueueError if call.startswith(("dlq", "source")) else StoreError
        fakes.faults.add(call, kind("x", code=code), after=after, times=times)
        with contextlib.suppress(WorkerError, typer.BadParameter):
            _act(made, verb, folder)
    held = {message.body for queue in (fakes.dlq, fakes.source) for message in queue.messages.values()}
    held |= {
        record["body"] for prefix in (ARCHIVE_PREFIX, DEAD_LETTERS_PREFIX) for record in fakes.under(prefix).values()
    }
    held |= {json.loads(line).get("body") for file in folder.iterdir() for line in file.read_text().splitlines()}
    assert bodies <= held
    assert fakes.s3.bodies == {}, "objects are none of its business"


def _context(fakes, patch, verb):
    patch.setenv("DLQ_URL", "http://sqs/q/dlq")
    patch.setenv("S3_BUCKET", BUCKET)
    from recovery.cli.context import CommandContext
    from recovery.cli.settings import ToolOptions, load_tool
    from worker.terminal import Signals

    settings, aws = load_tool(ToolOptions())
    made = CommandContext(settings, aws, verb, Signals(), as_json=True)
    made.dlq, made.source, made.objects, made.state = fakes.dlq, lambda: fakes.source, fakes.s3, fakes.state  # type: ignore[method-assign]
    made.check_dlq()
    return made


def _act(made, verb, folder):
    if verb == "redrive":
        redrive_all(made, Filter(), everything=True, yes=True)
    elif verb == "canary":
        redrive_all(made, Filter(), everything=True, canary=3, canary_wait=0, yes=True)
    elif verb == "delete":
        abandon(made, Filter(), reason="x", everything=True, yes=True)
    elif verb == "restore":
        restore(made, run=made.run.name, yes=True)
    else:
        purge(made, folder / "all.jsonl", confirm="dlq")
