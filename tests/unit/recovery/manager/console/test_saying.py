"""Sentences of other parts of this program in the reader's language: none is forgotten, and what is not ours is isolated."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from markupsafe import Markup

from recovery.ledger import operation_items
from recovery.manager import (
    bounded,
    confirmation,
    fleet_health,
    present,
    ramp,
    retries,
    retry_targets,
    schedule,
    watched,
    where,
)
from recovery.manager.acting import acts, copying, scheduling, sending
from recovery.manager.acting.scheduling import MAX_AHEAD_S
from recovery.manager.console import later, message_acts, planning
from recovery.manager.console.languages import Language
from recovery.manager.console.saying import said, sentence
from recovery.manager.console.sayings import SAYINGS
from recovery.manager.web import operations, plans
from recovery.operations import abort_policy, advice, confirm
from recovery.operations.dead_letters import desk, message_types, stored
from recovery.operations.recovering import outlook, preconditions
from recovery.operations.transfer import claims, targets
from recovery.operations.transfer import sending as sent
from worker.core.s3 import events
from worker.core.sqs import dead_letter

MODULES = [
    operation_items, fleet_health, bounded, confirmation, present, ramp, retry_targets, schedule, acts, copying, scheduling,
    sending, later, message_acts, planning, operations, plans, abort_policy, advice, desk, stored, outlook, preconditions, claims,
    sent, targets, events, dead_letter, message_types, confirm, retries, where, watched,
]  # fmt: skip
"""Those whose sentences are shown on pages."""
PLACE = "…"
NOT_SHOWN = re.compile(
    r"^[A-Za-z_]+$|SELECT|UPDATE|:plan|'planned'|i\.state|^/api/|^dlq |s3-index-worker (doctor|forget)|^Only |^Whether"
    r"|last event|An operation's id|A plan's id|-manager |event-stream"
    r"|^(Object|AWS) [A-Z]|^…: (is not a JSON Schema|x-|cannot be read)|^MESSAGE_TYPES_DIR|is not a dead letter"
    r"|^its (id, body|receive count)|^an attribute has no type|^it is not a JSON object$"
)
"""SQL, paths, commands, and descriptions in the API's documentation."""
PARTS = frozenset({
    "fails again each time", "in another operation", "of the queue in which it failed",
    f"of the queue in which it failed, {PLACE},", "is being sent", "release it to act on it again", "there is no state bucket",
    f"nothing is known {PLACE} that would allow sending it there automatically: redrive it with --to QUEUE",
    "; if the index refuses the document, it goes to retry-index/", ". What it names is indexed nevertheless, if only by its name",
    ". The same command tries again, and keeps it as long as this lasts",
    ". The fleet is paused: without --while-paused, the command refuses",
    f"its {PLACE} bytes and {PLACE} attributes", f"the queue's limits of {PLACE} and {PLACE}",
    f"{PLACE} leave no room for a failure record within {PLACE}", f"the body {PLACE}; the types are {PLACE}",
    "is of no known type", "is not JSON", f"SQS_QUEUE_URL: {PLACE}",
})  # fmt: skip
"""Parts of sentences, which are tried as a whole below; and what the archive, the log or the command line alone says."""


def sentences(module) -> Iterator[str]:
    """Its texts of three words and more, with PLACE where a value stands; without docstrings."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    left_out: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(node.value)
        if isinstance(node, ast.JoinedStr):
            left_out |= set(ast.walk(node)) - {node}
    for node in ast.walk(tree):
        text = _text(node)
        if node not in left_out and len(re.findall("[A-Za-z]{2,}", text)) >= 3 and not NOT_SHOWN.search(text):
            yield text


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else PLACE for one in node.values)
    return ""


@pytest.mark.parametrize("module", MODULES, ids=lambda one: one.__name__)
def test_every_sentence_that_a_page_may_show_is_translated(module):
    left = [
        one
        for one in sentences(module)
        if one not in PARTS and not re.search("[぀-ヿ一-鿿]", said(Language.JAPANESE, one))
    ]
    assert left == []


WHOLE = {
    "nothing is known of the queue in which it failed, <b>, that would allow sending it there automatically: redrive it with "
    "--to QUEUE": "失敗したキュー <bdi>&lt;b&gt;</bdi> について、自動で送信できるだけの情報がありません。"
    "--to QUEUE を付けて再投入してください",
    "<b> has sent it to q; what came of that is not known yet. Until this has changed, every command leaves it alone; look at it "
    "again then": "<bdi>&lt;b&gt;</bdi> が <bdi>q</bdi> に送信しました。結果はまだわかっていません。"
    "この状況が変わるまで、どのコマンドも操作しません。変わってからもう一度確認してください",
    "recovery would index it: its object can be read; if the index refuses the document, it goes to retry-index/": (
        "オブジェクトを読み取れるため、復旧するとインデックスに登録されます。"
        "インデックスがドキュメントを拒否した場合は retry-index/ に入ります"
    ),
    "at: '2026' is wrong; it should be to come, and at most 14 days ahead": (
        "<bdi>at</bdi>: <bdi>&#39;2026&#39;</bdi> は正しくありません。正しい値: これから <bdi>14</bdi> 日以内"
    ),
    "its 1,048,577 bytes and 2 attributes leave no room for a failure record within the queue's limits of 1,048,576 and 10; "
    "--force sends it without its redrive count": "<bdi>1,048,577</bdi> バイト、属性 <bdi>2</bdi> 個のため、"
    "キューの上限（<bdi>1,048,576</bdi> バイト、<bdi>10</bdi> 個）の中に失敗レコードの余地がありません。"
    "--force を付けると再投入回数を付けずに送信します",
    "s3-event: Records: 'x' is a required property": "<bdi>s3-event: Records: &#39;x&#39;</bdi> は必須です",
    "at 2026-11-01T09:30:00.000Z": "<bdi>2026-11-01</bdi> <bdi>09:30:00.000</bdi>（UTC）に予約",
    "the fleet is paused by ana@ops-1: a new mapping": (
        "<bdi>ana@ops-1</bdi> がワーカー群を一時停止中です: <bdi>a new mapping</bdi>"
    ),
    "w1 cannot work: receive: denied": "<bdi>w1</bdi> が処理できない状態です: <bdi>receive: denied</bdi>",
    "SQS_QUEUE_URL: http://sqs/q has no redrive policy that leads to DLQ_QUEUE_URL=http://sqs/dlq": (
        "SQS_QUEUE_URL: <bdi>http://sqs/q</bdi> には DLQ_QUEUE_URL=<bdi>http://sqs/dlq</bdi> へのリドライブポリシーがありません"
    ),
    "the SNS notification has nothing as its Message; it should be a string": (
        "SNS 通知 に <bdi>Message</bdi> がありません。文字列である必要があります"
    ),
    "the body is JSON, but it is an empty list; it should be an object": (
        "本文 は JSON ですが 空のリスト です。オブジェクトである必要があります"
    ),
    "NOTIFY_URL is not a setting; NOTIFY_URLS is: did you mean that?": (
        "<bdi>NOTIFY_URL</bdi> という設定はありません。<bdi>NOTIFY_URLS</bdi> の間違いではありませんか?"
    ),
    "an error of a service: <b>": "<bdi>an error of a service: &lt;b&gt;</bdi>",
    "": "<bdi></bdi>",
}


@pytest.mark.parametrize("text", WHOLE)
def test_a_sentence_is_said_in_japanese_with_what_is_not_ours_isolated(text):
    assert said(Language.JAPANESE, text) == Markup(WHOLE[text])


def test_in_english_it_is_the_same_with_what_is_not_ours_isolated():
    assert said(Language.ENGLISH, "it is held: \u202e<b>") == "it is held: <bdi>\\u202e&lt;b&gt;</bdi>"
    for saying in SAYINGS:
        text = re.sub(r"\{\w+\}", "x", saying)
        assert said(Language.ENGLISH, text).striptags() == " ".join(text.replace("`", "").split())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("it is held: legal", "It is held: <bdi>legal</bdi>"),
        (
            "it is held: it was sent already; --force sends it without its redrive count",
            "It is held: it was sent already; --force",
        ),
        ("its record is gone. Until then, the command keeps it", "Its record is gone. Until then"),
        ("an error of a service", "<bdi>an error of a service</bdi>"),
        ("", "<bdi></bdi>"),
    ],
)
def test_a_sentence_that_stands_alone_begins_with_a_capital_unless_it_is_not_ours(text, shown):
    assert sentence(Language.ENGLISH, text).startswith(shown)


def test_a_shorter_sentence_does_not_hide_a_longer_one():
    for saying in SAYINGS:
        text = re.sub(r"\{\w+\}", "x", saying)
        shown = re.sub("<code>.*?</code>", "", said(Language.JAPANESE, text))
        assert not re.search("[a-z]{2,} [a-z]{2,} [a-z]{2,}", shown), (text, shown)


def test_a_long_text_is_no_sentence_of_ours():
    text = "it is held: " + "x" * 5_000
    assert said(Language.JAPANESE, text) == f"<bdi>{text}</bdi>"


def test_what_is_scheduled_may_wait_as_long_as_the_page_says():
    assert MAX_AHEAD_S == 14 * 86_400
