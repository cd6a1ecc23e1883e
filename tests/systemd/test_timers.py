"""The timers start what they are for, as oneshot units in the same sandbox."""

import pytest

from testing.aws import s3_event, s3_record
from testing.site import Site
from testing.waiting import wait_until
from tests.support.installation import Installation
from tests.support.retry_records import put_record, record_of
from worker.core.s3.state import RETRY_PREFIX

pytestmark = pytest.mark.timeout(600)  # the first test has the installation in its set-up

NOW = "[Timer]\nOnCalendar=\nOnActiveSec=100ms\nRandomizedDelaySec=0\nAccuracySec=100ms\n"


def fire(installed: Installation, name: str) -> None:
    """Let the timer elapse, and wait until the run that it starts has ended."""
    ended = "ExecMainExitTimestampMonotonic"
    before = installed.machine.show(f"{name}.service", ended)
    installed.drop_in(f"{name}.timer", NOW)
    installed.machine.run("systemctl", "enable", "--now", f"{name}.timer")
    wait_until(lambda: installed.machine.show(f"{name}.service", ended) not in {before, "0"}, 60, f"a run of {name}")
    wait_until(lambda: installed.machine.show(f"{name}.service", "ActiveState") == "inactive", 10, "its end")


def test_the_timer_runs_recover_dlq_and_a_dead_letter_that_stays_is_no_failure(
    installed: Installation, site: Site
) -> None:
    installed.configure(site.env)
    site.put("late.txt", "came late")
    site.sqs.send_message(QueueUrl=site.queues.dlq, MessageBody="received by another program")
    site.sqs.receive_message(QueueUrl=site.queues.dlq, VisibilityTimeout=300)
    site.sqs.send_message(QueueUrl=site.queues.dlq, MessageBody=s3_event(s3_record(site.bucket, "late.txt")))
    fire(installed, "recover-dlq")
    assert site.documents()["late.txt"]["recovery_source"] == "dlq"
    assert installed.machine.show("recover-dlq.service", "ExecMainStatus") == "3"
    assert installed.machine.show("recover-dlq.service", "Result") == "success"


def test_the_timer_runs_replay_retry_index_which_indexes_what_waits(installed: Installation, site: Site) -> None:
    installed.configure(site.env)
    put_record(site, record_of(site, "waits.txt", site.put("waits.txt")))
    fire(installed, "replay-retry-index")
    assert site.documents().keys() == {"waits.txt"}
    assert site.state_keys(RETRY_PREFIX) == []


def test_the_timer_runs_reconcile_index_which_records_what_it_found(installed: Installation, site: Site) -> None:
    installed.configure(site.env)
    site.put("lost.txt", "lost")
    site.ask("PUT", f"/{site.index}", {})
    fire(installed, "reconcile-index")
    assert site.state_record(f"s3-index-worker/reconcile/{site.bucket}.json")["states"]["young"] == 1
    assert installed.machine.show("reconcile-index.service", "Result") == "success"


def test_the_timer_of_the_replay_goes_with_the_worker_and_that_of_the_dead_letters_does_not(
    installed: Installation, site: Site
) -> None:
    installed.configure(site.env)
    installed.machine.run("systemctl", "enable", "--now", "s3-index-worker")
    assert installed.machine.show("replay-retry-index.timer", "ActiveState") == "active"
    assert installed.machine.show("recover-dlq.timer", "ActiveState") == "inactive"
