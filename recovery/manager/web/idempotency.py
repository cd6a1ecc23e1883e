"""Idempotency-Key: a request that is repeated with the same key gets the same answer, and is carried out once.

The key belongs to whoever asks, and to one method, path and body, for KEPT_MS.
"""

import hashlib
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request, Response

from recovery.ledger.answers import KEPT_MS, Answer, Asked, Repeat
from recovery.manager.web.principal import Operator
from recovery.manager.web.service import Service

JSON = "application/json"
MAX_KEY_CHARS = 255


async def _asked(
    request: Request,
    principal: Operator,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1, max_length=MAX_KEY_CHARS,
            description="A text of the client's, new for each request and the same for its repetitions: within "
            f"{KEPT_MS // 3_600_000} hours, a repetition gets the same answer, and nothing is done again.",
        ),
    ] = None,
) -> Asked | None:  # fmt: skip
    if idempotency_key is None:
        return None
    about = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return Asked(idempotency_key, principal.name, hashlib.sha256(about + await request.body()).hexdigest())


Once = Annotated[Asked | None, Depends(_asked)]


def once(service: Service, asked: Asked | None, do: Callable[[], Answer], *, is_kept: bool = False) -> Response:
    """Carry out a request, unless it was carried out before; what is answered. Raises HTTPException 409 or 422.

    `is_kept`: `do` itself keeps its answer, in the transaction that makes what was asked for.
    """
    if asked is None:
        return _response(do())
    match service.ledger.answers.begin(asked):
        case Repeat.OTHER_BODY:
            raise HTTPException(422, "this Idempotency-Key was used for another request; use a new one")
        case Repeat.IN_PROGRESS:
            raise HTTPException(409, "the request with this Idempotency-Key is in progress; ask again later")
        case Answer() as answer:
            return _response(answer)
        case None:
            pass
    try:
        answer = do()
    except BaseException:
        service.ledger.answers.forget(asked)
        raise
    if not is_kept:
        service.ledger.answers.finish(asked, answer)
    return _response(answer)


def _response(answer: Answer) -> Response:
    headers = {"Location": answer.location} if answer.location else None
    return Response(answer.body, answer.status, headers, JSON)
