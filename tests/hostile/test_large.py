"""The longest texts that are indexed, several at once: found by their last words, within the worker's memory."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import running
from tests.support.size import sized
from worker.core.base.settings import MIB
from worker.core.index.open import open_index

MAX_CHARS = 10_000_000
BYTES_IN_FLIGHT = 256 * MIB
SQLITE_BYTES = 400 * MIB
"""What SQLite takes of memory while it writes such a text, one at a time (measured: 370 MiB for Japanese)."""


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    with closing(make_site(seaweedfs, elasticmq, opensearch)) as made:
        yield made


def log(number: int) -> str:
    end = f"\nthe last line is needle{number}"
    lines = "".join(f"2026-04-01T09:00:00 host{number} service[{line}]: job done\n" for line in range(250_000))
    return lines[: MAX_CHARS - len(end)] + end


def book(number: int) -> str:
    end = f"\n最後の行は縫針{number}"
    line = "吾輩は猫である。名前はまだ無い（頓と見当がつかぬ）。\n"
    return (line * (MAX_CHARS // len(line) + 1))[: MAX_CHARS - len(end)] + end


def peak_bytes(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


@pytest.mark.slow("each takes an index seconds")
@pytest.mark.timeout(sized(900, usual=400))
@pytest.mark.parametrize("kind", ["opensearch", "sqlite"])
def test_the_longest_texts_are_found_to_their_ends_within_the_memory_budget(site, tmp_path, kind):
    """Those that an index takes no time to write while they are fresh come by way of retry-index/."""
    texts = {f"{number}.log": log(number) for number in range(sized(12, usual=4))}
    texts |= {f"{number}.txt": book(number) for number in range(sized(6, usual=1))}
    for key, text in texts.items():
        site.put(key, text)
    site.env["INDEX_TIMEOUT_S"] = "25"
    if kind == "sqlite":
        site.env["INDEX_URL"] = f"sqlite:///{tmp_path}/index.db"
    with running(site.env, tmp_path) as worker, closing(open_index(site.settings())) as index:
        before = peak_bytes(worker.pid)
        site.send_all(list(texts))
        site.wait_empty(sized(500, usual=300))
        objects = [(site.bucket, key) for key in texts]
        wait_until(lambda: None not in index.stored(objects), sized(300, usual=90), "a document of each")
        grown = peak_bytes(worker.pid) - before
        print(f"{kind}: {grown / MIB:.0f} MiB", [one["reason"] for one in worker.events("index.stored_for_retry")])
        assert worker.stop() == 0
        assert site.dead_letters() == []
        index.refresh()
        for key in texts:
            word = f"needle{key[0]}" if key.endswith(".log") else f'"縫針{key[0]}"'
            [hit] = index.search(word).hits or index.search(f'"{key}"').hits
            assert hit.key == key
            extraction = hit.fields["extraction"]
            assert extraction["truncated"] is False
            assert extraction["indexed_chars"] > MAX_CHARS - 10
            assert any("最後の行は" in passage or "the last line is" in passage for passage in hit.highlights)
    assert grown < BYTES_IN_FLIGHT + (SQLITE_BYTES if kind == "sqlite" else 0)
