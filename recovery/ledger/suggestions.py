"""Suggestions: what to do with a group, learned from what was done before. Counts, smoothed; it never acts by itself.

First counts what was done with the group itself; where that is too little, with similar ones: of the same error type, with
mostly the same words in the message. Laplace's rule (one success and one failure more than were seen) keeps a few cases from
looking like certainty.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Text, bindparam, text

from recovery.ledger.database import Database
from recovery.ledger.outcomes import KEPT_DAYS, PERIOD_MS, first_period, words_of
from recovery.ledger.schema import OUTCOMES
from worker.core.base.classify import FailureKind

SETTLED_MS = 3_600_000
"""A redrive counts this long after its period: to come back takes maxReceiveCount × visibility timeout, 50 minutes."""
MIN_CASES = 10
"""Of fewer, nothing is concluded."""
MIN_SHARE = 0.8
"""How often, smoothed, something must have worked to be suggested."""
MIN_ALIKE = 0.5
"""The share of their words that the messages of similar groups have in common."""

Name = tuple[str, str]
"""Fingerprint and error type."""


class Advice(StrEnum):
    """What is suggested."""

    REDRIVE = "redrive"
    ABANDON = "abandon"


class Basis(StrEnum):
    """From which dead letters it was learned."""

    GROUP = "group"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of dead letters."""

    redriven: int = 0
    """Times that one was sent again, whose period ended SETTLED_MS ago."""
    returned: int = 0
    """Of these, times that it came back."""
    archived: int = 0
    abandoned: int = 0

    @property
    def stayed_away(self) -> int:
        """Redriven, and not back."""
        return max(0, self.redriven - self.returned)

    @property
    def given_up(self) -> int:
        """Archived or abandoned."""
        return self.archived + self.abandoned

    def plus(self, other: "Outcomes") -> "Outcomes":
        """Both together."""
        return Outcomes(*(getattr(self, name) + getattr(other, name) for name in OUTCOMES))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What was done with such dead letters before with success, in numbers."""

    advice: Advice
    basis: Basis
    outcomes: Outcomes
    share: float
    """How often it worked, smoothed."""

    @property
    def text(self) -> str:
        """The same in words."""
        done, those = self.outcomes, "in this group" if self.basis is Basis.GROUP else "similar to these"
        if self.advice is Advice.REDRIVE:
            return f"of {done.redriven:,} {those} redriven in {KEPT_DAYS} days, {done.stayed_away:,} did not come back: redrive"
        settled = done.given_up + done.stayed_away
        return (
            f"of {settled:,} {those} settled in {KEPT_DAYS} days, {done.given_up:,} were archived or abandoned: abandon"
        )


def suggest(done: Outcomes, basis: Basis, kind: FailureKind) -> Suggestion | None:
    """What these outcomes suggest; None if they are too few, or say different things.

    What configuration or code is at fault for is never to be given up, whatever was done with it before.
    """
    found = []
    if done.redriven >= MIN_CASES:
        found.append(Suggestion(Advice.REDRIVE, basis, done, _share(done.stayed_away, done.redriven)))
    if done.given_up >= MIN_CASES and kind is not FailureKind.SYSTEM_ERROR:
        settled = done.given_up + done.stayed_away
        found.append(Suggestion(Advice.ABANDON, basis, done, _share(done.given_up, settled)))
    convincing = [one for one in found if one.share >= MIN_SHARE]
    return max(convincing, key=lambda one: one.share, default=None)


def _share(successes: int, cases: int) -> float:
    return (successes + 1) / (cases + 2)


class Suggestions:
    """The suggestions of one ledger; threads may share it. Every method raises LedgerError where the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, groups: Iterable[tuple[str, str, FailureKind, str]]) -> dict[Name, Suggestion]:
        """Those of groups, given as fingerprint, error type, kind and a message.

        Groups about which nothing is known are left out.
        """
        wanted = {(fingerprint, error_type): (kind, message) for fingerprint, error_type, kind, message in groups}
        if not wanted:
            return {}
        with self._database.reading() as connection:
            known = _known(connection, sorted({error_type for _, error_type in wanted}))
        found = {name: _suggestion(name, *said, known.get(name[1], ())) for name, said in wanted.items()}
        return {name: one for name, one in found.items() if one is not None}


_Known = tuple[str, frozenset[str], Outcomes]
"""Fingerprint, words, outcomes."""


def _known(connection: Connection, error_types: Sequence[str]) -> Mapping[str, Sequence[_Known]]:
    """What became of the groups of these error types, by type."""
    unsettled = (int(time.time() * 1000) - SETTLED_MS) // PERIOD_MS
    settled = "sum(CASE WHEN period < :settled THEN {0} ELSE 0 END)"
    sums = ", ".join([*(settled.format(name) for name in OUTCOMES[:2]), *(f"sum({name})" for name in OUTCOMES[2:])])
    query = text(
        f"SELECT error_type, fingerprint, max(words), {sums} FROM outcomes "  # noqa: S608 (of fixed parts)
        "WHERE error_type IN :types AND period >= :since GROUP BY error_type, fingerprint"
    ).bindparams(bindparam("types", list(error_types), type_=Text, expanding=True))
    rows = connection.execute(query, {"since": first_period(), "settled": unsettled})
    found: dict[str, list[_Known]] = {}
    for error_type, fingerprint, words, *counts in rows:
        found.setdefault(error_type, []).append((fingerprint, frozenset(words.split()), Outcomes(*map(int, counts))))
    return found


def _suggestion(name: Name, kind: FailureKind, message: str, known: Sequence[_Known]) -> Suggestion | None:
    own = next((done for fingerprint, _, done in known if fingerprint == name[0]), Outcomes())
    if (found := suggest(own, Basis.GROUP, kind)) is not None or max(own.redriven, own.given_up) >= MIN_CASES:
        return found  # what the group itself says counts, also where it says nothing clear
    words, together = frozenset(words_of(message)), own
    for fingerprint, others, done in known:
        if fingerprint != name[0] and _alike(words, others):
            together = together.plus(done)
    return suggest(together, Basis.SIMILAR, kind)


def _alike(words: frozenset[str], others: frozenset[str]) -> bool:
    """Whether two messages say mostly the same: by the words in common of all their words (Jaccard)."""
    return bool(words) and len(words & others) >= MIN_ALIKE * len(words | others)
