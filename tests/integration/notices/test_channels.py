"""What arrives at a real mail server and a real web hook, and what a refusal says."""

import logging

import pytest

from recovery.manager.notices.channels import NotifyError, open_channels
from recovery.manager.notices.owners import parse_owners
from recovery.manager.notices.wording import Said
from worker.core.base.errors import ConfigError

SAID = Said(
    "[dlq-manager] 3件のメッセージを処理できません: 契約 <b>",
    "契約書\n\n例: files/請求書/10月 & <b>.pdf\n一覧: http://127.0.0.1/?q=a%3Ab\n",
)


def opened(urls, owners=""):
    return open_channels(urls, parse_owners(owners), link="http://127.0.0.1:8024")


def test_mail_arrives_as_plain_text_in_any_language(mail_server):
    opened(mail_server.url).send("ops 1 (mailto)", SAID)
    [mail] = mail_server.mails
    assert mail["Subject"] == SAID.subject
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n").strip() == SAID.text.strip()
    assert mail_server.recipients == [["ops@example.com"]]
    assert "dlq@example.com" in mail["From"]


def test_an_owner_gets_mail_through_the_same_server_and_nobody_else_does(mail_server):
    channels = opened(f"{mail_server.url}&cc=boss@example.com", "invoices/=accounts@example.net")
    channels.send("accounts@example.net", SAID)
    channels.send("mei@example.com", SAID)
    assert mail_server.recipients == [["accounts@example.net"], ["mei@example.com"]]
    channels.send("ops 1 (mailto)", SAID)
    assert sorted(mail_server.recipients[-1]) == ["boss@example.com", "ops@example.com"]


def test_to_domains_that_are_not_ours_nothing_is_written(mail_server):
    channels = opened(mail_server.url, "invoices/=accounts@example.net")
    reached = [
        one for one in ("a@example.com", "a@EXAMPLE.net", "a@elsewhere.test", "json://x", "") if channels.reaches(one)
    ]
    assert reached == ["a@example.com", "a@EXAMPLE.net"]
    with pytest.raises(NotifyError, match=r"a@elsewhere\.test is no longer a recipient"):
        channels.send("a@elsewhere.test", SAID)
    assert mail_server.mails == []


def test_a_web_hook_is_given_subject_and_text(hook):
    channels = opened("", f"scans/={hook.url}")
    assert (channels.ops, channels.owners) == ((), ("scans/ (json)",))
    channels.send("scans/ (json)", SAID)
    [posted] = hook.posted
    assert (posted["title"], posted["message"].strip()) == (SAID.subject, SAID.text.strip())


def test_what_refuses_and_then_accepts_is_said_so(mail_server, hook):
    channels = opened(f"{mail_server.url}, {hook.url}")
    mail_server.refuses, hook.status = True, 500
    with pytest.raises(NotifyError, match="451"):
        channels.send("ops 1 (mailto)", SAID)
    with pytest.raises(NotifyError, match="500"):
        channels.send("ops 2 (json)", SAID)
    mail_server.refuses, hook.status = False, 200
    for name in channels.ops:
        channels.send(name, SAID)
    assert (len(mail_server.mails), len(hook.posted)) == (1, 1)


def test_wrong_credentials_and_a_server_that_is_not_there_are_named_without_the_secret(mail_server, hook, caplog):
    wrong = mail_server.url.replace("p%3Ass%2Fw%40rd%25", "wr0ng-Secret")
    hook.status = 403
    nowhere = "mailto://dlq:wr0ng-Secret@127.0.0.1:9/?from=dlq@example.com&mode=insecure"
    channels = opened(f"{wrong},{nowhere},{hook.url}")
    for name, said in (("ops 1 (mailto)", "535"), ("ops 2 (mailto)", "refused"), ("ops 3 (json)", "Forbidden|403")):
        with pytest.raises(NotifyError, match=said) as raised:
            channels.send(name, SAID)
        assert not {"wr0ng", "T0KEN"} & set(str(raised.value).split())
        assert "wr0ng-Secret" not in str(raised.value)
        assert "T0KEN12345" not in str(raised.value)
    assert caplog.records == []
    assert [type(one) for one in logging.getLogger("apprise").handlers] == [logging.NullHandler]


@pytest.mark.parametrize(
    ("urls", "owners", "said"),
    [
        ("nonsense", "", r"NOTIFY_URLS: address 1, \(hidden\), is not one that apprise can use; it should be"),
        (
            "json://localhost,smoke://Secret/x",
            "",
            r"NOTIFY_URLS: address 2, smoke://\(hidden\), is not one that apprise can use",
        ),
        ("https://hooks.example.com/Secret", "", r"address 1, https://\(hidden\), is not one that apprise can use"),
        ("", "a/=smoke://Secret/x", r"OWNERS: the address of a/, smoke://\(hidden\), is not one that apprise can use"),
        (
            "json://localhost",
            "a/=a@example.com",
            "OWNERS names the mail address a@example.com, but NOTIFY_URLS has no mailto",
        ),
        (",".join(["json://localhost"] * 21), "", "NOTIFY_URLS has 21 addresses; it should have at most 20"),
    ],
)
def test_a_wrong_address_is_refused_at_the_start_without_its_secrets(urls, owners, said):
    with pytest.raises(ConfigError, match=said) as raised:
        opened(urls, owners)
    assert "Secret" not in str(raised.value)


def test_nobody_is_notified_where_nothing_is_set():
    assert opened("").is_empty
