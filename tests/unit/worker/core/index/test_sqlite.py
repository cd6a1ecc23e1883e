"""What concerns SQLite alone: other processes, and a file that is removed, on a full disk, or not an index."""

import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from worker.core.base.errors import IndexUnavailableError
from worker.core.index import WriteStatus, exchange_sqlite
from worker.core.index.document import Write
from worker.core.index.sqlite import SqliteIndex


def write(key, version=1):
    return Write("b", key, version, "e", b'{"file_name": "x", "content": "text"}')


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.db"


def test_several_threads_and_another_process_write_and_read_at_once(path):
    index = SqliteIndex(path, timeout_s=20)
    index.ensure()
    code = (
        "import sys; from pathlib import Path; from worker.core.index.sqlite import SqliteIndex\n"
        "from worker.core.index.document import Write\n"
        "index = SqliteIndex(Path(sys.argv[1]), timeout_s=20)\n"
        "for n in range(100): index.write([Write('b', f'other{n}', 1, 'e', b'{\"content\": \"text\"}')])\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(path)])
    faults = []

    def work(number):
        try:
            for n in range(50):
                index.write([write(f"{number}-{n}")])
                index.search("text", limit=1)
        except IndexUnavailableError as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert other.wait(60) == 0
    assert faults == []
    assert index.search("text", limit=1).total == 300
    index.close()


def test_a_file_deleted_under_us_is_made_anew(path):
    index = SqliteIndex(path, timeout_s=1)
    index.write([write("a")])
    for each in path.parent.iterdir():
        each.unlink()
    assert index.write([write("b")])[0].status is WriteStatus.WRITTEN
    assert index.stored([("b", "a"), ("b", "b")])[0] is None
    index.close()


def test_an_index_on_a_full_disk_is_unavailable_and_writes_nothing(path):
    index = SqliteIndex(path, timeout_s=1)
    index.ensure()
    with index._writing() as db:
        db.execute("PRAGMA max_page_count=20")
    large = Write("b", "large", 1, "e", b'{"content": "%s"}' % (b"word " * 200_000))
    with pytest.raises(IndexUnavailableError, match="full"):
        index.write([write("a"), large])
    assert index.stored([("b", "a")]) == [None]
    index.close()


def test_a_file_that_is_no_index_is_unavailable_and_its_path_named(path):
    path.write_text("not a database, by no means" * 100)
    index = SqliteIndex(path, timeout_s=1)
    with pytest.raises(IndexUnavailableError, match=str(path)):
        index.ensure()


def test_a_file_of_a_newer_version_is_left_alone(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(IndexUnavailableError, match="newer version"):
        SqliteIndex(path, timeout_s=1).ensure()


def test_an_index_locked_by_another_writer_is_unavailable_not_stuck(path):
    index = SqliteIndex(path, timeout_s=0.2)
    index.ensure()
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexUnavailableError, match="locked"):
            index.write([write("a")])
        db.execute("ROLLBACK")
    db.close()
    assert index.write([write("a")])[0].status is WriteStatus.WRITTEN
    index.close()


def test_an_index_that_is_being_written_to_answers_a_ping_at_once(path):
    index = SqliteIndex(path, timeout_s=20)
    index.ensure()
    began = time.monotonic()
    with index._writing():
        index.ping()
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        index.ping()
        db.execute("ROLLBACK")
    db.close()
    assert time.monotonic() - began < 1
    index.close()


def test_a_large_document_leaves_no_connection_behind_that_keeps_it_in_memory(path):
    index = SqliteIndex(path, timeout_s=1)
    index.write([write("small")])
    kept = index._writer
    assert kept is not None
    index.write([Write("b", "large", 1, "e", b'{"content": "%s"}' % (b"word " * 1_000_000))])
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept.execute("SELECT 1")
    assert index.write([write("other")])[0].status is WriteStatus.WRITTEN
    assert index.search("word", limit=1).total == 1
    index.close()


@pytest.mark.parametrize("query", ['"東京 大阪"', "黑龙江", "戶籍", "-nothing 客户"])
def test_a_file_in_which_texts_were_cut_as_before_is_searched_as_before_too(path, query):
    index = SqliteIndex(path, timeout_s=1)
    index.ensure()
    index.write([write("a")])
    index.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA application_id=0")
        db.execute("UPDATE text SET content='東京 京 大阪 阪 黑龙 龙江 江 戶籍 籍 客户 户'")
    db.close()
    assert [hit.key for hit in index.search(query).hits] == ["a"]
    assert "--from-s3" in index.inspect().findings[1].hint
    index.close()


def test_searching_makes_no_file(path):
    with pytest.raises(IndexUnavailableError, match="does not exist"):
        SqliteIndex(path, timeout_s=1).search("x")
    assert not os.path.lexists(path)


def test_a_copy_is_made_a_few_documents_at_a_time_and_keeps_versions_and_removals(path, monkeypatch):
    monkeypatch.setattr(exchange_sqlite, "COPIED_BYTES", 1)
    old, new = SqliteIndex(path, timeout_s=1), SqliteIndex(path.with_name("new.db"), timeout_s=1)
    old.write([write("a", 5), write("b", 5), write("c", 5), Write("b", "d", 5, None, None)])
    new.write([write("b", 9)])
    exchange = exchange_sqlite.SqliteExchange(path, timeout_s=1)
    seen: list[tuple[int, int]] = []
    copied = exchange.copy(
        str(path), str(path.with_name("new.db")), stop=threading.Event(), on_copied=lambda *both: seen.append(both)
    )
    assert (copied.changed, copied.is_complete, seen) == (3, True, [(4, 4)])
    found = new.stored([("b", key) for key in "abcd"])
    assert [one.version if one else None for one in found] == [5, 9, 5, None]
    assert new.write([write("d", 4)])[0].status is WriteStatus.SUPERSEDED
    old.close()
    new.close()


def test_a_file_whose_texts_were_cut_in_another_way_is_reported(path):
    index = SqliteIndex(path, timeout_s=1)
    assert [finding.level for finding in index.ensure().findings] == ["ok"]
    with index._writing() as db:
        db.execute("PRAGMA application_id=0")
    for found in (index.ensure(), index.inspect()):
        assert [(one.level, "reindex_index" in one.hint) for one in found.findings] == [
            ("ok", False),
            ("warning", True),
        ]
    index.close()
