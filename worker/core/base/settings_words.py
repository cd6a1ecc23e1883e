"""What is wrong with a setting, in the words of those who set it: its name, its value, and what would be correct."""

import re
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import SecretStr
from pydantic.fields import FieldInfo

_UNIT = re.compile(r"\b(seconds|milliseconds|bytes|days|characters)\b", re.IGNORECASE)
"""The unit that the description of a number names."""
_QUOTES = "\"'“”‘’`"
_DURATION = re.compile(r"(\d{1,9})\s*(s|sec|m|min|h|d)")
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
_SIZE = re.compile(r"(\d{1,9})\s*([KMG])i?B?", re.IGNORECASE)
_BYTES = {"K": 1024, "M": 1024**2, "G": 1024**3}
_HOST_AND_PORT = re.compile(r"(?:[\w.-]+|\[[0-9a-f:]+\]):\d{1,5}(?:/[^:]*)?", re.IGNORECASE)
"""An address with nothing in it to hide."""
_OURS = "Value error, "


def require_bare(value: str, field: FieldInfo) -> None:
    """Return if a text has neither quotation marks nor white space around it that a file of settings left there.

    A password may begin and end with anything but the end of a line. Raises ValueError.
    """
    kinds = _kinds(field)
    if SecretStr in kinds and not _is_index(field):
        if value.endswith(("\r", "\n")):
            raise ValueError("ends with a line end (of Windows: CR); save the file with line ends of Unix (LF)")
        return
    if len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES:
        raise ValueError("has quotation marks around it, which are a part of it here; it should be without them")
    if value != value.strip() and kinds & {str, Path, SecretStr}:
        raise ValueError(
            "has a space, tab or line end before or after it (a file with line ends of Windows has one); it should be without"
        )


def sentence(detail: Any, field: FieldInfo | None, name: str) -> str:
    """One error of pydantic's, for people; `name` is that of the environment variable. The values of secrets are not shown."""
    said = str(detail["msg"])
    if not name:
        return said.removeprefix(_OURS)
    if detail["type"] == "missing":
        return f"{name} is missing: {field.description if field else 'it must be set'}"
    given = detail["input"]
    hides = field is not None and SecretStr in _kinds(field)
    is_hidden = (hides and field is not None and not _is_index(field)) or is_secret(str(given), hides=hides)
    shown = "(hidden)" if is_hidden else repr(given)
    if said.startswith(_OURS):
        return f"{name}={shown}: {said.removeprefix(_OURS)}"
    if field is not None and (right := accepted(field)):
        return f"{name}={shown}: it should be {right}{_converted(str(given), right)}"
    return f"{name}={shown}: {said[0].lower()}{said[1:]}"


def is_secret(text: str, *, hides: bool) -> bool:
    """Whether a text may hold a password; `hides`: it is the value of a setting whose values are hidden."""
    bare = text.rpartition("://")[2]
    return "@" in text or (hides and ":" in bare and not _HOST_AND_PORT.fullmatch(bare.strip(_QUOTES)))


def accepted(field: FieldInfo) -> str:
    """What a setting may be: `seconds, a whole number from 30 to 43,200`; empty for a text."""
    kinds = _kinds(field)
    if found := choices(field):
        return found
    if bool in kinds:
        return "yes or no"
    if not kinds & {int, float}:
        return ""
    number = "a whole number" if int in kinds else "a number"
    unit = _UNIT.search(str(field.description))
    return f"{unit[1].lower()}, {number}{_bounds(field)}" if unit else f"{number}{_bounds(field)}"


def choices(field: FieldInfo) -> str:
    """The values of a setting that has few: `debug, info, warning or error`; empty for any other."""
    found = [str(one) for kind in _kinds(field) if get_origin(kind) is Literal for one in get_args(kind)]
    return f"{', '.join(found[:-1])} or {found[-1]}" if found else ""


def _bounds(field: FieldInfo) -> str:
    low = next((one.ge for one in field.metadata if isinstance(one, Ge)), None)
    above = next((one.gt for one in field.metadata if isinstance(one, Gt)), None)
    high = next((one.le for one in field.metadata if isinstance(one, Le)), None)
    below = next((one.lt for one in field.metadata if isinstance(one, Lt)), None)

    def shown(number: Any) -> str:
        return format(number, ",")

    if low is not None and high is not None:
        return f" from {shown(low)} to {shown(high)}"
    lower = f" from {shown(low)} on" if low is not None else f" above {shown(above)}" if above is not None else ""
    upper = f" up to {shown(high)}" if high is not None else f" below {shown(below)}" if below is not None else ""
    return f"{lower} and{upper}" if lower and upper else lower + upper


def _converted(given: str, right: str) -> str:
    """What `10m` or `64MiB` would be in the setting's unit."""
    given = given.strip()
    if right.startswith("seconds") and (found := _DURATION.fullmatch(given)):
        return f"; {given} is {int(found[1]) * _SECONDS[found[2]]}"
    if right.startswith("bytes") and (found := _SIZE.fullmatch(given)):
        return f"; {given} is {int(found[1]) * _BYTES[found[2].upper()]}"
    return ""


def _kinds(field: FieldInfo) -> set[Any]:
    """The types that a field may have."""
    kind = field.annotation
    kinds = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    return {get_args(one)[0] if get_origin(one) is Annotated else one for one in kinds}


def _is_index(field: FieldInfo) -> bool:
    """Whether it is the URL of the index, the only setting that is hidden although it need not have a secret in it."""
    return "INDEX_URL" in str(field.validation_alias)
