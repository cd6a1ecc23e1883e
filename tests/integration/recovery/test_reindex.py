"""`reindex_index` on the real servers: under load, with workers killed and cut off, no search fails and no write is lost."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from recovery.cli import reconcile_index
from recovery.cli.reindex_index import main
from recovery.operations import reindex as operation
from testing.fault_proxy import Broken, FaultProxy
from testing.site import Site, make_site
from testing.waiting import wait_until
from testing.worker import WorkerProcess, base_env, running
from tests.support.in_process import run_in_process
from worker.core.base.settings import load
from worker.core.index.open import open_index

pytestmark = pytest.mark.timeout(600)
KEPT = 50
"""Objects that never change."""


@pytest.fixture
def site(seaweedfs, elasticmq, opensearch) -> Iterator[Site]:
    made = make_site(seaweedfs, elasticmq, opensearch)
    yield made
    made.close()


@pytest.fixture
def env(site, tmp_path, monkeypatch):
    """Objects are old enough after three seconds; and no process here writes for as long as one might."""
    monkeypatch.setattr(operation, "LATE_S", 20)
    return {
        **site.env,
        "RECONCILE_YOUNG_S": "3",
        "STATE_DIRECTORY": str(tmp_path),
        "PAUSE_POLL_S": "2",
        "SQS_VISIBILITY_TIMEOUT": "30",
    }


def reindexed(env, *options: str, code: int = 0) -> dict[str, Any]:
    done = run_in_process(main, env, *options, "--yes", "--json")
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(env, *options: str) -> tuple[int, str]:
    done = run_in_process(main, env, *options, "--yes")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def reconciled(env) -> dict[str, Any]:
    done = run_in_process(reconcile_index.main, env, "--json")
    return {"code": done.returncode, **json.loads(done.stdout)}


class Load:
    """Objects that come, change and go, and searches for those that never change."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._over = threading.Event()
        self.searches = 0
        self.failed: list[Any] = []
        self.present: set[str] = set()
        """Keys of the objects that exist at the end."""

    @contextmanager
    def going_on(self) -> Iterator["Load"]:
        threads = [threading.Thread(target=one) for one in (self._change, self._search)]
        for one in threads:
            one.start()
        try:
            yield self
        finally:
            self._over.set()
            for one in threads:
                one.join()

    def _change(self) -> None:
        number = 0
        while not self._over.wait(0.02):
            number += 1
            key = f"live/{number % 97}.txt"
            if number % 5:
                self._site.put(key, f"文書 {number}")
                self.present.add(key)
                self._site.send(key)
            else:
                self._site.s3.delete_object(Bucket=self._site.bucket, Key=key)
                self.present.discard(key)
                self._site.send(key, "ObjectRemoved:Delete")

    def _search(self) -> None:
        either = [{"prefix": {field: "kept/"}} for field in ("file_key", "file_key.keyword")]  # by template, or dynamic
        query = {"size": 0, "track_total_hits": True, "query": {"bool": {"should": either}}}
        while not self._over.wait(0.01):
            found = self._site.ask("POST", f"/{self._site.index}/_search", query)
            self.searches += 1
            shards = found.get("_shards", {})
            if found.get("hits", {}).get("total", {}).get("value") != KEPT or shards.get("failed"):
                self.failed.append(found)


def settled(site: Site) -> None:
    """A worker that may not write releases its messages for a minute or more, each time for longer."""
    wait_until(lambda: site.depth() == (0, 0, 0), 300, "an empty source queue")
    wait_until(lambda: not site.has_state("retry-index/"), 60, "an empty retry-index/")


def indexes(site: Site) -> set[str]:
    return {name for name in site.ask("GET", f"/{site.index}*") if name != "error"}


def searched(site: Site) -> str:
    [name] = site.ask("GET", f"/{site.index}")
    return name


def begin(site: Site, worker: WorkerProcess) -> None:
    """Objects that a worker has indexed."""
    site.put_all({f"kept/{number}.txt": f"契約書 {number}" for number in range(KEPT)})
    site.send_all([f"kept/{number}.txt" for number in range(KEPT)])
    wait_until(lambda: site.count() == KEPT, 60, "all documents")
    assert worker.process is not None


class Road:
    """One worker's way to S3, on which the state bucket can be cut off."""

    def __init__(self, site: Site, proxy: FaultProxy) -> None:
        self.env = {"AWS_ENDPOINT_URL_S3": proxy.urls["s3"], "WORKER_NAME": "third"}
        self._state_bucket = site.state_bucket
        self._proxy = proxy

    def cut(self) -> None:
        self._proxy.rules.append(lambda call: Broken("refuse") if call.about.startswith(self._state_bucket) else None)
        self._proxy.cut()

    def mend(self) -> None:
        self._proxy.rules.clear()


@pytest.fixture
def road(site, seaweedfs) -> Iterator[Road]:
    proxy = FaultProxy({"s3": seaweedfs.url}).start()
    yield Road(site, proxy)
    proxy.stop()


@pytest.mark.parametrize("source", ["s3", "index"])
def test_under_load_no_search_fails_and_no_write_is_lost_before_after_and_back(site, env, tmp_path, road, source):
    """With `s3`, a worker is killed in the middle, and another is cut off from the state bucket until after the switch."""
    options = f"--from-{source}", f"s3://{site.bucket}"
    with (
        running(env, tmp_path) as worker,
        running({**env, "WORKER_NAME": "second"}, tmp_path, name="second") as second,
        running({**env, **road.env}, tmp_path, name="third") as third,
    ):
        begin(site, worker)
        first = searched(site)
        with Load(site).going_on() as load_:
            mishaps = (second.kill, road.cut) if source == "s3" else ()
            cut = threading.Thread(target=when_it_fills, args=(third, *mishaps))
            cut.start()
            done = reindexed(env, *options)
            cut.join()
            new = searched(site)
            road.mend()
            assert (done["switched"], done["old"], done["new"]) == (True, first, new)
            assert reindexed(env, "--status")["reindex"]["phase"] == "switched"
            time.sleep(2)
            reindexed(env, "--rollback")
            assert searched(site) == first
            time.sleep(2)
        settled(site)
        assert not load_.failed, load_.failed[0]
        assert load_.searches > 100
        present = load_.present | {f"kept/{number}.txt" for number in range(KEPT)}
        assert set(site.documents()) == present  # of the old index, to which everything was written
        assert reconciled(env)["accounted"]
        assert reindexed(env, *options)["switched"]
        assert set(site.documents()) == present
        assert reconciled(env)["accounted"]
        assert "is to be kept for another" in refused(env, "--finish")[1]
        reindexed(env, "--finish", "--force")
        assert indexes(site) == {new}
        assert reindexed(env, "--status", code=1) == {"reindex": None}
        site.put("last.txt", "text")
        site.send("last.txt")
        wait_until(lambda: "last.txt" in site.documents(), 30, "a document after the end")
        assert site.ask("GET", f"/{new}")[new]["settings"]["index"]["gc_deletes"] == "1h"


def when_it_fills(worker: WorkerProcess, *then: Callable[[], None]) -> None:
    """Do this once a worker writes to both indexes."""
    worker.wait_for(lambda: worker.events("reindex.followed"), timeout_s=60, what="a worker that follows")
    for one in then:
        one()


def test_a_worker_that_cannot_know_whether_there_are_two_indexes_leaves_its_messages_in_the_queue(site, env, tmp_path):
    with running(env, tmp_path) as worker:
        begin(site, worker)
        site.s3.put_object(Bucket=site.state_bucket, Key="s3-index-worker/reindex.json", Body=b"{")
        worker.wait_for(lambda: worker.events("gate.shut", name="reindex unknown"), timeout_s=40, what="a shut gate")
        site.put("late.txt", "text")
        site.send("late.txt")
        time.sleep(3)
        assert (sum(site.depth()), "late.txt" in site.documents()) == (1, False)
        site.s3.delete_object(Bucket=site.state_bucket, Key="s3-index-worker/reindex.json")
        wait_until(lambda: "late.txt" in site.documents(), 60, "the document")


def test_an_index_of_the_name_itself_is_exchanged_and_deleted(site, env, tmp_path):
    site.ask("PUT", f"/{site.index}", {"mappings": {"dynamic": True}})
    site.ask("POST", "/_aliases", {"actions": [{"add": {"index": site.index, "alias": f"{site.index}-other"}}]})
    with running(env, tmp_path) as worker:
        begin(site, worker)
        with Load(site).going_on() as load_:
            done = reindexed(env, "--from-s3", f"s3://{site.bucket}")
            assert (done["switched"], done["can_go_back"], done["old"]) == (True, False, site.index)
            time.sleep(2)
        settled(site)
        # OpenSearch ends searches that are under way in an index when it is deleted; none finds less than everything
        assert all(one.get("status") == 503 for one in load_.failed), load_.failed
        assert len(load_.failed) <= 3
        new = f"{site.index}-000001"
        assert searched(site) == new
        assert set(site.ask("GET", f"/{new}")[new]["aliases"]) == {site.index, f"{site.index}-other"}
        assert set(site.documents()) == load_.present | {f"kept/{number}.txt" for number in range(KEPT)}
        assert reindexed(env, "--status", code=1) == {"reindex": None}


def test_an_abort_deletes_the_new_index_and_no_late_write_brings_it_back(site, env, tmp_path):
    with running(env, tmp_path) as worker:
        begin(site, worker)
        first = searched(site)
        with Load(site).going_on() as load_:
            site.ask("PUT", f"/{first}/_doc/x", {"bucket": "other-bucket", "file_key": "x"})
            site.ask("POST", f"/{first}/_refresh")
            code, said = refused(env, "--from-s3", f"s3://{site.bucket}")
            assert (code, "s3://other-bucket" in said) == (3, True)
            site.ask("DELETE", f"/{first}/_doc/x")
            site.ask("POST", f"/{first}/_refresh")
            options = ("--from-s3", f"s3://{site.bucket}", "--rate", "1", "--yes")
            running_ = subprocess.Popen([sys.executable, "-m", main.__module__, *options], env={**base_env(), **env})
            wait_until(lambda: worker.events("reindex.followed"), 60, "a worker that follows")
            time.sleep(1)
            assert "another `reindex_index` is at work" in refused(env, "--abort")[1]
            running_.send_signal(signal.SIGINT)
            assert running_.wait(60) == 130
            reindexed(env, "--abort")
            time.sleep(3)
        settled(site)
        assert not load_.failed, load_.failed[0]
        assert indexes(site) == {first}
        assert set(site.documents()) == load_.present | {f"kept/{number}.txt" for number in range(KEPT)}


def test_an_sqlite_index_is_replaced_by_a_new_file(site, env, tmp_path):
    path = tmp_path / "index" / "index.sqlite"
    env |= {"INDEX_URL": f"sqlite:///{path}"}

    def found() -> set[str]:
        with closing(open_index(load(**_settings(env)))) as index:
            return {hit.key for hit in index.search("kept", limit=100).hits}

    kept = {f"kept/{number}.txt" for number in range(KEPT)}
    with running(env, tmp_path) as worker:
        site.put_all(dict.fromkeys(kept, "text"))
        site.send_all(sorted(kept))
        wait_until(lambda: path.exists() and found() == kept, 30, "all documents")
        assert worker.process is not None
        done = reindexed(env, "--from-index", f"s3://{site.bucket}")
        assert (done["switched"], done["can_go_back"]) == (True, False)
        assert (path.readlink().name, found()) == ("index.sqlite-000001", kept)
        site.put("kept/new.txt", "text")
        site.send("kept/new.txt")
        wait_until(lambda: found() == kept | {"kept/new.txt"}, 30, "a new document")
        done = reindexed(env, "--from-s3", f"s3://{site.bucket}")
        assert (done["switched"], done["can_go_back"]) == (True, True)
        site.s3.delete_object(Bucket=site.bucket, Key="kept/new.txt")
        site.send("kept/new.txt", "ObjectRemoved:Delete")
        wait_until(lambda: found() == kept, 30, "the removal")
        reindexed(env, "--rollback")
        assert (path.readlink().name, found()) == ("index.sqlite-000001", kept)
        reindexed(env, "--abort")
        assert sorted(one.name for one in path.parent.glob("index.sqlite-??????")) == ["index.sqlite-000001"]
        assert found() == kept


def _settings(env: dict[str, str]) -> dict[str, Any]:
    return {name.lower(): value for name, value in env.items() if not name.startswith(("AWS_", "STATE_DIR"))}
