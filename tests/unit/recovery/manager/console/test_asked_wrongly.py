"""What is said of a mistake, in Japanese: whatever would be right is translated, whichever part of the program says it."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from recovery.ledger.errors import AskedWronglyError
from recovery.manager.console.languages import Language
from recovery.manager.console.planning import plan_request
from recovery.manager.console.saying import said
from worker.core.base.address import queue_url

ROOT = Path(__file__).resolve().parents[5]
PLACE = "…"
API_ALONE = frozenset(
    {f"{PLACE} to {PLACE}", f"a query without mistakes: {PLACE}", f"at most {PLACE} days before `to`"}
)
"""What no page asks for: a limit, a search by the API, an export."""
FROM_PYDANTIC = "recovery/manager/web/problems.py"
JAPANESE = re.compile("[぀-ヿ一-鿿]")
ENGLISH = re.compile("[a-z]{2,} [a-z]{2,}")


def every_right() -> Iterator[tuple[str, str]]:
    """Each text that says what would be right, with the module that has it; PLACE stands where a value does."""
    for path in sorted((ROOT / "recovery").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        if "AskedWronglyError(" not in text or name == FROM_PYDANTIC:
            continue
        tree = ast.parse(text)
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "AskedWronglyError":
                yield from ((name, one) for one in texts_of(call.args[2], tree, name))


def texts_of(node: ast.AST, tree: ast.AST, module: str) -> list[str]:
    """The texts that an argument may be: what is written there, a constant, or what was assigned to its name."""
    if isinstance(node, ast.Name):
        constant = getattr(importlib.import_module(module.removesuffix(".py").replace("/", ".")), node.id, None)
        if isinstance(constant, str):
            return [constant]
        assigned = [one.value for one in ast.walk(tree) if isinstance(one, ast.Assign) and named(one, node.id)]
        return [text for one in assigned for text in texts_of(one, tree, module)]
    if isinstance(node, ast.IfExp):
        return texts_of(node.body, tree, module) + texts_of(node.orelse, tree, module)
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(one.value) if isinstance(one, ast.Constant) else PLACE for one in node.values)]
    return [str(node.value)] if isinstance(node, ast.Constant) else []


def named(assignment: ast.Assign, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in assignment.targets)


def test_whatever_would_be_right_is_translated():
    found = [(name, text) for name, text in every_right() if text not in API_ALONE]
    assert len(found) > 30
    left = [(name, text) for name, text in found if ENGLISH.search(shown(f"x: 'y' is wrong; it should be {text}"))]
    assert left == []


def shown(text: str) -> str:
    return said(Language.JAPANESE, text).striptags()


@pytest.mark.parametrize(
    ("right", "japanese"),
    [
        ("one of key, error, last", "key, error, last のいずれか"),
        ("one of 900, 3600, or empty", "900, 3600 のいずれか、または空"),
        ("absent where `from` or `to` is given", "from か to を指定した場合はなし"),
        ("before `to`", "to より前"),
        ("the name of a time zone, such as Asia/Tokyo", "タイムゾーンの名前（例: Asia/Tokyo）"),
        ("of 1 to 1,024 bytes", "1 バイト以上 1,024 バイト以下"),
        ("a bucket's name, not a URL or an ARN", "URL や ARN ではなくバケット名"),
    ],
)
def test_what_would_be_right_is_said_naturally(right, japanese):
    assert shown(str(AskedWronglyError("x", "y", right))) == f"x: 'y' は正しくありません。正しい値: {japanese}"


@pytest.mark.parametrize(
    "fields",
    [
        {"verb": "nothing"},
        {"verb": "redrive", "rate": "0"},
        {"verb": "redrive", "rate": "inf"},
        {"verb": "redrive", "rate": "fast"},
        {"verb": "redrive", "to": "arn:aws:sqs:eu-central-1:123456789012:files"},
        {"verb": "redrive", "to": "https://u:p@sqs.example.com/1/files"},
        {"verb": "redrive", "to": "https://sqs.example.com/1/files/"},
        {"verb": "redrive", "to": "files"},
        {"verb": "abandon", "reason": "x" * 5_000},
        {"verb": "abandon", "reason": "a\nb"},
        {"verb": "schedule", "in_s": "1.5"},
        {"verb": "schedule", "in_s": "-1"},
        {"verb": "redrive", "q": "x" * 5_000},
    ],
    ids=str,
)
def test_what_pydantic_says_of_a_form_is_translated(fields):
    with pytest.raises(AskedWronglyError) as raised:
        plan_request({"q": "", **fields})
    text = shown(str(raised.value))
    assert JAPANESE.search(text.partition("正しい値:")[2]) or "https://sqs." in text, text
    assert not ENGLISH.search(text.partition("正しい値:")[2].partition("(aws ")[0]), text


@pytest.mark.parametrize("ids", [["x" * 200], [""], ["x"] * 10_001], ids=["long", "empty", "many"])
def test_what_pydantic_says_of_ids_is_translated(ids):
    with pytest.raises(AskedWronglyError) as raised:
        plan_request({"verb": "redrive"}, ids)
    assert JAPANESE.search(shown(str(raised.value)).partition("正しい値:")[2])


@pytest.mark.parametrize("url", ["files", "arn:aws:sqs:eu-central-1:1:files", "https://u:p@h/q", "https://h/q/"])
def test_why_a_queue_is_none_is_translated(url):
    with pytest.raises((ValueError, ValidationError)) as raised:
        queue_url(url)
    text = shown(f"the queue {url!r} {raised.value}")
    assert text.startswith(f"キュー {url}: ")
    assert JAPANESE.search(text.partition(": ")[2])
