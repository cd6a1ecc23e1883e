"""What one worker has of one cap of the day: leased, used, and waited for."""

from dataclasses import dataclass

from worker.core.base.budget import Cap
from worker.core.s3.budget_ledger import Ask, Standing


@dataclass(slots=True)
class Share:
    """What this worker has of one cap today, in units."""

    cap: Cap
    granted: int = 0
    """Leased, in all."""
    in_use: int = 0
    """Spent, and reserved by the takes that are open."""
    open: int = 0
    """Estimates whose true amount is not known yet."""
    waiting: int = 0
    """What takes that wait would like to have."""
    denied: int = 0
    """What was asked for in vain; 0 unless the cap is used up."""
    is_last: bool = False
    is_asking: bool = False
    """Whether a slice is being leased: what is not used meanwhile may be given back, so nothing is taken."""
    warned_of: int = -1
    """The limit of which 90% were used when there was a warning."""

    def fits(self, amount: int) -> bool:
        """Whether this much may be taken. The last piece of the day may be exceeded, by one object."""
        left = self.granted - self.in_use
        return not self.is_asking and left > 0 and (left >= amount or (self.is_last and not self.open))

    def ask(self) -> Ask:
        """What is to be asked of the shared record."""
        return Ask(self.cap, self.in_use, max(self.waiting, self.denied))

    def learn(self, ask: Ask, standing: Standing) -> None:
        """Take in the record's answer. What was leased beyond the limit was exceeded: it is counted, and may not be used."""
        self.granted = standing.leased - max(0, standing.used - standing.limit)
        self.is_last, self.is_asking = standing.is_last, False
        self.denied = ask.wanted if standing.leased <= ask.in_use else 0
