"""Every table on real terminals of usual widths, with the worst keys: nothing is lost, cut, broken or wrapped by the terminal."""

import itertools
import re
from functools import cache

import pytest
from rich.cells import cell_len

from testing.worker import base_env
from tests.hostile.test_injection import active
from tests.support import terminal
from tests.support.screens import IDS, KEYS, MARK, QUEUE
from worker.core.base.text import exact
from worker.layout import short_ids

WIDTHS = (60, 80, 100, 140)
CODES = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|1A|2K)|\r")
"""What rich writes: colours, and the redrawn progress line."""
WITH_KEYS = ("list", "list columns", "inspect", "archive", "demo")
WITH_IDS = ("list", "list columns", "archive")


@cache
def screens(columns: int) -> dict[str, list[str]]:
    """The lines of each screen on a real terminal of this width."""
    code, said = terminal.typed("tests.support.screens", base_env(), columns=columns)
    assert code == 0, said
    found: dict[str, list[str]] = {}
    for screen in said.split(MARK)[1:]:
        name, *lines = CODES.sub("", screen).split("\n")
        found[name] = [line for line in lines if "reading the DLQ …" not in line]
    return found


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_line_is_wider_than_the_terminal_or_controls_it(columns: int) -> None:
    for name, lines in screens(columns).items():
        assert [line for line in lines if cell_len(line) > columns] == [], name
        assert active("\n".join(lines)) == [], name


@pytest.mark.parametrize("columns", WIDTHS)
def test_every_character_of_every_key_is_shown(columns: int) -> None:
    for name in WITH_KEYS:
        assert [key for key in KEYS if not is_shown(exact(key), screens(columns)[name])] == [], name


@pytest.mark.parametrize("columns", WIDTHS)
def test_every_id_is_shown_unbroken_and_as_short_as_it_can_be(columns: int) -> None:
    for name in WITH_IDS:
        words = set(" ".join(screens(columns)[name]).split())
        assert set(short_ids(IDS).values()) <= words, name
    assert {len(one) for one in short_ids(IDS).values()} == {8, 10}, "two begin alike"
    for name in ("inspect", "not found"):
        whole = re.findall(r"[0-9a-f]{8}-[0-9a-f-]*", "\n".join(screens(columns)[name]))
        assert {len(one) for one in whole if not one.endswith("-")} == {36}, name
    groups = " ".join(screens(columns)["groups"]).split()
    assert sum(one in groups for one in short_ids(IDS).values()) == len(IDS)


@pytest.mark.parametrize("columns", WIDTHS)
def test_what_a_person_knows_leads_and_a_narrow_terminal_gets_cards(columns: int) -> None:
    listed = screens(columns)["usual"]
    headings = [line.split()[:4] for line in listed if line.startswith(" key ")]
    assert headings == ([] if columns == 60 else [["key", "error", "age", "id"]])
    at = next(number for number, line in enumerate(listed) if line.startswith(f" files/{KEYS[4]}"))
    beside = " ".join(listed[at].split()[1:]) if headings else listed[at + 1].strip()
    assert re.fullmatch(r"(error: )?UnreadableFileError( · age)? \d+s.*", beside)


@pytest.mark.parametrize("columns", WIDTHS)
def test_stats_says_how_many_groups_it_does_not_show(columns: int) -> None:
    assert " and 5 more groups: see `dlq groups`" in screens(columns)["stats"]


def test_a_word_as_long_as_a_terminal_is_wide_is_broken_at_its_slashes() -> None:
    lines = screens(60)["by source"]
    parts = [line.strip() for line in lines]
    assert "https://sqs.eu-central-1.amazonaws.com/123456789012/" in parts
    assert QUEUE.rsplit("/", 1)[1] in parts


def is_shown(key: str, lines: list[str]) -> bool:
    """On lines of its own, or on two in the first column."""
    whole = without_spaces(key)
    pairs = [(without_spaces(line), without_spaces(after)) for line, after in itertools.pairwise(lines)]
    return whole in without_spaces("".join(lines)) or any(
        before.removeprefix("files/").startswith(whole[:at]) and after.startswith(whole[at:])
        for at in range(1, len(whole)) for before, after in pairs
    )  # fmt: skip


def without_spaces(text: str) -> str:
    """Lines are broken at spaces, and continued with an indentation."""
    return re.sub("[ \u3000]", "", text)
