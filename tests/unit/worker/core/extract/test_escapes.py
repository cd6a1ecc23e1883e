r"""Escapes such as \n and \u6771."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.extract.escapes import unescaped

JSON, TEXT = "application/json", "text/plain"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r'{"a": "refused\nRetry\tlater\r"}', '{"a": "refused\nRetry\tlater\n"}'),
        (r'{"a": "C:\\new\\table", "b": "http:\/\/x"}', '{"a": "C:\\new\\table", "b": "http://x"}'),
        (r'{"log": "{\"msg\": \"a\\nb\", \"c\": \"\\u6771\\u4eac\"}\n"}', '{"log": "{"msg": "a\nb", "c": "東京"}\n"}'),
        (r'{"a": "\ud83c\udf38\ud800"}', '{"a": "🌸\ufffd"}'),
        (r'{"truncated": "\u6771\u4eac\n', '{"truncated": "東京\n'),
        ('{"image/png": "' + "iVBORw0K" * 200 + '=="}', '{"image/png": ""}'),
    ],
)
def test_escapes_of_json_are_what_they_stand_for(written: str, meant: str) -> None:
    assert unescaped(written, JSON) == meant
    assert unescaped(written, "application/geo+json") == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (
            r'10:00 INFO {"m": "\u6771\u4eac\nRetry", "p": "C:\\new"} end',
            '10:00 INFO {"m": "東京\nRetry", "p": "C:\\new"} end',
        ),
        (r"moved C:\new\table and \\server\ufoo to {C:\users}", r"moved C:\new\table and \\server\ufoo to {C:\users}"),
        (r'{"path": "C:\new\q"}', r'{"path": "C:\new\q"}'),
        (r'msg="\u6771\u4eac" D:\u2026\x', r'msg="東京" D:\u2026\x'),
        ('[\n "\\u6771\\n\\u4eac"\n]', '[\n "東\n京"\n]'),
    ],
)
def test_in_other_text_only_json_and_runs_of_characters_are_unescaped(written: str, meant: str) -> None:
    assert unescaped(written, TEXT) == meant


def test_properties_of_java_write_single_characters_so() -> None:
    assert unescaped("name=\\u6771 C:\\\\u4eac", "text/x-java-properties") == "name=東 C:\\\\u4eac"


@given(st.text(max_size=80))
def test_every_string_of_json_is_read_as_it_was_meant(text: str) -> None:
    meant = text.replace("\r", "\n").replace("\x08", " ").replace("\x0c", "\n")
    written = json.dumps({"k": text})
    assert unescaped(written, JSON) == '{"k": "' + meant + '"}' or '"{' in written or '"[' in written


@pytest.mark.parametrize("piece", ['{"', '"{\\"', "[", '{"\\', "\\u12", '"{', "A" * 999 + " ", '2026 {"a":"\\n"}\n'])
@pytest.mark.parametrize("mime_type", [JSON, TEXT])
def test_time_grows_with_the_length_alone(piece: str, mime_type: str) -> None:
    text = piece * (2_000_000 // len(piece)) + "\\"
    began = time.process_time()
    unescaped(text, mime_type)
    assert time.process_time() - began < 12
