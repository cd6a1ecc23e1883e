"""Lines on a terminal and in a pipe: what is wrapped, where, and how ids and commands are shown."""

import io
import shlex
import subprocess

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from worker.layout import Command, Sentence, fold, short_ids, show

ID = "20d30dbf-3078-46a8-8975-14309c742449"


def shown(result: RenderableType, *, columns: int = 40, is_terminal: bool = True) -> str:
    said = io.StringIO()
    show(Console(width=columns, file=said, force_terminal=is_terminal, color_system=None), result)
    return said.getvalue()


@pytest.mark.parametrize(
    ("names", "short"),
    [
        ([], {}),
        ([ID], {ID: "20d30dbf"}),
        (["abcdefgh1", "abcdefgh2"], {"abcdefgh1": "abcdefgh1", "abcdefgh2": "abcdefgh2"}),
        ([ID, "20d30dbf-9", ID], {ID: "20d30dbf-3", "20d30dbf-9": "20d30dbf-9"}),
        (["m1", "m10"], {"m1": "m1", "m10": "m10"}),
    ],
)
def test_a_short_id_is_the_shortest_beginning_of_eight_characters_that_no_other_has(names, short):
    assert short_ids(names) == short


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("a bb ccc", 5, ["a bb ", "ccc"]),
        ("経理/2026/03/請求書.pdf", 16, ["経理/2026/03/", "請求書.pdf"]),
        ("漢" * 5, 4, ["漢漢", "漢漢", "漢"]),
        ("漢" * 5, 5, ["漢漢", "漢漢", "漢"]),
        (f"see {ID}", 38, ["see ", ID]),
        ("か\u3099" * 3, 4, ["か\u3099か\u3099", "か\u3099"]),
        ("a/" + "x" * 5, 4, ["a/xx", "xxx"]),
        ("one\n\ntwo", 9, ["one", "", "two"]),
        ("", 9, [""]),
    ],
)
def test_a_line_is_broken_after_spaces_then_after_slashes_then_between_characters(text, width, lines):
    assert [line.plain for line in fold(Text(text), width)] == lines


def test_a_sentence_in_a_pipe_is_one_line_with_complete_ids():
    said = Sentence(f"{ID} failed: {'x ' * 3_000}", ids={ID: "20d30dbf"})
    assert shown(said, is_terminal=False).splitlines()[0].startswith(f"{ID} failed: x x")
    assert shown(said, is_terminal=False).count("\n") == 1
    assert shown(said).startswith("20d30dbf failed: x x")
    assert all(line.startswith("  ") for line in shown(said).splitlines()[1:])


def test_a_command_that_is_longer_than_a_line_is_the_same_command_when_copied():
    command = f"dlq delete --message-id {ID} --reason 'the file is gone, and nobody misses it'"
    lines = shown(Command(command, before="→ ")).splitlines()
    assert len(lines) > 2
    copied = "\n".join(line[2:] for line in lines)
    done = subprocess.run(["sh", "-c", f"printf '%s\\0' {copied}"], capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == shlex.split(command)
    assert shown(Command(command, before="→ "), is_terminal=False) == f"→ {command}\n"
