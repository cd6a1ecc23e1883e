"""The figures behind the manager's `/metrics`: how many dead letters wait, how old they are, how intake and operations do."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from recovery.ledger.summaries import AgeSummary

QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True, slots=True)
class Depth:
    """The number of dead letters: each is counted in one place, so their sum is the depth (DLQ + open + scheduled)."""

    main: int = 0
    """In the DLQ, or open and taken in."""
    retry: int = 0
    """Scheduled for a retry by the manager."""
    analysis: int = 0
    """Open, and waiting for a person's review."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.main + self.retry + self.analysis


@dataclass(frozen=True, slots=True)
class IntakeFigures:
    """How far intake is behind the DLQ."""

    lag_s: float = 0.0
    """From the sending of the dead letter that was taken in last until it was taken in."""
    last_receive_timestamp_s: float = 0.0
    """When the DLQ last answered a receive, seconds since the epoch; 0 if it never did."""
    is_resting: bool = False
    """Whether intake waits because the ledger, the state bucket or the DLQ refuses."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading of ledger and intake. All numbers are of now, except where the name has a period."""

    depth: Depth = field(default_factory=Depth)
    by_error_type: Mapping[str, int] = field(default_factory=dict)
    """Dead letters of `depth` by error type, in any number; `/metrics` shows the largest."""
    ages: AgeSummary = field(default_factory=AgeSummary)
    soonest_expiry_s: float | None = None
    """Seconds until SQS drops the first of what is still in SQS; None if nothing is."""
    arrivals_last_day: int = 0
    """Arrivals in the present hour and the 23 before, returns included."""
    arrivals_last_hour: int = 0
    """Dead letters that arrived in the last 60 minutes."""
    average_retries: float = 0.0
    """Retries and redrives of the dead letters of `depth`, on average."""
    pending: int = 0
    """Dead letters whose recovery is under way: sent, and neither confirmed nor known not to have returned."""
    unconfirmed: int = 0
    """Those of which neither work nor return was seen in time."""
    retries_waiting: int = 0
    """Dead letters that are due to be resent automatically, and wait because index, S3 or fleet is not healthy."""
    oldest_unhandled_s: float = 0.0
    """How long the first open dead letter has waited that has no owner, schedule or hold; 0 if there is none."""
    operations: Mapping[str, int] = field(default_factory=dict)
    """Operations by state."""
    repeating_correlations: int = 0
    """Correlation ids whose messages fail again and again; a number, never the ids."""
    intake: IntakeFigures = field(default_factory=IntakeFigures)
