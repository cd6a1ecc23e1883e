"""What will be sent again by itself, and when; what keeps it from being sent, and the rules."""

from dataclasses import dataclass

from recovery.ledger.ledger import Ledger
from recovery.ledger.scheduled import Scheduled
from recovery.manager.schedule import RetryRules
from recovery.manager.settings_facts import SettingsReader
from recovery.manager.system_facts import SystemFacts
from recovery.manager.watched import Fact


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """The schedule at one moment."""

    scheduled: Scheduled
    obstacle: Fact[str]
    """Why nothing is sent now; empty if what is due is sent."""
    rules: RetryRules
    rate: float
    """Messages per second, at most."""


def schedule_facts(
    ledger: Ledger, facts: SystemFacts, settings: SettingsReader, *, now_ms: int
) -> ScheduleFacts:  # fmt: skip
    """The schedule; `now_ms` is on S3's clock. Raises LedgerError."""
    return ScheduleFacts(ledger.scheduled(now_ms), facts.obstacle(), settings.retry_rules, settings.retry_rate)
