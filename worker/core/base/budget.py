"""Budgets: what can be limited per day, and the caps that BUDGET_CAPS sets on it."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, unquote

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

KINDS: Mapping[str, int] = {
    "objects": 1,  # reads of objects that S3 answered
    "bytes": 1,  # of their bodies, as far as they are read
    "seconds": 1_000,  # of extraction
    "dollars": 1_000_000_000,  # what the others cost, according to BUDGET_PRICES
}
"""What can be limited: name → whole units in one of it. Budgets are counted in whole units, which add up exactly."""
DOLLARS = "dollars"
_SCOPE = re.compile(r"s3://[^/]+/.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Cap:
    """How much of one kind may be used in a day: by the whole fleet, for all objects or for those under a prefix."""

    scope: str
    """`s3://BUCKET/PREFIX`; empty for all objects."""
    kind: str
    units: int

    @property
    def name(self) -> str:
        """As it is set, without its number: `objects`, or `s3://files/legal/:objects`."""
        return f"{quote(self.scope, safe='/:=')}:{self.kind}" if self.scope else self.kind

    def covers(self, bucket: str, key: str) -> bool:
        """Whether it limits this object."""
        return f"s3://{bucket}/{key}".startswith(self.scope)

    def amount(self, units: float) -> float:
        """Units as what they are of: seconds, for example."""
        return units / KINDS[self.kind]


def units(kind: str, amount: float) -> int:
    """An amount in whole units."""
    return round(amount * KINDS[kind])


def parse_caps(text: str) -> tuple[Cap, ...]:
    """The caps in a comma-separated list of KIND=NUMBER and s3://BUCKET/PREFIX:KIND=NUMBER. Raises ValueError."""
    caps = []
    for name, amount in _pairs(text):
        scope, _, kind = name.rpartition(":")
        if kind not in KINDS or not (not scope or _SCOPE.fullmatch(scope)):
            raise ValueError(
                f"has {name[:200]!r}; it should be one of {', '.join(KINDS)}, or s3://BUCKET/PREFIX:KIND, where a comma "
                "in the prefix is written %2C and a percent sign %25"
            )
        caps.append(Cap(unquote(scope), kind, units(kind, amount)))
    if len({cap.name for cap in caps}) < len(caps):
        raise ValueError("names the same cap twice")
    return tuple(caps)


def parse_prices(text: str) -> dict[str, float]:
    """The dollars in a comma-separated list of KIND=DOLLARS: what one of each kind costs. Raises ValueError."""
    prices = dict(_pairs(text))
    if wrong := sorted(prices.keys() - (KINDS.keys() - {DOLLARS})):
        raise ValueError(f"has {wrong[0][:200]!r}; it should be one of {', '.join(k for k in KINDS if k != DOLLARS)}")
    return prices


def _pairs(text: str) -> list[tuple[str, float]]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.rpartition("=")
        try:
            amount = float(number)
        except ValueError:
            amount = math.nan
        if not name or not 0 <= amount < math.inf:
            raise ValueError(f"has {part[:200]!r}; it should be NAME=NUMBER, and the number 0 or more")
        found.append((name, amount))
    return found


Caps = Annotated[tuple[Cap, ...], NoDecode, BeforeValidator(lambda v: parse_caps(v) if isinstance(v, str) else v)]
Prices = Annotated[dict[str, float], NoDecode, BeforeValidator(lambda v: parse_prices(v) if isinstance(v, str) else v)]
