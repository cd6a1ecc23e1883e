"""Attack 5: duplicate, late, stale and reordered events of objects that change within a second; clocks ten minutes apart.

tests/unit/worker/test_convergence.py shows step by step against a model of S3 that any order converges; this uses real servers.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.clocks import Clock
from tests.chaos.fleet import Fleet, event_of, fleet
from tests.chaos.stage import Stage
from tests.support.size import sized

SEED = 20261123
KEYS = 60
CHANGES = sized(3_000, usual=120)
CHANGERS = 6
LONGEST_DELAY_S = 4
APART_S = 600
QUIET_WITHIN_S = 180.0


class Changer:
    """Changes some keys, each key by one thread, and sends the events out of order, repeatedly or late."""

    def __init__(self, on: Stage, seed: int, keys: list[str]) -> None:
        self._on, self._rng, self._keys = on, random.Random(seed), keys
        self._unsent: list[tuple[str, str]] = []
        self.sent: list[tuple[str, str]] = []

    def run(self, changes: int) -> None:
        for _ in range(changes):
            self._change(self._rng.choice(self._keys))
            if len(self._unsent) > 8:
                self._deliver()
        self._deliver()

    def _change(self, key: str) -> None:
        on, rng = self._on, self._rng
        what = rng.choice(["put", "twice in a second", "remove", "remove and recreate", "restore"])
        if what in {"remove", "remove and recreate"}:
            on.site.s3.delete_object(Bucket=on.site.bucket, Key=key)
            self._note(key, "ObjectRemoved:DeleteMarkerCreated")
        for _ in range({"put": 1, "remove and recreate": 1, "twice in a second": 2}.get(what, 0)):
            on.site.put(key, f"{key} {rng.random()}")
            self._note(key, "ObjectCreated:Put")
        if what == "restore":
            self._restore(key)

    def _restore(self, key: str) -> None:
        """Remove the newest version or delete marker, so that the one before becomes the object."""
        site = self._on.site
        found = site.s3.list_object_versions(Bucket=site.bucket, Prefix=key)
        for newest in [one for one in (*found.get("Versions", []), *found.get("DeleteMarkers", [])) if one["IsLatest"]]:
            site.s3.delete_object(Bucket=site.bucket, Key=key, VersionId=newest["VersionId"])
            self._note(key, "ObjectRemoved:Delete")

    def _note(self, key: str, event: str) -> None:
        self._unsent.append((key, event_of(self._on, key, event)))

    def _deliver(self) -> None:
        """Send the events so far in another order, some of them several times, some late."""
        rng = self._rng
        rng.shuffle(self._unsent)
        for key, body in self._unsent:
            for _ in range(rng.choice([1, 1, 1, 2, 3])):
                self.deliver(key, body, rng.choice([0, 0, 1, LONGEST_DELAY_S]))
        self.sent += self._unsent
        self._unsent = []

    def deliver(self, key: str, body: str, delay_s: int = 0) -> None:
        self._on.oracle.expect(self._on.site.send_body(body, DelaySeconds=delay_s), body, key)


def changed(of: Fleet, keys: list[str]) -> int:
    """Change the objects; the number of events sent."""
    changers = [Changer(of.on, SEED + n, keys[n::CHANGERS]) for n in range(CHANGERS)]
    with ThreadPoolExecutor(CHANGERS) as pool:
        list(pool.map(lambda each: each.run(CHANGES // CHANGERS), changers))
    rng = random.Random(SEED)
    for key, body in rng.sample([sent for each in changers for sent in each.sent], CHANGES // 5):
        changers[0].deliver(key, body)  # long after: stale
    return len(of.on.oracle.events)


@pytest.mark.slow("thousands of changes, by two workers")
@pytest.mark.timeout(900)
def test_events_in_any_order_converge_with_two_clocks_ten_minutes_apart(on, tmp_path):
    on.site.s3.put_bucket_versioning(Bucket=on.site.bucket, VersioningConfiguration={"Status": "Enabled"})
    keys = [f"順序/{number:03}.txt" for number in range(KEYS)]
    began = time.monotonic()
    with fleet(on, {}, Clock(tmp_path, ahead_s=APART_S).env) as of:
        events = changed(of, keys)
        assert of.wait_quiet(QUIET_WITHIN_S), on.site.depth()
        found = on.oracle.judgement(on.fault_proxy.traffic_log, also=keys)
        print(f"\n{found}; {events} events of {KEYS} keys in {time.monotonic() - began:.0f} s")
        assert found.holds, found
        assert not found.set_aside
        assert all(worker.events("message.settled") for worker in of.workers), "both have worked"
        assert of.stop() == [0, 0]
