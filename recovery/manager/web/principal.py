"""Who asks, as the routes see it: each takes a Reader, an Operator or an Admin, or is open to Anyone.

    def get_message(_reader: Reader, service: TheService, …)
    def delete_message(principal: Admin, service: TheService, …)    principal.name is who did it

A route that takes none of them fails the test of all routes.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from recovery.manager.roles import Principal, Role
from recovery.manager.web.problems import too_many
from recovery.manager.web.service import Service
from recovery.manager.web.sign_in import Mode, SignIn, peer_of
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

__all__ = [
    "Admin",
    "Anyone",
    "Needs",
    "Operator",
    "Principal",
    "Reader",
    "Role",
    "RoleMissingError",
    "SignInEndedError",
    "still_valid",
    "while_valid",
]

CHECKED_S = 1.0
"""How often a sign-in is looked at while a long answer is under way."""
CHALLENGE = 'Bearer realm="dlq-manager"'


class SignInEndedError(Exception):
    """Raised in the middle of a long answer when the sign-in of whoever asked for it has ended."""


class RoleMissingError(HTTPException):
    """Raised where somebody who is signed in may not have what they ask for: they need another role."""

    def __init__(self, principal: Principal, needed: Role, mode: Mode) -> None:
        said = f"this is for the role {needed.value}; {principal.name} has {principal.role.value}"
        self.can_be_given = mode is not Mode.NONE
        more = "" if self.can_be_given else ", and nobody has more with MANAGER_AUTH=none"
        super().__init__(403, said + more)
        self.principal, self.needed = principal, needed


@dataclass(frozen=True, slots=True)
class Needs:
    """The dependency of a route on who asks. It is called on a thread of its own: the ledger has the tokens."""

    role: Role | None
    """None: anyone."""

    def __call__(self, request: Request) -> Principal | None:
        """Who asks. Raises HTTPException 401 if nobody knows, 403 if they may not, 429 if they ask too often."""
        sign_in: SignIn = request.app.state.service.sign_in
        if self.role is None:
            _within(sign_in.rates.request(peer_of(request)))
            return None
        principal = sign_in.principal(request)
        if principal is None:
            raise _unknown(request, sign_in)
        request.state.principal = principal
        _within(sign_in.rates.request(principal.name))
        if not principal.role.includes(self.role):
            raise RoleMissingError(principal, self.role, sign_in.mode)
        return principal


def forbidden(principal: Principal, role: Role, sign_in: SignIn) -> HTTPException:
    """To be raised where a part of an answer needs a higher role than the rest."""
    return RoleMissingError(principal, role, sign_in.mode)


def still_valid(service: Service, principal: Principal) -> bool:
    """Whether somebody whom a stream serves may go on listening; it is asked again and again. Raises LedgerError."""
    return service.sign_in.still_valid(principal)


def while_valid(service: Service, principal: Principal, parts: Iterable[bytes]) -> Iterator[bytes]:
    """The parts of a long answer, as long as the sign-in of whoever asked for it goes on.

    Raises SignInEndedError then, which cuts the answer off, so that nobody takes a part of it for the whole; or LedgerError.
    """
    checked = time.monotonic()
    for part in parts:
        if time.monotonic() - checked >= CHECKED_S:
            if not still_valid(service, principal):
                raise SignInEndedError(f"the sign-in of {principal.name} has ended while an answer was under way")
            checked = time.monotonic()
        yield part


def _unknown(request: Request, sign_in: SignIn) -> HTTPException:
    has_token = sign_in.has_token(request)
    if has_token:
        _within(sign_in.rates.failure(peer_of(request)))
        emit(
            LogEvent.SIGN_IN_REFUSED,
            "warning",
            peer=peer_of(request),
            reason="a token that is unknown, revoked or expired",
        )
    else:
        _within(sign_in.rates.request(peer_of(request)))
    said = "the token is unknown, revoked or expired" if has_token else _HOW[sign_in.mode]
    challenge = f'{CHALLENGE}, error="invalid_token"' if has_token else CHALLENGE
    return HTTPException(401, said, {"WWW-Authenticate": challenge})


_HOW = {
    Mode.NONE: "",
    Mode.TOKEN: "a token is needed, from `dlq-manager token create`: `Authorization: Bearer …`, or with a browser at /auth/login",
    Mode.OIDC: "sign in at /auth/login, or send a token: `Authorization: Bearer …`",
    Mode.PROXY: "the proxy named nobody with a role, or this came from elsewhere; a token would do as well",
}


def _within(wait_s: int | None) -> None:
    if wait_s is not None:
        raise too_many(wait_s)


Anyone = Annotated[None, Depends(Needs(None))]
"""Open to everybody who reaches the port; only the rate is limited."""
Reader = Annotated[Principal, Depends(Needs(Role.READER))]
"""Whoever may see what is not a body or a stack."""
Operator = Annotated[Principal, Depends(Needs(Role.OPERATOR))]
"""Whoever may see bodies, and act."""
Admin = Annotated[Principal, Depends(Needs(Role.ADMIN))]
"""Whoever may delete."""
