"""What notifies, over a ledger in a file and channels that only remember."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import pytest

from recovery.ledger.ledger import Ledger
from recovery.manager.figures import Figures
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.notices.channels import NotifyError
from recovery.manager.notices.notices import LEASE, Notices
from recovery.manager.notices.owners import parse_owners
from recovery.manager.notices.routing import OwnerDesk, Router
from recovery.manager.notices.wording import Said, Wording
from recovery.manager.turns import Turns
from testing.fakes import Fakes
from testing.ledgers import NOW_MS, arrival

EVERY_S = 3_600


class Remembered:
    """Channels that remember what was sent, and refuse whom they are told to."""

    ops: tuple[str, ...] = ("ops 1 (json)",)
    is_empty = False

    def __init__(self) -> None:
        self.sent: list[tuple[str, Said]] = []
        self.refused: set[str] = set()

    def reaches(self, name: str) -> bool:
        return name in self.ops or name.endswith("@example.com")

    def send(self, recipient: str, said: Said) -> None:
        if recipient in self.refused:
            raise NotifyError("json: refused")
        self.sent.append((recipient, said))


@dataclass
class Desk:
    """One manager's notices, with a clock that is turned by hand."""

    ledger: Ledger
    fakes: Fakes
    channels: Remembered = field(default_factory=Remembered)
    owners: str = ""
    metadata: dict[str, Mapping[str, str]] = field(default_factory=dict)
    now_ms: int = NOW_MS
    metrics: ManagerMetrics = field(default_factory=lambda: ManagerMetrics(Figures))

    def notices(self) -> Notices:
        owners = parse_owners(self.owners)
        desk = OwnerDesk(self.fakes.state, self.ledger)
        lookup = lambda _bucket, key: self.metadata.get(key, {})  # noqa: E731
        channels: Any = self.channels
        router = Router(channels, owners, lookup, desk, threading.Event())
        wording = Wording("en", lambda: "http://127.0.0.1:8024", UTC)
        return Notices(
            self.ledger, channels, router, wording, self.metrics, every_s=EVERY_S, keep_days=90,
            now_ms=lambda: self.now_ms,
        )  # fmt: skip

    def manager(self, holder: str) -> Turns:
        """One of several managers that notify."""
        return Turns(LEASE, self.notices().turn, self.ledger, holder=holder, every_s=1, stop=threading.Event())

    def fail(self, *names: str, **fields: Any) -> None:
        """Dead letters that have just arrived."""
        from dataclasses import replace

        arrivals = [arrival(name, at_ms=self.now_ms, **fields) for name in names]
        self.ledger.take_in([replace(one, is_news=True) for one in arrivals])

    def subjects(self) -> list[str]:
        return [said.subject.removeprefix("[dlq-manager] ") for _, said in self.channels.sent]

    def counted(self, status: str) -> float:
        return self.metrics.registry.get_sample_value("dlq_notifications_total", {"status": status}) or 0


@pytest.fixture
def desk(ledger: Ledger, fakes: Fakes) -> Desk:
    return Desk(ledger, fakes)
