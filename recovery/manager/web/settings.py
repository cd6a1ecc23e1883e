"""`/api/v1/settings`: what is set, where, what is wrong with it, and which tokens there are.

For operators: no secret is among it, but names of hosts, queues and groups are, the headers that a proxy is believed by, and
which programs have tokens. Who only reads dead letters needs none of that; who has to find out why nothing works does.
"""

from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from recovery.ledger.tokens import Token as LedgerToken
from recovery.manager.settings_facts import Setting as KnownSetting
from recovery.manager.settings_facts import SettingsFacts
from recovery.manager.web.moments import Moment, known, moment
from recovery.manager.web.principal import Operator
from recovery.manager.web.problems import documented
from recovery.manager.web.service import TheService
from worker.checks import Check, Level
from worker.core.base.settings_model import Origin

router = APIRouter(tags=["service"])
_AT = "2026-11-01T09:30:00.000Z"


class Setting(BaseModel):
    """One setting."""

    name: str = Field(examples=["MANAGER_PORT"])
    value: str = Field(description="`(set)` stands for a secret; empty: not set.", examples=["8024"])
    default: str = Field(examples=["8024"])
    origin: Origin = Field(description="Where it is set.")
    where: str = Field(description="The variable, or the file of a credential.", examples=["MANAGER_PORT"])
    purpose: str = Field(examples=["Port on which the manager listens; 0: any free one."])
    accepts: str = Field(description="What it may be; empty: a text.", examples=["a whole number from 0 to 65,535"])
    secret: bool = Field(examples=[False])
    shared: bool = Field(
        description="Whether workers have it, too; what is shown is the manager's own value.", examples=[False]
    )

    @classmethod
    def of(cls, one: KnownSetting) -> Self:
        """A setting."""
        return cls(
            name=one.name, value=one.value, default=one.default, origin=one.origin, where=one.where, purpose=one.purpose,
            accepts=one.accepts, secret=one.is_secret, shared=one.is_shared,
        )  # fmt: skip


class Wrong(BaseModel):
    """Something that is wrong, or could be better."""

    about: str = Field(examples=["notifications"])
    level: Level = Field(examples=["warning"])
    what: str = Field(examples=["nobody is notified of failures"])
    hint: str = Field(description="What to do about it.", examples=["set NOTIFY_URLS, or watch the alerts in config/"])

    @classmethod
    def of(cls, one: Check) -> Self:
        """What a check says."""
        return cls(about=one.name, level=one.level, what=one.what, hint=one.hint)


class Token(BaseModel):
    """A token of a program. Neither its secret nor anything made from it is shown."""

    name: str = Field(examples=["prometheus"])
    role: str = Field(examples=["reader"])
    valid: bool = Field(examples=[True])
    created_at: Moment = Field(examples=[_AT])
    created_by: str = Field(examples=["ana@host-1"])
    expires_at: Moment | None = Field(description="Null: never.", examples=[None])
    revoked_at: Moment | None = Field(examples=[None])
    revoked_by: str | None = Field(examples=[None])
    used_at: Moment | None = Field(description="When it was used last; null: never.", examples=[_AT])

    @classmethod
    def of(cls, one: LedgerToken, now_ms: int) -> Self:
        """A token, without its digest."""
        return cls(
            name=one.name, role=one.role, valid=one.is_valid(now_ms), created_at=known(one.created_ms),
            created_by=one.created_by, expires_at=moment(one.expires_ms), revoked_at=moment(one.revoked_ms),
            revoked_by=one.revoked_by, used_at=moment(one.used_ms),
        )  # fmt: skip


class Settings(BaseModel):
    """The settings of the manager that answers."""

    as_of: Moment = Field(examples=[_AT])
    wrong: list[Wrong] = Field(
        description="Empty: nothing is known to be. `dlq-manager doctor` asks the services, too."
    )
    items: list[Setting] = Field(description="Those of the manager alone first.")
    tokens: list[Token] = Field(description="Every token that there was, by name.")

    @classmethod
    def of(cls, facts: SettingsFacts) -> Self:
        """The facts."""
        return cls(
            as_of=known(facts.at_ms), wrong=[Wrong.of(one) for one in facts.wrong],
            items=[Setting.of(one) for one in facts.settings], tokens=[Token.of(one, facts.at_ms) for one in facts.tokens],
        )  # fmt: skip


@router.get("/api/v1/settings", responses=documented())
def get_settings(_operator: Operator, service: TheService) -> Settings:
    """What is set and where, what is wrong with it, and which tokens there are. Secrets are not shown."""
    return Settings.of(service.settings.read())
