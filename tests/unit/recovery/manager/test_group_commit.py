"""What ends the thread that writes for others."""

from concurrent.futures import ThreadPoolExecutor, wait

from recovery.manager import group_commit
from recovery.manager.group_commit import GroupCommit
from worker.core.base.liveness import Liveness


def test_one_that_waits_for_something_to_write_ends_at_once(ledger, monkeypatch):
    monkeypatch.setattr(group_commit, "IDLE_TURN_S", 60)
    commit = GroupCommit(ledger)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(commit.run, Liveness(60))
        commit.stop()
        assert wait([running], timeout=30).done == {running}
