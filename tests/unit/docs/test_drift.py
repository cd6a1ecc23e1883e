"""Docs, lock and sizes are compared with the code, and any drift is found."""

import functools
import re
import shutil
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from recovery.operations.dead_letters.scan import INVISIBLE_S
from tools import coverage, docs, lock, sizes
from tools.events import events
from tools.mentions import Known, unknown_mentions

ROOT = Path(__file__).resolve().parents[3]


@functools.cache
def known() -> Known:
    return Known.of(ROOT)


def mentions(text: str) -> list[str]:
    return list(unknown_mentions(text, ROOT / "README.md", ROOT, known()))


def test_every_page_says_what_the_code_does() -> None:
    assert docs.check(ROOT) == []


def test_how_long_a_held_dead_letter_stays_invisible_is_one_number() -> None:
    said = [
        found
        for page in (ROOT / "docs").glob("*.md")
        for found in re.findall(r"visible again within ([a-z]+ minutes?)", page.read_text())
    ]
    assert (INVISIBLE_S, set(said), len(said)) == (120, {"two minutes"}, 2)


def test_a_setting_missing_from_its_page_is_found() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text()
    without = "".join(line for line in page.splitlines(keepends=True) if "`BULK_WAIT_MS`" not in line)
    assert without != page
    assert docs.filled(without) != without
    assert docs.filled(without) == page


@pytest.mark.parametrize("name", ["commands", "events", "metrics"])
def test_a_changed_table_is_found(name: str) -> None:
    page = (ROOT / f"docs/reference/{name}.md").read_text()
    changed = page.replace(f"<!-- begin {name} -->\n", f"<!-- begin {name} -->\n| by hand |\n")
    assert docs.filled(changed) == page != changed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Set `SQS_QUEUE_URI`.", "SQS_QUEUE_URI is not a setting"),
        ("Run `make everything`.", "the Makefile has no target everything"),
        ("Run `s3-index-worker fly`.", "s3-index-worker has no command fly"),
        ("Or so:\n\n    python -m worker fly\n", "s3-index-worker has no command fly"),
        ("Watch `worker_mood_total`.", "worker_mood_total is not a metric"),
        ("The line `message.lost` says so.", "message.lost is not a log event"),
        ("See `worker/core/magic.py`.", "worker/core/magic.py does not exist"),
        ("See [there](docs/nowhere.md#top).", "the link to docs/nowhere.md#top leads nowhere"),
        ("See [there](CONTRIBUTING.md#nowhere).", "the link to CONTRIBUTING.md#nowhere leads nowhere"),
        ("# Top\n\nSee [below](#below).", "the link to #below leads nowhere"),
        ("```\nmake everything\n```", "the Makefile has no target everything"),
    ],
)
def test_a_mention_of_what_is_not_there_is_found(text: str, said: str) -> None:
    assert mentions(text) == [said]


def test_what_exists_may_be_mentioned() -> None:
    text = (
        "## What is it?\n\n`make test`, `s3-index-worker run`, `DLQ_QUEUE_URL`, `OPENSEARCH_ENDPOINT`, `worker_messages_total`, "
        "`message.settled`, `worker/consumer.py`, `AWS_PROFILE`, [changes](CHANGELOG.md), [here](#what-is-it). "
        "Prose may make sense."
    )
    assert mentions(text) == []


def test_an_event_is_read_with_its_levels_and_fields_even_through_a_parameter(tmp_path: Path) -> None:
    module = tmp_path / "worker" / "some.py"
    module.parent.mkdir()
    module.write_text(
        "def plain(x):\n    emit('a.b', 'warning' if x else 'error', key=x)\n"
        "def through(x, event):\n    emit(event, size=x)\n"
        "through(1, 'c.d')\n"
    )
    found = {event.name: event for event in events(tmp_path)}
    assert found["a.b"].levels == ("warning", "error")
    assert found["a.b"].fields == ("key",)
    assert found["c.d"].levels == ("info",)
    assert found["c.d"].modules == ("worker/some.py",)


def test_a_file_that_the_tests_hardly_run_is_named() -> None:
    files = {
        name: {"summary": {"percent_covered": value}}
        for name, value in (("a.py", 91.0), ("b.py", 50.0), ("c.py", 79.9))
    }
    lines = coverage.said({"files": files, "totals": {"percent_covered": 85.04}})
    assert lines[0].endswith("85.0%")
    assert [line.split()[-1] for line in lines[2:]] == ["b.py", "c.py"]


def test_the_locks_are_up_to_date() -> None:
    assert lock.check(ROOT) == []


def test_the_hooks_before_a_commit_are_what_make_check_runs() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    checks = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()[1:]]
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == checks
    assert {hook["language"] for hook in local["hooks"]} == {"system"}


def test_dependencies_changed_and_not_locked_are_found(tmp_path: Path) -> None:
    for name in ("pyproject.toml", *lock.OPTIONS):
        shutil.copy(ROOT / name, tmp_path)
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace('"boto3>=1.40"', '"boto3>=1.41"'))
    assert [fault.partition(" ")[0] for fault in lock.check(tmp_path)] == [
        lock.DEV,
        lock.RUN,
        lock.MANAGER,
        lock.INVENTORY,
    ]


def test_an_address_in_a_lock_is_found(tmp_path: Path) -> None:
    for name in ("pyproject.toml", *lock.OPTIONS):
        shutil.copy(ROOT / name, tmp_path)
    with (tmp_path / lock.DEV).open("a") as file:
        file.write("--index-url https://registry.example\n")
    assert [fault for fault in lock.check(tmp_path) if "names an address" in fault]


def test_a_lock_that_pins_another_version_is_found(tmp_path: Path) -> None:
    for name in ("pyproject.toml", *lock.OPTIONS):
        shutil.copy(ROOT / name, tmp_path)
    with (tmp_path / lock.MANAGER).open("a") as file:
        file.write("alembic==0.0.1\n")
    assert lock.check(tmp_path) == [f"{lock.MANAGER} pins other versions than {lock.DEV}: run make lock"]


def test_the_packages_of_the_manager_and_for_inventories_are_not_installed_with_the_worker() -> None:
    for package, extra in (("sqlalchemy", lock.MANAGER), ("pyarrow", lock.INVENTORY)):
        having = {name for name in lock.OPTIONS if f"\n{package}==" in (ROOT / name).read_text()}
        assert having == {lock.DEV, extra}


def test_a_file_or_function_that_is_too_long_is_found(tmp_path: Path) -> None:
    module = tmp_path / "worker" / "long.py"
    module.parent.mkdir()
    module.write_text("def long():\n" + "    x = 1\n" * 60)
    files, functions = sizes.sizes(tmp_path)
    assert files == [sizes.Size(61, "worker/long.py")]
    assert functions == [sizes.Size(61, "worker/long.py: long")]


def test_no_source_file_and_no_function_is_over_its_limit() -> None:
    assert sizes.faults(*sizes.sizes(ROOT)) == []
    long = sizes.Size(sizes.MAX_FILE_LINES + 1, "worker/cli.py")
    assert len(sizes.faults([long], [sizes.Size(sizes.MAX_FUNCTION_LINES + 1, "worker/cli.py: run")])) == 2
