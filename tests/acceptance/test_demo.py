"""`s3-index-worker demo`: what a newcomer sees first, complete, in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from testing.servers import OpenSearchServer
from testing.waiting import wait_until
from testing.worker import base_env
from tests.support import demo_picture, terminal

WITHIN_S = 60
HOSTILE = {
    "AWS_PROFILE": "of-the-user",
    "AWS_ACCESS_KEY_ID": "key-of-the-user",
    "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "S3_BUCKET": "bucket-of-the-user",
    "MAX_OBJECT_BYTES": "not a number",
}
"""Variables that a user's shell may have set and the demo must ignore."""
STRANGE = {
    "new\nline.txt": r"new\nline.txt", "tab\there.txt": r"tab\there.txt", "esc\x1b[31m.txt": r"esc\x1b[31m.txt",
    "[red]x.txt": "[red]x.txt", "か\u3099.txt": "か\u3099.txt", "全角\u3000空白.txt": "全角\u3000空白.txt",
}  # fmt: skip
"""Names of files, and how they are shown."""


def demo(folder: Path, *args: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker", "demo", *args],
        env={**base_env(), **env, "TMPDIR": str(folder)},
        cwd=folder.parent if "--keep" in args else None,  # where an index without INDEX_URL is kept
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def processes_of(folder: Path) -> list[int]:
    """Living processes whose environment names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def assert_nothing_left(folder: Path) -> None:
    assert list(folder.iterdir()) == []
    wait_until(lambda: not processes_of(folder), 5, "the end of every process of the demo")


def test_the_demo_shows_every_sample_three_searches_and_the_dead_letter_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    started = time.monotonic()
    code, said = demo_picture.typed({**base_env(), **HOSTILE, "TMPDIR": str(tmp_path)})
    out = Text.from_ansi(said).plain
    assert code == 0, out
    assert time.monotonic() - started < WITHIN_S

    samples = [path for path in Path("samples").rglob("*") if path.is_file() and path != Path("samples/README.md")]
    assert f"All {len(samples)} messages settled within" in out
    assert f"The index has {len(samples)} documents; 1 message went to the dead-letter queue." in out
    rows = out.partition("result")[2].partition("All ")[0]
    assert rows.count("indexed") >= 25
    assert rows.count("corrupt; dead letter") == 1

    searches = out.split("$ s3-index-worker search ")[1:]
    assert len(searches) == 4
    assert searches[0].startswith("'京都'")
    assert all(" found" in found and "s3://demo-files/" in found for found in searches)
    assert "quarterly forecast" in searches[2].lower()

    dead = out.partition("The dead-letter queue has")[2]
    assert "legal/契約書 (破損).pdf USER_ERROR · UnreadableFileError" in dead
    assert "attempts 1" in dead
    assert "2 documents went to retry-index/" in out
    assert "s3://demo-files/障害中/深夜の入荷報告.txt" in searches[3]
    recovered = out.partition("$ recover_dlq")[2]
    assert re.search(r"1  recovered ", recovered)
    assert "already_indexed" not in recovered, "results that did not occur are left out"
    assert "of-the-user" not in out
    assert_nothing_left(tmp_path)

    now = demo_picture.without_numbers(re.sub(r"/\S+/samples", "samples", out))
    differs = [line for line in demo_picture.pictured() if line not in now]
    assert differs == [], "docs/demo.svg is old: run python -m tests.support.demo_picture"


def test_on_a_terminal_the_demo_ends_with_a_console_over_its_failures_until_enter_is_pressed(tmp_path: Path) -> None:
    mine, temp = tmp_path / "mine", tmp_path / "temp"
    mine.mkdir()
    temp.mkdir()
    (mine / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    (mine / "minutes.txt").write_text("They repaired the yellow wheelbarrows of the depot.")
    seen: dict[str, Any] = {}

    def look(said: str) -> bytes:
        address = re.findall(r"http://127\.0\.0\.1:\d+", said)[-1]
        wait_until(lambda: asked(address)["count"] == 5, 30, "the dead letters in the console's ledger")
        seen.update(asked(address))
        return b"\n"

    def asked(address: str) -> Any:
        with urllib.request.urlopen(f"{address}/api/v1/messages", timeout=10) as answer:
            return json.load(answer)

    env = {**base_env(), **HOSTILE, "NOTIFY_URLS": "json://127.0.0.1:9", "MANAGER_HOST": "0.0.0.0", "TMPDIR": str(temp)}
    env.pop("CI", None)
    code, said = terminal.typed("worker", env, "demo", str(mine), then=("Press Enter to end.", look))
    assert code == 0, said
    assert "5 messages failed" in said
    keys = {one["object_key"] for one in seen["items"]}
    assert keys == {"2024/broken.pdf", "2025/broken.pdf", "2026/broken.pdf", "台帳/備品.xlsx", None}
    assert {one["kind"] for one in seen["items"]} == {"USER_ERROR", "SYSTEM_ERROR"}
    assert_nothing_left(temp)


def test_the_demo_takes_any_folder_and_shows_every_name_as_it_is(tmp_path: Path) -> None:
    mine, temp = tmp_path / "mine", tmp_path / "temp"
    (mine / "sub folder").mkdir(parents=True)
    temp.mkdir()
    (mine / "sub folder" / "report [draft] 100%+.txt").write_text("figures of the year")
    (mine / ".hidden").write_text("not to be shown")
    (mine / os.fsdecode(b"no utf-8 \xff.txt")).write_text("its name cannot be a key")
    for name in STRANGE:
        (mine / name).write_text("They repaired the yellow wheelbarrows of the depot. 未検品の木箱が残る。")
    os.mkfifo(mine / "pipe")

    process = demo(temp, str(mine), INDEX_URL=f"sqlite:///{temp}/files.sqlite")
    out, err = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 0, err
    rows = out.partition("result")[2].partition("All ")[0]
    assert all(escape in rows for escape in STRANGE.values()), rows
    assert "sub folder/report [draft] 100%+.txt" in rows
    assert rows.count("indexed") == len(STRANGE) + 1
    assert "None" not in rows
    assert "\x1b[31m" not in out
    assert f"All {len(STRANGE) + 1} messages settled within" in out
    assert (
        "left out: names that are not UTF-8, as keys must be (1); pipes, sockets and links that lead nowhere (1)" in out
    )
    assert "The dead-letter queue is empty" in out
    assert ".hidden" not in out
    assert_nothing_left(temp)


def test_the_demo_searches_for_rare_words_of_the_texts_in_a_folder(tmp_path: Path) -> None:
    mine, temp = tmp_path / "mine", tmp_path / "temp"
    mine.mkdir()
    temp.mkdir()
    common = "The report of the depot says that all is well in the northern yard.\n東京都の倉庫の報告。\n"
    (mine / "minutes depot.txt").write_text(f"{common}They repaired the yellow wheelbarrows of the depot.")
    (mine / "報告.txt").write_text(f"{common}未検品の木箱が残る。")

    process = demo(temp, str(mine))
    out, err = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 0, err
    searches = [found.partition("\n")[::2] for found in out.split("$ s3-index-worker search ")[1:-1]]
    asked = [question.strip("'") for question, _ in searches]
    assert asked[:2] == ["wheelbarrows", "未検品"]
    for word, (_, shown) in zip(asked, searches, strict=True):
        assert word in shown.split("  … ")[1], "a passage shows it"
        assert "1 found" in shown
    assert_nothing_left(temp)


def test_a_folder_without_files_is_said_to_be_empty(tmp_path: Path) -> None:
    process = demo(tmp_path, str(tmp_path))
    _, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 78
    assert "contains no readable file" in err


@pytest.mark.parametrize("args", [["no such\nfolder"], [__file__], ["--search", "x", "--remove"]])
def test_a_mistake_is_named_without_a_stack_trace(tmp_path: Path, args: list[str]) -> None:
    process = demo(tmp_path, *args)
    _, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 64
    assert "Traceback" not in err


def test_a_demo_that_is_kept_can_be_searched_and_removed_as_it_says(tmp_path: Path) -> None:
    mine, temp = tmp_path / "mine", tmp_path / "temp"
    mine.mkdir()
    temp.mkdir()
    (mine / "a.txt").write_text("They repaired the yellow wheelbarrows of the depot.")
    out, err = demo(temp, str(mine), "--keep").communicate(timeout=WITHIN_S)
    assert f"The documents remain in the file {tmp_path}/s3-index-worker-demo.sqlite:" in out, err
    search, remove = [line for line in out.splitlines()[-2:] if " demo --" in line]
    assert_nothing_left(temp)
    env = base_env()
    found = subprocess.run(
        search, shell=True, check=False, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=WITHIN_S
    )
    assert found.returncode == 0, found.stderr
    assert "s3://demo-files/a.txt" in found.stdout
    assert "wheelbarrows" in found.stdout
    for code, said in ((0, "removed: SQLite"), (1, "nothing to remove: SQLite")):
        done = subprocess.run(
            remove, shell=True, check=False, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=WITHIN_S
        )
        assert (done.returncode, said in done.stdout) == (code, True), done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["mine", "temp"]


@pytest.mark.parametrize("name", ["INDEX_URL", "OPENSEARCH_ENDPOINT"])
def test_in_an_opensearch_that_is_named_the_demo_has_an_index_of_its_own(
    tmp_path: Path, opensearch: OpenSearchServer, name: str
) -> None:
    mine = tmp_path / "mine"
    temp = tmp_path / "temp"
    mine.mkdir()
    temp.mkdir()
    (mine / "a.txt").write_text("They repaired the yellow wheelbarrows of the depot.")
    env = {name: opensearch.url, "OPENSEARCH_INDEX": "of-the-user"}
    keep = ["--keep"] if name == "INDEX_URL" else []
    process = demo(temp, str(mine), *keep, **env)
    out, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, err
    assert "$ s3-index-worker search wheelbarrows\ns3://demo-files/a.txt" in out
    assert_nothing_left(temp)
    if keep:
        assert "The documents remain in the index s3-index-worker-demo, at the same INDEX_URL:" in out
        assert re.search(r"s3-index-worker-demo\S*\s+1\b", indices_of(opensearch))
        out, _ = demo(temp, "--search", "wheelbarrows", **env).communicate(timeout=WITHIN_S)
        assert "s3://demo-files/a.txt" in out
        out, _ = demo(temp, "--remove", **env).communicate(timeout=WITHIN_S)
        assert out.startswith("removed: OpenSearch")
    assert not {"of-the-user", "s3-index-worker-demo"} & set(re.findall(r"[\w-]+", indices_of(opensearch)))
    with urllib.request.urlopen(f"{opensearch.url}/_index_template") as answer:
        assert "s3-index-worker-demo" not in answer.read().decode()


def indices_of(opensearch: OpenSearchServer) -> str:
    with urllib.request.urlopen(f"{opensearch.url}/_cat/indices?h=index,docs.count") as answer:
        text: str = answer.read().decode()
    return text


def test_an_opensearch_that_does_not_answer_is_named(tmp_path: Path) -> None:
    process = demo(tmp_path, INDEX_URL="http://127.0.0.1:9")
    _, err = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 69
    assert "http://127.0.0.1:9 cannot be reached" in err
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_cut_short_cleans_up(tmp_path: Path, number: signal.Signals) -> None:
    process = demo(tmp_path)
    try:
        wait_until(lambda: list(tmp_path.glob("*/worker.log")), WITHIN_S, "the worker's start")
        process.send_signal(number)
        process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert_nothing_left(tmp_path)
