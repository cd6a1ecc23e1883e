"""Strings that PDFium hands out."""

import ctypes
from collections.abc import Callable
from typing import Any

MAX_STRING_BYTES = 64 * 1024**2
"""A longer string is left out."""


def utf16(function: Callable[..., int], *arguments: Any) -> str:
    """What a function of PDFium writes as UTF-16 into a buffer, its two last arguments being the buffer and its bytes."""
    size = function(*arguments, None, 0)
    if not 2 < size <= MAX_STRING_BYTES:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    used = function(*arguments, buffer, size)
    return decoded(buffer, used // 2 - 1) if used <= size else ""


def decoded(buffer: "ctypes.Array[ctypes.c_ushort]", units: int) -> str:
    """The first code units of a buffer. Lone surrogates are left out."""
    return bytes(memoryview(buffer).cast("B")[: max(0, 2 * units)]).decode("utf-16-le", "ignore")
