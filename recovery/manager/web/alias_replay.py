"""`/dlq/replay` and `/dlq/message`: act on dead letters at once, under the paths that such tools have had."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from recovery.ledger.answers import Answer
from recovery.ledger.operation_items import Result
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import ENDED, Outcome, Row, State
from recovery.manager.acting.acts import Acted
from recovery.manager.acting.purging import purge
from recovery.manager.acting.single import act_on
from recovery.manager.metrics import ReplayStatus
from recovery.manager.web.alias_models_replay import ReplayBatchRequest, Replayed, ReplayedBatch, ReplayError
from recovery.manager.web.idempotency import Once, once
from recovery.manager.web.parameters import AnyId
from recovery.manager.web.principal import Admin, Operator
from recovery.manager.web.problems import documented
from recovery.manager.web.service import Service, TheService
from worker.core.base.errors import ConfigError, PausedError, WorkerError

router = APIRouter(tags=["aliases"])
AT_ONCE = 5
UNKNOWN = "there is no dead letter with this id"
_FAILED: dict[int | str, dict[str, Any]] = {
    status: {"model": Replayed, **documented(status)[status], "description": said}
    for status, said in (
        (404, "`success` is false: there is no such dead letter."),
        (
            409,
            "`success` is false: it was sent already (and is not `unconfirmed`), has ended, is held, or must not be sent.",
        ),
        (503, "`success` is false: something that is needed refuses for now."),
    )
}


@router.post(
    "/dlq/replay/batch", response_model=ReplayedBatch, responses=documented(400, 409, 413, 422)
)  # fmt: skip
def alias_replay_batch(service: TheService, principal: Operator, asked: Once, wanted: ReplayBatchRequest) -> Response:
    """Send up to 1,000 dead letters to their queue again, five at once. For more, or more slowly, use an operation."""

    def one(message_id: str) -> tuple[str, int, str]:
        for left in range(wanted.max_retries, -1, -1):
            status, message = replay(service, message_id, by=principal.name)
            if status != 503 or not left:
                return message_id, status, message
        raise AssertionError

    def do() -> Answer:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="replay") as pool:
            done = list(pool.map(one, dict.fromkeys(wanted.message_ids)))
        errors = [ReplayError(message_id=name, error=message) for name, status, message in done if status != 200]
        answer = ReplayedBatch(
            success=not errors, replayed_count=len(done) - len(errors), failed_count=len(errors), errors=errors
        )
        return Answer(200, answer.model_dump_json())

    return once(service, asked, do)


@router.post(
    "/dlq/replay/{any_id:path}", response_model=Replayed, responses={**documented(400, 413, 422), **_FAILED}
)  # fmt: skip
def alias_replay(service: TheService, principal: Operator, asked: Once, any_id: AnyId) -> Response:
    """Send one dead letter to its queue again."""
    return once(service, asked, lambda: _said(*replay(service, any_id, by=principal.name)))


@router.delete(
    "/dlq/message/{any_id:path}", response_model=Replayed, responses={**documented(400), **_FAILED}
)  # fmt: skip
def alias_delete(
    service: TheService,
    principal: Admin,
    any_id: AnyId,
    purge: Annotated[
        bool, Query(description="Whether it is destroyed: every version of its record, and the copies of its body.")
    ] = False,
) -> JSONResponse:
    """Archive a dead letter and delete it; or destroy it for good, which the audit records without its body. For admins."""
    act = destroy if purge else delete
    status, message = _found(service, any_id, lambda row: act(service, row, by=principal.name))
    return JSONResponse({"success": status == 200, "message": message}, status)


def replay(service: Service, any_id: str, *, by: str) -> tuple[int, str]:
    """Send one dead letter again, and count it; the status of the answer, and what is said."""

    def send(row: Row) -> tuple[int, str]:
        if row.state is State.SENT and row.outcome != Outcome.UNCONFIRMED:
            return 409, f"{row.sent_by} has sent it already to {row.sent_to}"
        if row.state in {*ENDED, State.MISSING}:
            return 409, f"it is {row.state.value}"
        [acted] = act_on(service.ledger, service.verbs, Verb.REDRIVE, [row], {}, by=by)
        return _status(acted, f"sent to {acted.fields.get('sent_to')}")

    status, message = _found(service, any_id, send)
    missing = status == 404
    service.count(ReplayStatus.NOT_FOUND if missing else ReplayStatus.SUCCESS if status == 200 else ReplayStatus.ERROR)
    return status, message


def delete(service: Service, row: Row, *, by: str) -> tuple[int, str]:
    """Archive one dead letter, and delete it."""
    if row.state in {*ENDED, State.MISSING}:
        return 409, f"it is {row.state.value}"
    [acted] = act_on(service.ledger, service.verbs, Verb.DELETE, [row], {}, by=by)
    return _status(acted, "deleted; it is in dlq-archive/")


def destroy(service: Service, row: Row, *, by: str) -> tuple[int, str]:
    """Destroy one dead letter, wherever it is."""
    refused = purge(service.ledger, service.verbs, row, by=by)
    return (409, refused) if refused else (200, "destroyed")


def _found(service: Service, any_id: str, act: Callable[[Row], tuple[int, str]]) -> tuple[int, str]:
    row = None if "\0" in any_id else service.ledger.get(any_id)
    if row is None:
        return 404, UNKNOWN
    try:
        return act(row)
    except PausedError as error:
        return 409, error.sentence
    except ConfigError as error:
        return 409, str(error)
    except WorkerError as error:
        return 503, str(error)


def _status(acted: Acted, done: str) -> tuple[int, str]:
    if acted.state is Result.DONE:
        return 200, acted.result or done
    return (503 if acted.state is Result.WAITING else 409), acted.result


def _said(status: int, message: str) -> Answer:
    return Answer(status, orjson.dumps({"success": status == 200, "message": message}).decode())
