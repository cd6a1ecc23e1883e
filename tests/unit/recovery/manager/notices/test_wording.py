"""Notifications word for word, in both languages."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from recovery.ledger.news import Reason
from recovery.ledger.outbox import Topic
from recovery.manager.notices import english, japanese
from recovery.manager.notices.wording import Wording
from worker.core.base.classify import FailureKind

JST = timezone(timedelta(hours=9), "JST")
AT_MS = 1_793_525_400_000  # 2026-11-01T09:30Z
TOPIC = Topic(
    "accounts@example.com", Reason.FAILED, FailureKind.USER_ERROR, "5b1f2c7d90aa", "5b1f2c7d90aa", "UnreadableFileError",
    waiting=1_204, first_ms=AT_MS, last_ms=AT_MS + 60_000, example="files/請求書/10月.pdf", total=1_204,
)  # fmt: skip
SYSTEM = replace(TOPIC, kind=FailureKind.SYSTEM_ERROR, waiting=1, total=1, error_type="NoSuchBucket", fingerprint="")
UNKNOWN = replace(TOPIC, kind=FailureKind.UNKNOWN, waiting=2, total=9, error_type="", fingerprint="", example="")


def wording(language) -> Wording:
    return Wording(language, lambda: "https://dlq.example.com", JST)


def test_an_owner_is_told_in_english():
    said = wording("en").of_group(TOPIC, every_s=3_600)
    assert said.subject == "[dlq-manager] 1,204 messages cannot be processed: UnreadableFileError"
    assert said.text == (
        "1,204 messages failed because of the file or the message itself, and fail again however often it is retried. "
        "Please correct the file, or tell the operators that it is not needed.\n"
        "\n"
        "Error: UnreadableFileError\n"
        "Example: files/請求書/10月.pdf\n"
        "First: 1 Nov 2026, 18:30 JST\n"
        "Latest: 1 Nov 2026, 18:31 JST\n"
        "Group: https://dlq.example.com/console/groups/5b1f2c7d90aa?error_type=UnreadableFileError&kind=USER_ERROR\n"
        "\n"
        "If there are more, a digest follows in 1 hour at the earliest.\n"
    )


def test_an_owner_is_told_in_japanese():
    said = wording("ja").of_group(TOPIC, every_s=5_400)
    assert said.subject == "[dlq-manager] 1,204件のメッセージを処理できません: UnreadableFileError"
    assert said.text == (
        "ファイルまたはメッセージの内容に問題があるため、1,204件の処理に失敗しました。再試行しても結果は変わりません。"
        "ファイルを修正していただくか、不要な場合は運用担当者にお知らせください。\n"
        "\n"
        "エラー: UnreadableFileError\n"
        "対象の例: files/請求書/10月.pdf\n"
        "最初の発生: 2026年11月1日 18:30 (JST)\n"
        "最後の発生: 2026年11月1日 18:31 (JST)\n"
        "グループ: https://dlq.example.com/console/groups/5b1f2c7d90aa?error_type=UnreadableFileError&kind=USER_ERROR\n"
        "\n"
        "同じ失敗がさらに発生した場合は、1時間30分以上の間隔を空けて、まとめてお知らせします。\n"
    )


def test_those_who_operate_are_told_of_one_message_in_the_singular():
    said = wording("en").of_group(SYSTEM, every_s=60)
    assert said.subject == "[dlq-manager] System error: 1 message failed with NoSuchBucket"
    assert said.text.startswith(
        "1 message failed because of a fault in the system, and nothing retries such a failure. Find the cause, then redrive "
        "the group.\n"
    )
    assert "/console/groups/-?error_type=NoSuchBucket&kind=SYSTEM_ERROR\n" in said.text
    japanese_said = wording("ja").of_group(SYSTEM, every_s=60)
    assert japanese_said.subject == "[dlq-manager] システムエラー: 1件のメッセージが失敗しました (NoSuchBucket)"
    assert japanese_said.text.startswith(
        "システムの不具合により、1件の処理に失敗しました。この種の失敗は自動では再試行されません。"
        "原因を取り除いてから、このグループのメッセージを再送してください。\n"
    )


def test_retries_that_are_used_up_are_told():
    topic = replace(TOPIC, reason=Reason.RETRIES_USED_UP, kind=FailureKind.RECOVERABLE, waiting=3)
    said = wording("en").of_group(topic, every_s=60)
    assert said.subject == "[dlq-manager] Retries used up: 3 messages, UnreadableFileError"
    assert said.text.startswith("3 messages failed at each scheduled retry and now wait for somebody to act.\n")
    japanese_said = wording("ja").of_group(topic, every_s=60)
    assert japanese_said.subject == "[dlq-manager] 自動再試行の上限に達しました: 3件 (UnreadableFileError)"
    assert japanese_said.text.startswith(
        "予定された再試行がすべて失敗したため、3件のメッセージが対応待ちになっています。\n"
    )


def test_what_nothing_retries_although_its_reason_should_pass_is_told():
    topic = replace(TOPIC, kind=FailureKind.RECOVERABLE, waiting=3)
    said = wording("en").of_group(topic, every_s=60)
    assert said.subject == "[dlq-manager] Not retried: 3 messages failed with UnreadableFileError"
    assert said.text.startswith(
        "3 messages failed for a reason that should pass, and wait for somebody to act, because nothing retries them. Once the "
        "cause is gone, redrive the group.\n"
    )
    assert "and waits for somebody to act, because nothing retries it." in (
        wording("en").of_group(replace(topic, waiting=1), every_s=60).text
    )
    japanese_said = wording("ja").of_group(topic, every_s=60)
    assert japanese_said.subject == (
        "[dlq-manager] 自動再試行の対象外: 3件のメッセージが失敗しました (UnreadableFileError)"
    )
    assert japanese_said.text.startswith(
        "一時的な原因により3件の処理に失敗しましたが、自動では再試行されないため、対応待ちになっています。"
        "原因が解消してから、このグループのメッセージを再送してください。\n"
    )


def test_a_digest_in_english_lists_the_largest_groups_first():
    said = wording("en").digest([UNKNOWN, replace(TOPIC, total=2_000)])
    assert said.subject == "[dlq-manager] Digest: 1,206 failures in 2 groups"
    assert said.text == (
        "1,206 failures in 2 groups, from 1 Nov 2026, 18:30 JST to 1 Nov 2026, 18:31 JST, that you have not heard of yet:\n"
        "\n"
        "1,204 × UnreadableFileError (caused by the file or message), 2,000 in all\n"
        "    Example: files/請求書/10月.pdf\n"
        "    Latest: 1 Nov 2026, 18:31 JST\n"
        "    Group: https://dlq.example.com/console/groups/5b1f2c7d90aa?error_type=UnreadableFileError&kind=USER_ERROR\n"
        "\n"
        "2 × unknown reason (to be reviewed), 9 in all\n"
        "    Latest: 1 Nov 2026, 18:31 JST\n"
        "    Group: https://dlq.example.com/console/groups/-?error_type=&kind=UNKNOWN\n"
    )


def test_a_digest_in_japanese_lists_the_largest_groups_first():
    said = wording("ja").digest([UNKNOWN, TOPIC])
    assert said.subject == "[dlq-manager] まとめ: 2グループで1,206件の失敗"
    assert said.text == (
        "2026年11月1日 18:30 (JST)から2026年11月1日 18:31 (JST)までに、2グループで1,206件の失敗がありました。"
        "前回のお知らせ以降の件数です。\n"
        "\n"
        "UnreadableFileError (ファイルまたはメッセージの不備): 1,204件\n"
        "    対象の例: files/請求書/10月.pdf\n"
        "    最後の発生: 2026年11月1日 18:31 (JST)\n"
        "    グループ: https://dlq.example.com/console/groups/5b1f2c7d90aa?error_type=UnreadableFileError&kind=USER_ERROR\n"
        "\n"
        "原因不明 (要確認): 2件、累計9件\n"
        "    最後の発生: 2026年11月1日 18:31 (JST)\n"
        "    グループ: https://dlq.example.com/console/groups/-?error_type=&kind=UNKNOWN\n"
    )


def test_a_long_digest_counts_what_it_does_not_list():
    topics = [replace(TOPIC, name=str(number), waiting=1) for number in range(22)]
    assert wording("en").digest(topics).text.endswith("\n\nand 2 more groups with 2 failures.\n")
    assert wording("ja").digest(topics).text.endswith("\n\nほかに2グループ、2件あります。\n")
    assert wording("en").digest(topics).text.count("×") == 20


def test_a_test_says_from_where_it_comes():
    assert wording("en").test().text == (
        "This is a test: notifications of the dlq-manager at https://dlq.example.com arrive here.\n"
    )
    assert wording("ja").test().subject == "[dlq-manager] テスト"
    assert wording("ja").test().text == (
        "これはテストです。https://dlq.example.com のdlq-managerからのお知らせは、こちらに届きます。\n"
    )


def test_a_key_stays_on_its_line_and_calls_nobody():
    topic = replace(TOPIC, example="a\nSubject: x\x1b[2J@everyone" + "長" * 400)
    line = next(one for one in wording("en").of_group(topic, every_s=60).text.split("\n") if one.startswith("Example"))
    assert line.startswith("Example: a Subject: x\ufffd[2J@\u200beveryone長")
    assert line.endswith("…")
    assert len(line) == len("Example: ") + 300


@pytest.mark.parametrize(
    ("seconds", "in_english", "in_japanese"),
    [
        (60, "1 minute", "1分"),
        (3_661, "1 hour 1 minute", "1時間1分"),
        (172_800, "2 days", "2日"),
        (0, "0 seconds", "0秒"),
    ],
)
def test_durations_have_two_units_at_most(seconds, in_english, in_japanese):
    assert (english.duration(seconds), japanese.duration(seconds)) == (in_english, in_japanese)
