"""Suggestions, as groups and dead letters show them."""

from typing import Self

from pydantic import BaseModel, Field

from recovery.ledger.outcomes import KEPT_DAYS
from recovery.ledger.suggestions import Advice, Basis
from recovery.ledger.suggestions import Suggestion as LedgerSuggestion


class Suggestion(BaseModel):
    """What was done with such dead letters before, and what that suggests. Nothing is ever done automatically."""

    advice: Advice
    text: str = Field(
        description="The same in words.",
        examples=["of 412 in this group redriven in 30 days, 397 did not come back: redrive"],
    )
    basis: Basis = Field(description="Learned from this `group`, or from `similar` ones: same error type, like words.")
    days: int = Field(description="The number of days that this covers.", examples=[KEPT_DAYS])
    redriven: int = Field(description="Times that one was sent again, one to seven hours ago at least.", examples=[412])
    returned: int = Field(description="Of these, times that it came back.", examples=[15])
    archived: int = Field(examples=[0])
    abandoned: int = Field(examples=[0])
    share: float = Field(
        description="How often the advice worked, smoothed by Laplace's rule; at least 0.8.", examples=[0.961]
    )

    @classmethod
    def of(cls, one: LedgerSuggestion | None) -> Self | None:
        """What the ledger says; None if it suggests nothing."""
        if one is None:
            return None
        done = one.outcomes
        return cls(
            advice=one.advice, text=one.text, basis=one.basis, days=KEPT_DAYS, redriven=done.redriven, returned=done.returned,
            archived=done.archived, abandoned=done.abandoned, share=round(one.share, 3),
        )  # fmt: skip
