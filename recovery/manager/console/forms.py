"""The fields of a form that was sent."""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, HTTPException, Request

from recovery.ledger.errors import AskedWronglyError

MAX_FIELDS = 10_100
"""As many as a plan has ids, and a few more."""
MAX_FEW, MAX_FEW_BYTES = 8, 64 * 1024
"""Of a form that anybody may send, before it is known who they are: its fields, and its length. An address is its longest value."""
Fields = list[tuple[str, str]]


async def _fields(request: Request) -> Fields:
    return _parsed(await request.body(), MAX_FIELDS)


async def _few(request: Request) -> Fields:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_FEW_BYTES:
            raise HTTPException(413, f"this form has at most {MAX_FEW_BYTES:,} bytes")
    return _parsed(bytes(body), MAX_FEW)


def _parsed(body: bytes, at_most: int) -> Fields:
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=at_most, errors="strict")
    except ValueError as error:
        raise AskedWronglyError("form", str(error), f"at most {at_most:,} fields in UTF-8") from None


Form = Annotated[Fields, Depends(_fields)]
"""All fields, in their order."""
SmallForm = Annotated[Fields, Depends(_few)]
"""Those of a form that anybody may send."""


def single(fields: Fields) -> dict[str, str]:
    """By name; of a field that is there several times, the last."""
    return {name: value.replace("\r\n", "\n") for name, value in fields}


def several(fields: Fields, name: str) -> list[str]:
    """All values of one field."""
    return [value for one, value in fields if one == name]
