"""The codes for causes, with a sentence each."""

import ast
import re
from pathlib import Path

import pytest

import worker
from worker.core.base.errors import MalformedEventError, StoreError, UnreadableFileError
from worker.core.base.reasons import Reason, sentence_of

SOURCES = Path(worker.__file__).parent


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_a_code_is_short_and_has_a_sentence_of_its_own(reason):
    assert re.fullmatch(r"[a-z]+(-[a-z]+){0,2}", reason.value)
    assert sentence_of(reason.value) == reason.sentence
    assert [one for one in Reason if one.sentence == reason.sentence] == [reason]
    assert not reason.sentence.endswith(".")


def test_a_code_that_is_not_ours_has_no_sentence():
    assert sentence_of("NoSuchBucket") == sentence_of("") == ""


def test_our_errors_give_their_reason_and_those_of_s3_their_code():
    assert UnreadableFileError("x", Reason.ZIP_BOMB).reason == "zip-bomb"
    assert StoreError("x", code="NoSuchBucket").reason == "NoSuchBucket"


def test_every_code_is_used_and_every_malformed_event_has_one():
    used, without = set(), []
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason":
                used.add(node.attr)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {
                MalformedEventError.__name__, UnreadableFileError.__name__, "failed"
            }:  # fmt: skip
                without += [f"{file}:{node.lineno}"] if len(node.args) < 2 else []
    assert used >= set(Reason.__members__)
    assert without == []
