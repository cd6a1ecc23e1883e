"""Who asks, and what they may do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

MAX_NAME_CHARS = 120
"""Of a principal's name: it stands in the audit, the ledger's events, and notifications."""
PROGRAM = "token:"
"""How the name of a principal begins that asks by a token."""


class Role(StrEnum):
    """What somebody may do; each may do what the one before may."""

    READER = "reader"
    """See everything but bodies and stacks."""
    OPERATOR = "operator"
    """See bodies, and act."""
    ADMIN = "admin"
    """Delete, too."""

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    name: str
    """As the audit and the ledger's events record it."""
    role: Role
    until_ms: int | None = None
    """When this sign-in ends (ms since the epoch); None: not by itself."""
    token: str | None = field(default=None, repr=False)
    """Digest of the token by which it asks; None if by none."""
    session: str | None = None
    """Id of the session in which it asks; None if in none."""

    @property
    def sees_bodies(self) -> bool:
        """Whether bodies and stacks may be shown."""
        return self.role.includes(Role.OPERATOR)

    @classmethod
    def of_claims(
        cls, name: str, values: Iterable[str], named: Mapping[str, frozenset[str]], *, until_ms: int | None = None
    ) -> Self | None:
        """Somebody whom an identity provider or a proxy names, with the highest role of these values; None if they have none.

        `named`: the values that make somebody of each role. Nobody has the name of a token, with its audit and its keys.
        """
        given = frozenset(values)
        roles = [role for role in Role if named.get(role.value, frozenset()) & given]
        shown = "".join(one if one.isprintable() else "\ufffd" for one in name.strip())[:MAX_NAME_CHARS]
        return cls(shown, roles[-1], until_ms) if roles and shown and not shown.startswith(PROGRAM) else None
