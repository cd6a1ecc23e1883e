"""Who asks, and what they may do. Without sign-in, everybody who reaches this server is an operator, and nobody an admin."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, HTTPException

from recovery.manager.web.service import TheService


class Role(StrEnum):
    """What somebody may do; each may do what those before may."""

    READER = "reader"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks; the name is what audit and ledger record."""

    name: str
    role: Role


async def the_principal(service: TheService) -> Principal:
    """Without sign-in: this service's own name."""
    return Principal(service.by, Role.OPERATOR)


async def an_admin(principal: "Annotated[Principal, Depends(the_principal)]") -> Principal:
    """Refuses everybody who is no admin."""
    if principal.role is not Role.ADMIN:
        raise HTTPException(403, "this is for admins, and without sign-in nobody is one")
    return principal


Reader = Annotated[Principal, Depends(the_principal)]
Operator = Annotated[Principal, Depends(the_principal)]
Admin = Annotated[Principal, Depends(an_admin)]
