"""Which ledger belongs to the state bucket: `s3-index-worker/ledger.json` names it, so that no second one acts on its records."""

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from recovery.ledger.ledger import Ledger
from worker.core.base.errors import ConfigError
from worker.core.s3.state import CONTROL_PREFIX, State

OWNER_KEY = CONTROL_PREFIX + "ledger.json"


@dataclass(frozen=True, slots=True)
class Owner:
    """What the state bucket says about its ledger."""

    id: str
    name: str
    """Its address, without a password."""
    since: str
    by: str

    @classmethod
    def from_json(cls, raw: bytes) -> "Owner":
        """Raises ConfigError if the record cannot be read: then nobody knows whether another ledger is in use."""
        try:
            found = orjson.loads(raw)
            return cls(*(str(found[name]) for name in ("id", "name", "since", "by")))
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{OWNER_KEY} cannot be read ({error!r}): {REBUILD}") from None


REBUILD = "to use this ledger from now on, stop the other manager and run `dlq-manager rebuild`"


def check_owner(state: State, ledger: Ledger, by: str) -> None:
    """Return if the state bucket's ledger is this one, or if it has had none and has this one now.

    Raises ConfigError if it is another, and StoreError.
    """
    if state.claim(OWNER_KEY, _record(ledger, by), instead_of=None) is not None:
        return
    raw = state.get(OWNER_KEY)
    owner = None if raw is None else Owner.from_json(raw)
    if owner is None or owner.id != ledger.ledger_id():
        name = "another that has just gone" if owner is None else f"{owner.name} (since {owner.since}, by {owner.by})"
        raise ConfigError(f"the ledger of s3://{state.bucket} is {name}, and not {ledger.shown}: {REBUILD}")


def take_over(state: State, ledger: Ledger, by: str) -> None:
    """Make this ledger the state bucket's, whichever it was before. Raises StoreError."""
    state.put(OWNER_KEY, _record(ledger, by))


def _record(ledger: Ledger, by: str) -> bytes:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return orjson.dumps({"id": ledger.ledger_id(), "name": ledger.shown, "since": since, "by": by})
