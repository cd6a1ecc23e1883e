"""What the aliases that change something are asked and answer."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from recovery.manager.web.parameters import EXAMPLE_ID, WHOLE

MAX_IDS = 1_000
MAX_RETRIES = 10


class Replayed(BaseModel):
    """Whether it was done."""

    success: bool
    message: str = Field(examples=["sent to https://sqs.eu-west-1.amazonaws.com/1/documents"])


class ReplayBatchRequest(BaseModel):
    """Which dead letters are to be sent again."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"message_ids": [EXAMPLE_ID], "max_retries": 3}]}
    )

    message_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=128)]], Field(min_length=1, max_length=MAX_IDS)
    ]
    max_retries: Annotated[
        int,
        Field(
            strict=True,
            ge=0,
            le=MAX_RETRIES,
            description="How often each is tried again where the queue refuses it for now.",
        ),
        WHOLE,
    ] = 3


class ReplayError(BaseModel):
    """Why one was not sent."""

    message_id: str = Field(examples=[EXAMPLE_ID])
    error: str = Field(examples=["there is no dead letter with this id"])


class ReplayedBatch(BaseModel):
    """How many were sent."""

    success: bool = Field(description="Whether all were.")
    replayed_count: int = Field(examples=[1])
    failed_count: int = Field(examples=[0])
    errors: list[ReplayError]
