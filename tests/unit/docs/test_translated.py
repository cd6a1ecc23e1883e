"""A translation that says something else than its page is found."""

from pathlib import Path

import pytest

from tools.translated import TRANSLATED, differences, translations_that_drifted

ROOT = Path(__file__).resolve().parents[3]
ENGLISH = """[日本語](page.ja.md)

# Page

See [Index down](#index-down).

## Index down

**Type** what `doctor` says, or `dlq`, then `doctor` again ([more](more.md)):

    dlq stats
    dlq groups

| you see | go to |
|---|---|
| red | [top](#page) |
"""
JAPANESE = """[English](page.md)

# <a id="page"></a>ページ

[停止](#index-down)を参照してください。

## <a id="index-down"></a>停止

`dlq` か、`doctor` が示すものを実行し、もう一度 `doctor` を実行します（[詳細](more.md)）。

    dlq stats
    dlq groups

| 症状 | 参照先 |
|---|---|
| 赤 | [先頭](#page) |
"""


def test_the_same_in_another_language_is_no_difference() -> None:
    assert differences(ENGLISH, JAPANESE) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('## <a id="index-down"></a>停止', "停止", "the section index-down is there 0 times, and 1 times in the original"),
        ("停止\n\n`dlq`", "停止\n\n## 停止\n\n`dlq`", "the section 停止 is there 1 times, and 0 times in the original"),
        ("    dlq stats\n", "", "#index-down: its lines of code differ"),
        ("dlq groups", "dlq list", "#index-down: its lines of code differ"),
        ("もう一度 `doctor`", "もう一度",
         "#index-down: the code `doctor` is there 1 times, and 2 times in the original"),
        ("`dlq` か", "`dlqs` か", "#index-down: the code `dlq` is there 0 times, and 1 times in the original"),
        ("詳細](more.md)", "詳細](less.md)",
         "#index-down: the link less.md is there 1 times, and 0 times in the original"),
        ("| 赤 | [先頭](#page) |\n", "| 赤 | [先頭](#page) |\n| 青 | 先頭 |\n",
         "#index-down: it has 5 paragraphs and rows; the original has 4"),
    ],
)  # fmt: skip
def test_each_difference_is_said(right: str, wrong: str, said: str) -> None:
    assert JAPANESE.count(right) == 1
    assert said in differences(ENGLISH, JAPANESE.replace(right, wrong))


def test_sections_in_another_order_are_found() -> None:
    head, page, down = JAPANESE.partition("## ")[0].partition("# ")[0], *JAPANESE.split("\n\n# ")[1].split("\n\n## ")
    assert differences(ENGLISH, f"{head}## {down}\n\n# {page}\n") == ["its sections are in another order"]


def test_the_translations_of_the_docs_are_compared_with_their_pages(tmp_path: Path) -> None:
    assert translations_that_drifted(ROOT) == []
    (tmp_path / "docs").mkdir()
    for page in (*TRANSLATED, *TRANSLATED.values()):
        (tmp_path / page).write_text((ROOT / page).read_text())
    with (tmp_path / "docs/runbook.ja.md").open("a") as page_of_japanese:
        page_of_japanese.write("\n    dlq purge --yes\n")
    assert translations_that_drifted(tmp_path) == ["docs/runbook.ja.md: #new-index: its lines of code differ"]
