"""`help`, `--help` and `--version` answer at once, everywhere, and at any width."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from worker import __version__, explain
from worker.core.base.errors import ExitCode

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
PROGRAMS = {path.stem: json.loads(path.read_text()) for path in sorted(explain.FOLDER.glob("*.json"))}
SLOW = {
    "typer", "pydantic", "pydantic_settings", "boto3", "botocore", "rich", "structlog", "jsonschema", "obstore",
    "opensearchpy", "sqlalchemy", "fastapi", "lxml", "recovery.cli.main", "worker.cli", "worker.terminal",
}  # fmt: skip
"""Of these, each alone takes a good part of the 0.2 s of CPU within which help is to be shown."""
ASK = """
import importlib, io, os, sys
from contextlib import redirect_stdout
for place, arguments in {asked!r}:
    module, name = place.split(":")
    sys.argv = [name, *arguments]
    with redirect_stdout(io.StringIO()) as said:
        getattr(importlib.import_module(module), name)()
    assert said.getvalue(), (place, arguments)
print(*sorted(sys.modules))
"""
START = "import importlib; importlib.import_module({module!r}); import sys; print(*sorted(sys.modules))"


NEVER = {"boto3", "botocore.session", "tenacity", "structlog", "sqlalchemy"}
"""What a command loads when it needs it at last: to ask AWS, to try again, to log a line."""


def loaded_by(source):
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_help_and_version_of_every_program_load_nothing_that_takes_time():
    asked: list[tuple[str, tuple[str, ...]]] = [
        (place, (word,)) for place in sorted(set(SCRIPTS.values())) for word in ("--help", "help", "--version")
    ]
    asked += [("recovery.cli.programs:dlq", ("redrive", "--help")), ("recovery.cli.programs:dlq", ("help", "list"))]
    assert not loaded_by(ASK.format(asked=asked)) & SLOW


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("recovery.cli.verbs.stats", {"worker.core.extract.extractor", "lxml", "recovery.cli.verbs.inspect"}),
        ("recovery.cli.verbs.list_messages", {"opensearchpy", "worker.core.extract.extractor"}),
        ("worker.cli", {"opensearchpy", "worker.core.extract.extractor", "lxml", "worker.daemon"}),
    ],
)
def test_a_command_starts_without_what_only_others_need(module, unneeded):
    assert not loaded_by(START.format(module=module)) & (unneeded | NEVER)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("width", [60, 80, 100])
def test_every_page_fits_and_shows_one_whole_example_per_line(program, width):
    for words, page in PROGRAMS[program].items():
        lines = explain.page_text(page, width).splitlines()
        assert lines[0].startswith(f"Usage: {program} {words}".rstrip())
        examples = {f"  {one}" for one in page["examples"]}
        assert examples <= set(lines), "each is one line, as it is typed"
        prose = [line for line in lines[1:] if line not in examples]
        assert max(map(len, prose)) <= width, (words, max(prose, key=len))
        text = " ".join(" ".join(lines).split())
        for _, rows in page["sections"]:
            assert all(name in text and " ".join(said.split()) in text for name, said in rows)


def said(capsys, program, *arguments):
    """What is printed; None if the program is to run."""
    return capsys.readouterr().out if explain.answered(program, arguments) else None


@pytest.mark.parametrize(
    ("program", "arguments", "page"),
    [
        ("dlq", ["help"], ""),
        ("dlq", ["help", "redrive"], "redrive"),
        ("dlq", ["help", "help"], None),
        ("dlq", ["redrive", "help"], "redrive"),
        ("dlq", ["redrive", "--help"], "redrive"),
        ("dlq", ["-h"], ""),
        ("dlq", ["list", "--kind", "UNKNOWN", "-h"], "list"),
        ("s3-index-worker", ["help", "search"], "search"),
        ("s3-index-worker", ["search", "--help"], "search"),
        ("recover_dlq", ["help"], ""),
        ("recover_dlq", ["--batch-size", "5", "--help"], ""),
        ("dlq-manager", ["help", "token", "create"], "token create"),
        ("dlq-manager", ["token", "--help"], "token"),
    ],
)
def test_help_is_given_wherever_it_is_asked_for(capsys, monkeypatch, program, arguments, page):
    monkeypatch.setenv("COLUMNS", "80")
    if page is None:
        with pytest.raises(SystemExit) as ended:
            explain.answered(program, arguments)
        assert ended.value.code == ExitCode.USAGE
        return
    assert said(capsys, program, *arguments) == explain.page_text(PROGRAMS[program][page], 80)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("s3-index-worker", ["search", "help"]),
        ("dlq", ["export", "help"]),
        ("dlq", ["delete", "5f0c3a", "--reason", "--", "--help"]),
        ("dlq", ["redrve", "--help"]),
        ("recover_dlq", []),
        ("no-such-program", ["--help"]),
    ],
)
def test_what_is_no_question_for_help_is_run(capsys, program, arguments):
    assert said(capsys, program, *arguments) is None


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_version_is_told_behind_every_command(capsys, program):
    for words in PROGRAMS[program]:
        assert said(capsys, program, *words.split(), "--version") == f"{__version__}\n"


def test_a_command_that_does_not_exist_is_told_with_the_nearest(capsys):
    with pytest.raises(SystemExit) as ended:
        explain.answered("dlq", ["help", "redrve"])
    assert ended.value.code == ExitCode.USAGE
    assert capsys.readouterr().err == "dlq has no command 'redrve'; did you mean `dlq help redrive`?\n"


@pytest.mark.parametrize(("program", "arguments", "page"), [("dlq", [], ""), ("dlq-manager", ["token"], "token")])
def test_a_command_without_its_verb_shows_its_help_and_fails(capsys, monkeypatch, program, arguments, page):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        explain.answered(program, arguments)
    assert ended.value.code == ExitCode.USAGE
    assert capsys.readouterr().out == explain.page_text(PROGRAMS[program][page], 80)


def test_the_summaries_of_verbs_are_whole_sentences():
    verbs = [
        row
        for pages in PROGRAMS.values()
        for title, rows in pages[""]["sections"]
        if title == "Commands"
        for row in rows
    ]
    assert [name for name, text in verbs if not text.endswith((".", ".)")) or text.count("(") != text.count(")")] == []
