"""The oracle: after a run, does the index match S3, and where is every message? It asks the servers directly, not the proxy.

A message is accounted for wherever its effect is: in the index, `retry-index/`, the source queue, the DLQ, `dead-letters/`,
`dlq-archive/`, the audit or a complete export. A message found nowhere is lost; a dead letter found twice is a duplicate.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from testing.aws import drain, queue_depth
from testing.site import Site
from testing.traffic_log import TrafficLog
from worker.core.index.document import document_id

ASKERS = 16
PARKED = "retry-index/parked/"
AUDIT = "s3-index-worker/audit/"
DEAD_LETTERS = ("dead-letters/", "dlq-archive/", AUDIT)


@dataclass(frozen=True, slots=True)
class Event:
    """One message as it was sent."""

    body: str
    keys: tuple[str, ...]
    """The objects it names; none if the message is noise."""
    is_dead_letter: bool = False
    """The message or its object is at fault, so it must also be in the DLQ, `dead-letters/`, the archive or an export."""


@dataclass
class Judgement:
    """What the oracle found."""

    events: int = 0
    lost: list[str] = field(default_factory=list)
    """Messages that are nowhere, and objects whose present state is neither in the index nor in `retry-index/`."""
    stuck: list[str] = field(default_factory=list)
    """What still waits although every service works."""
    set_aside: int = 0
    """Messages that are not at fault but are in the DLQ, `dead-letters/` or the archive, where recovery finds them."""
    duplicates: int = 0
    """Copies of a dead letter beyond the first."""
    places: Counter[str] = field(default_factory=Counter)
    """Place → messages."""

    @property
    def holds(self) -> bool:
        """Whether nothing is lost and nothing is stuck."""
        return not self.lost and not self.stuck

    def __str__(self) -> str:
        sentence = (
            f"{self.events} events: {len(self.lost)} lost, {len(self.stuck)} stuck, {self.duplicates} duplicates, "
            f"{self.set_aside} set aside"
        )
        return "\n  ".join([sentence, *self.lost[:5], *self.stuck[:5]])


class Oracle:
    """Knows what was sent, and finds out what became of it."""

    def __init__(self, site: Site) -> None:
        """`site` must reach the servers directly, not through the proxy."""
        self._site = site
        self.events: dict[str, Event] = {}
        """Message id → what was sent."""

    def expect(self, message_id: str, body: str, *keys: str, is_dead_letter: bool = False) -> None:
        """One message was sent."""
        self.events[message_id] = Event(body, keys, is_dead_letter)

    def forget(self) -> None:
        """Forget what was sent so far."""
        self.events.clear()

    # -- judging -------------------------------------------------------------------------------------------------

    def judgement(
        self, traffic_log: TrafficLog | None = None, *, also: Iterable[str] = (), source_too: bool = False,
        exports: Iterable[Path] = (),
    ) -> Judgement:  # fmt: skip
        """Compare everything sent, and the keys `also`, with what is there now. Empties the DLQ.

        `source_too`: dead letters may have been redriven to the source queue, which is emptied as well. `exports`: files
        to which dead letters may have been exported.
        """
        dead_letters = self._dead_letters(source_too=source_too)
        for body in _exported(exports):
            dead_letters[body]["export"] += 1
        waiting = self._retry_records()
        keys = sorted({key for event in self.events.values() for key in event.keys} | set(also))
        s3, index = self.s3_etags(keys), self.index_etags(keys)
        right = {key for key in keys if s3[key] == index[key]}
        found = Judgement(len(self.events))
        for message_id, event in self.events.items():
            places = dead_letters.get(event.body, Counter())
            missing = [key for key in event.keys if key not in right and key not in waiting]
            found.places.update(places)
            found.places["index or retry-index/"] += bool(event.keys) and not missing
            found.duplicates += max(0, places.total() - 1)
            found.set_aside += not event.is_dead_letter and bool(places - Counter({AUDIT: places[AUDIT]}))
            if event.is_dead_letter and not places:
                found.lost.append(
                    self._sentence(f"dead letter {message_id} {event.keys} is nowhere", traffic_log, message_id)
                )
            elif missing and not places:
                key = missing[0]
                what = f"{key} of message {message_id}: S3 has {s3[key]}, the index {index[key]}"
                found.lost.append(self._sentence(what, traffic_log, key, message_id))
        named = {key for event in self.events.values() for key in event.keys}
        found.lost += [
            self._sentence(f"{key}: S3 has {s3[key]}, the index {index[key]}", traffic_log, key)
            for key in sorted(set(keys) - named - right - waiting.keys())
        ]
        self._check_stuck(found, waiting)
        return found

    def _check_stuck(self, found: Judgement, waiting: Mapping[str, list[dict[str, Any]]]) -> None:
        depth = self._site.depth()
        if any(depth):
            found.stuck.append(f"the source queue holds {depth}")
        undecided = [
            one for records in waiting.values() for one in records if not one["rejected"] and PARKED not in one["key"]
        ]
        if undecided:
            found.stuck.append(
                f"{len(undecided)} in retry-index/, such as {undecided[0]['key']}: {undecided[0]['reason']}"
            )
        hidden = queue_depth(self._site.sqs, self._site.queues.dlq)
        if any(hidden):
            found.stuck.append(f"the DLQ holds {hidden}, which cannot be received")

    @staticmethod
    def _sentence(what: str, traffic_log: TrafficLog | None, *names: str) -> str:
        calls = traffic_log.last_calls_about(*names) if traffic_log else []
        return "\n      ".join([what, *map(str, calls)])

    # -- what is there -------------------------------------------------------------------------------------------

    def s3_etags(self, keys: list[str]) -> dict[str, str | None]:
        """The etags in S3; None for an object that does not exist."""

        def head(key: str) -> str | None:
            try:
                return self._site.s3.head_object(Bucket=self._site.bucket, Key=key)["ETag"].strip('"')
            except ClientError as error:
                if error.response["Error"]["Code"] != "404":
                    raise
                return None

        with ThreadPoolExecutor(ASKERS) as pool:
            return dict(zip(keys, pool.map(head, keys), strict=True))

    def index_etags(self, keys: list[str]) -> dict[str, str | None]:
        """The etags in the index; None where there is no document."""
        found: dict[str, str | None] = {}
        for start in range(0, len(keys), 1_000):
            part = keys[start : start + 1_000]
            ids = [document_id(self._site.bucket, key) for key in part]
            answer = self._site.ask("POST", f"/{self._site.index}/_mget?_source_includes=etag", {"ids": ids})
            documents = answer.get("docs") or [{} for _ in part]  # there may be no index at all
            found.update((key, one.get("_source", {}).get("etag")) for key, one in zip(part, documents, strict=True))
        return found

    def _retry_records(self) -> dict[str, list[dict[str, Any]]]:
        """Key → its records in `retry-index/`, parked or not."""
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for name in self._site.state_keys("retry-index/"):
            record = self._record(name)
            found[record.get("key", name)].append(
                {"rejected": False, "reason": "not a retry record", **record, "key": name}
            )
        return dict(found)

    def _record(self, name: str) -> dict[str, Any]:
        """A record in the state bucket; empty if it cannot be read."""
        try:
            found = self._site.state_record(name)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _dead_letters(self, *, source_too: bool) -> dict[str, Counter[str]]:
        """Body → place → how many copies are there."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        queues = {"DLQ": self._site.queues.dlq} | ({"source": self._site.queues.source} if source_too else {})
        for place, queue in queues.items():
            for dead_letter in drain(self._site.sqs, queue):
                found[dead_letter["Body"]][place] += 1
        for prefix in DEAD_LETTERS:
            for name in self._site.state_keys(prefix):
                record = self._record(name)
                for dead_letter in record.get("dead_letters", [record] if "body" in record else []):
                    found[dead_letter["body"]][prefix] += 1
        return found


def _exported(files: Iterable[Path]) -> Iterator[str]:
    """The bodies of the dead letters in complete export files; the last line of a file shows that it is complete."""
    for file in files:
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        if lines and "end_of_export" in lines[-1]:
            yield from (line["body"] for line in lines[:-1])
