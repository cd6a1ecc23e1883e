"""The fields of a form that was sent."""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from recovery.ledger.errors import AskedWronglyError

MAX_FIELDS = 10_100
"""As many as a plan has ids, and a few more."""
Fields = list[tuple[str, str]]


async def _fields(request: Request) -> Fields:
    try:
        text = (await request.body()).decode("ascii")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise AskedWronglyError("form", str(error), f"at most {MAX_FIELDS:,} fields in UTF-8") from None


Form = Annotated[Fields, Depends(_fields)]
"""All fields, in their order."""


def single(fields: Fields) -> dict[str, str]:
    """By name; of a field that is there several times, the last."""
    return {name: value.replace("\r\n", "\n") for name, value in fields}


def several(fields: Fields, name: str) -> list[str]:
    """All values of one field."""
    return [value for one, value in fields if one == name]
