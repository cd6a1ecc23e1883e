"""Which object somebody means who types or pastes a name: as S3 has it, as an address, quoted, encoded, in another Unicode form."""

import re
import time
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from recovery.ledger.ledger import Ledger
from recovery.manager.present import LOOK_S, seen
from recovery.manager.sources import Sources
from recovery.manager.where import Where, where
from worker.core.base.errors import WorkerError
from worker.core.base.names import is_bucket_name
from worker.core.s3.events import MAX_KEY_BYTES, ObjectRef

MAX_READINGS = 10
_ARN = re.compile(r"arn:[\w-]+:s3:::([^/]+)/(.+)", re.DOTALL)
_OF_BUCKET = re.compile(r"(.+)\.s3[.-](?:[\w.-]+\.)?amazonaws\.com(?:\.cn)?")
_OF_SERVICE = re.compile(r"s3[.-](?:[\w.-]+\.)?amazonaws\.com(?:\.cn)?")
_OF_CONSOLE = re.compile(r"/s3/(?:object|buckets)/([^/]+)")
_BUCKET_ALONE = re.compile(r"(?:(?:s3|s3a|s3n)://|arn:[\w-]+:s3:::)([^/]+)/?", re.IGNORECASE)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "「": "」", "『": "』", "<": ">"}


class Form(StrEnum):
    """How what was typed differs from the key in S3."""

    EXACT = "exact"
    ADDRESS = "address"
    """It was an address, such as s3://bucket/key."""
    TRIMMED = "trimmed"
    """It had spaces or quotes around it."""
    SLASH = "slash"
    """It began with a slash."""
    ENCODED = "encoded"
    """Percent signs stood for other characters, as in an address."""
    BACKSLASH = "backslash"
    """It had backslashes, as paths of Windows have."""
    UNICODE = "unicode"
    """Its characters are composed of others than those in S3, but look the same (NFC and NFD)."""


class Reading(NamedTuple):
    """An object that may be meant."""

    bucket: str
    key: str
    form: Form


def readings(typed: str, bucket: str) -> list[Reading]:
    """The objects that may be meant, in a usual bucket unless an address names another, the most literal first.

    Empty where no key of S3 can be meant: keys have 1 to 1,024 bytes.
    """
    address = _address(_trimmed(typed))
    found = [Reading(*address, Form.ADDRESS)] if address else [Reading(bucket, typed, Form.EXACT)]
    for form, changed in _FORMS:
        found += [Reading(one.bucket, key, form) for one in found if (key := changed(one.key)) != one.key]
    found += [one._replace(key=key, form=Form.UNICODE) for one in found for key in _normal(one.key)]
    first = {(one.bucket, one.key): one for one in reversed(found)}
    return [one for one in found if first[one.bucket, one.key] is one and _is_possible(one)][:MAX_READINGS]


def bucket_named(typed: str) -> str:
    """The bucket of an address that names no file in it, such as s3://bucket/; empty if it is none."""
    found = _BUCKET_ALONE.fullmatch(_trimmed(typed))
    return found[1] if found is not None else ""


def is_address(typed: str) -> bool:
    """Whether it names a bucket and a file in it."""
    return _address(_trimmed(typed)) is not None


def where_typed(sources: Sources, ledger: Ledger, meant: list[Reading]) -> tuple[Where, Form]:
    """Where the object is that is meant: the first reading of which anything is known, else the most literal one."""
    until = time.monotonic() + LOOK_S
    for one, (s3, index) in zip(meant, _seen(sources, meant, until), strict=True):
        if s3 or index or _has_failed(ledger, one):
            return where(sources, ledger, one.bucket, one.key), one.form
    return where(sources, ledger, meant[0].bucket, meant[0].key), meant[0].form


def _seen(sources: Sources, meant: list[Reading], until: float) -> list[tuple[bool, bool]]:
    """Whether S3, and the index, are known to have each. Of a single reading, nobody needs to know."""
    if len(meant) == 1:
        return [(False, False)]
    found = seen(sources, [ObjectRef(one.bucket, one.key) for one in meant], until=until)
    return [(s3.state is not None, index.document is not None) for s3, index in found]


def _has_failed(ledger: Ledger, one: Reading) -> bool:
    try:
        return bool(ledger.particular.of_object(one.bucket, one.key, limit=1))
    except WorkerError:  # `where` says that the ledger cannot be asked
        return False


def _is_possible(one: Reading) -> bool:
    try:
        return 0 < len(one.key.encode()) <= MAX_KEY_BYTES and is_bucket_name(one.bucket)
    except UnicodeEncodeError:
        return False


# -- what people paste -----------------------------------------------------------------------------------------------


def _address(text: str) -> tuple[str, str] | None:
    """Bucket and key of an address; None if it is none."""
    if (arn := _ARN.fullmatch(text)) is not None:
        return arn[1], arn[2]
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in {"s3", "s3a", "s3n", "http", "https"}:
        return None
    if not scheme.lower().startswith("http"):
        bucket, _, key = rest.partition("/")
        return (bucket, key) if key else None
    return _of_url(text)


def _of_url(text: str) -> tuple[str, str] | None:
    try:
        url = urlsplit(text)
        host, path = url.hostname or "", unquote(url.path, errors="strict")
        if (shown := _OF_CONSOLE.match(path)) is not None:
            key = parse_qs(url.query).get("prefix", [""])[0]
            return (shown[1], key) if key else None
    except ValueError:
        return None
    if _OF_SERVICE.fullmatch(host):
        bucket, _, key = path[1:].partition("/")
        return (bucket, key) if key else None
    of_bucket = _OF_BUCKET.fullmatch(host)
    return (of_bucket[1], path[1:]) if of_bucket is not None and len(path) > 1 else None


def _trimmed(text: str) -> str:
    text = text.strip()
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text


def _decoded(text: str) -> str:
    """As an address has it: `%E5%A5%91` and, where there is anything of that kind, `+` for a space."""
    try:
        return unquote(text.replace("+", " ") if "%" in text else text, errors="strict")
    except UnicodeDecodeError:
        return text


def _percent_decoded(text: str) -> str:
    """The same with a `+` for itself."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _normal(text: str) -> Iterator[str]:
    yield unicodedata.normalize("NFC", text)
    yield unicodedata.normalize("NFD", text)


_FORMS = (
    (Form.TRIMMED, _trimmed),
    (Form.SLASH, lambda key: key.lstrip("/")),
    (Form.BACKSLASH, lambda key: key.replace("\\", "/").lstrip("/")),
    (Form.ENCODED, _percent_decoded),
    (Form.ENCODED, _decoded),
)
