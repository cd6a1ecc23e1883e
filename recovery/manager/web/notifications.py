"""`/api/v1/notifications`: what was said to whom, and whether it arrived."""

from typing import Annotated, Self

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from recovery.ledger.outbox import About, Notification, Sending
from recovery.manager.web.moments import Moment, known, moment
from recovery.manager.web.parameters import LINK, Limit, link_next
from recovery.manager.web.principal import Reader
from recovery.manager.web.problems import documented
from recovery.manager.web.service import TheService

router = APIRouter(tags=["notifications"])
_AT = "2026-11-01T09:30:00.000Z"


class SentNotification(BaseModel):
    """One notification to one recipient."""

    id: int = Field(description="Later ones have greater numbers.", examples=[1])
    about: About = Field(
        description="A `group` that was new, one whose `retries` are used up, or the `digest` of what came after."
    )
    recipient: str = Field(
        description="A mail address, or the place and kind of an address in NOTIFY_URLS or OWNERS.",
        examples=["ops 1 (mailtos)"],
    )
    subject: str = Field(examples=["[dlq-manager] System error: 3 messages failed with NoSuchBucket"])
    text: str = Field(examples=["3 messages failed because of a fault in the system, …"])
    state: Sending
    attempts: int = Field(examples=[1])
    error: str = Field(description="Why the last attempt failed; empty if it did not.", examples=[""])
    created_at: Moment = Field(examples=[_AT])
    next_at: Moment | None = Field(description="When it is tried again; null if it is not.", examples=[_AT])
    sent_at: Moment | None = Field(description="When it was accepted.", examples=[_AT])

    @classmethod
    def of(cls, one: Notification) -> Self:
        """What the ledger says."""
        waits = one.state is Sending.WAITING
        return cls(
            id=one.id, about=one.about, recipient=one.recipient, subject=one.subject, text=one.text, state=one.state,
            attempts=one.attempts, error=one.error, created_at=known(one.created_ms),
            next_at=moment(one.next_ms) if waits else None, sent_at=moment(one.sent_ms),
        )  # fmt: skip


class NotificationPage(BaseModel):
    """Some notifications, the newest first."""

    items: list[SentNotification]
    next: int | None = Field(description="`cursor` of the next page; null if this is the last.", examples=[None])


@router.get("/api/v1/notifications", responses={**documented(400), 200: {"headers": LINK}})
def list_notifications(
    _reader: Reader,
    request: Request,
    response: Response,
    service: TheService,
    state: Annotated[Sending | None, Query(description="Only those in this state.")] = None,
    limit: Limit = 100,
    cursor: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next` of the page before.")] = None,
) -> NotificationPage:
    """What was said to whom, and whether it arrived."""
    found = service.ledger.outbox.page(state=state, before=cursor, limit=limit + 1)
    shown = [SentNotification.of(one) for one in found[:limit]]
    if len(found) <= limit:
        return NotificationPage(items=shown, next=None)
    link_next(request, response, cursor=shown[-1].id)
    return NotificationPage(items=shown, next=shown[-1].id)
