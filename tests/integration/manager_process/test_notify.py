"""A whole manager that takes in failures: a real mail server gets one mail for each cause, and the owner's web hook its own."""

import pytest

from testing import failures
from testing.waiting import wait_until
from tests.support.hook import Hook
from tests.support.mail_server import MailServer

COUNT = 30


@pytest.mark.slow("what was refused is tried again after half a minute")
def test_one_mail_for_each_cause_and_a_refused_one_is_tried_again(site, elasticmq, manager_of, tmp_path):
    mail_server, hook = MailServer(), Hook()
    mail_server.refuses = True
    try:
        ledger = {"LEDGER_URL": f"sqlite:///{tmp_path}/ledger.sqlite", "MANAGER_PORT": "0"}
        manager = manager_of(**ledger, NOTIFY_URLS=mail_server.url, OWNERS=f"*={hook.url}").start()
        failures.fill(elasticmq.url, site.queues.dlq, source=site.queues.source, bucket=site.bucket, count=COUNT)
        wait_until(lambda: hook.posted, timeout_s=60, what="the owner is told")
        refused = wait_until(
            lambda: [one for one in manager.ask("/api/v1/notifications")["items"] if one["error"]], 60, "a refusal"
        )
        assert "451" in refused[0]["error"]
        mail_server.refuses = False
        wait_until(lambda: mail_server.mails, timeout_s=120, what="mail arrives")
        text = "".join(one.get_content() for one in mail_server.mails)
        assert "http://127.0.0.1:" in text
        assert "Records" not in text, "a body is in a mail"
    finally:
        mail_server.stop()
        hook.stop()
