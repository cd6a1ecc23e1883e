"""`/health`, `/metrics`, and the description of the API, which has no secrets."""

import time

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field

from recovery.manager.web.moments import Moment, known
from recovery.manager.web.principal import Anyone, Reader
from recovery.manager.web.problems import documented
from recovery.manager.web.service import Status, TheService

SERVICE = "dlq-manager"
router = APIRouter(tags=["service"])


class HealthAnswer(BaseModel):
    """How the manager is; whatever else it knows stands beside these fields."""

    model_config = ConfigDict(extra="allow")

    status: Status
    service: str = Field(examples=[SERVICE])
    timestamp: Moment = Field(examples=["2026-11-01T09:30:00.000Z"])
    queue_connected: bool = Field(description="Whether the dead-letter queue answers.")
    rabbitmq_connected: bool = Field(description="An alias of `queue_connected`, which such tools have had.")


@router.get("/health", responses=documented())
def get_health(_anyone: Anyone, service: TheService) -> HealthAnswer:
    """How the manager is. Degraded is still a 200: it answers, and nothing is lost."""
    health = service.health()
    return HealthAnswer.model_validate({
        **health.facts, "status": health.status, "service": SERVICE, "timestamp": known(time.time_ns() // 1_000_000),
        "queue_connected": health.queue_connected, "rabbitmq_connected": health.queue_connected,
    })  # fmt: skip


@router.get(
    "/metrics",
    responses={
        **documented(),
        200: {"description": "Metrics.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    },
    response_class=Response,
)
def get_metrics(_reader: Reader, service: TheService) -> Response:
    """Metrics in Prometheus's text format."""
    return Response(service.metrics(), media_type=CONTENT_TYPE_LATEST)


@router.get("/openapi.json", include_in_schema=False)
def get_description(_anyone: Anyone, request: Request) -> JSONResponse:
    """The description of the API."""
    return JSONResponse(request.app.openapi())
