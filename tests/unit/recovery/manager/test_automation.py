"""What the manager does by itself, on which threads."""

import threading
from collections.abc import Mapping

import pytest

from recovery.manager.assembly import Parts
from recovery.manager.automation import Automation
from recovery.manager.settings import ManagerSettings
from recovery.operations.clients import DlqClients
from worker.core.base.aws import Aws
from worker.core.base.settings_model import load_as


@pytest.fixture
def silences(fakes, ledger, rows, metrics):
    """The longest silence of each thread that is started, in seconds."""
    settings = load_as(
        ManagerSettings, sqs_queue_url="http://sqs/q/source", dlq_queue_url="http://sqs/q/dlq", state_bucket="state",
        s3_bucket="files",
    )  # fmt: skip
    clients = DlqClients(fakes.dlq, fakes.s3, fakes.state, rows.types)
    parts = Parts(Aws(region="eu-central-1"), clients, fakes.state, rows)

    def started(**more) -> Mapping[str, float]:
        one = Automation(
            settings, parts, ledger, metrics, holder="h:1", by="manager@h", refresh=lambda _: None,
            stop=threading.Event(), **more,
        )  # fmt: skip
        found: dict[str, float] = {}
        one.start(lambda name, _, max_silence_s: found.update({name: max_silence_s}))
        one.close()
        return found

    return started


def test_a_diagnosis_may_read_a_large_file_without_a_beat(silences):
    assert silences(notices=None) == {"retries": 300, "confirmation": 300, "diagnosis": 1_800}
