"""The message types, each a JSON Schema in config/message-types/ (in the wheel: next to this file).

A file NAME.json declares the type NAME. There are three additional keywords: `x-recognized-by` is a schema that
matches every message of this type, valid or not; `x-label-fields` lists the fields that identify a message to a person.
`x-retry`, true or false, says whether the manager sends such messages again by itself; by default, only S3 events.
If `correlation_id` is required, a message without one is never sent to a queue again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match

from worker.core.base.errors import ConfigError, MalformedEventError
from worker.core.base.text import one_line
from worker.core.s3.events import Item, ObjectRef, parse

UNKNOWN = "unknown"
S3_EVENT = "s3-event"
NO_CORRELATION_ID = "message missing correlation_id, cannot safely redrive"
MAX_FAULT_CHARS = 300
REMEMBERED = 16
"""Bodies whose type, fault and objects are remembered, because each is asked for several times; a body can have a megabyte."""

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "message-types", _HERE.parents[2] / "config" / "message-types")


@dataclass(frozen=True, slots=True)
class MessageType:
    """One declared type."""

    name: str
    recognized_by: Draft202012Validator
    valid: Draft202012Validator
    label_fields: tuple[str, ...] = ()
    retry: bool = False
    """Whether dead letters of this type are sent again by themselves."""

    def recognizes(self, value: object) -> bool:
        """Whether a message is of this type. A field that is missing is seen here: to learn it from jsonschema takes longer."""
        schema = self.recognized_by.schema
        needed = schema.get("required", ()) if isinstance(schema, dict) else ()
        if isinstance(value, dict) and any(name not in value for name in needed):
            return False
        return bool(self.recognized_by.is_valid(value))

    @property
    def needs_correlation_id(self) -> bool:
        """Whether a message of this type needs a correlation id to be sent to a queue again."""
        return "correlation_id" in self.valid.schema.get("required", ())


class MessageTypes:
    """All declared types. Can be used from any thread."""

    def __init__(self, types: Sequence[MessageType], *, default_bucket: str | None = None) -> None:
        """`default_bucket` is the bucket for S3 events that contain only a key."""
        self._types = {one.name: one for one in types}
        self._default_bucket = default_bucket
        self._read = lru_cache(REMEMBERED)(self._read_anew)
        self._fault = lru_cache(REMEMBERED)(self._fault_anew)
        self._events = lru_cache(REMEMBERED)(self._events_anew)

    @property
    def names(self) -> list[str]:
        """The names of the declared types."""
        return sorted(self._types)

    def of(self, body: str) -> str:
        """Return the type of a body; UNKNOWN if no type recognizes it."""
        _, found = self._read(body)
        return found.name if found else UNKNOWN

    def label(self, body: str) -> str:
        """Return the label fields of a message, which identify it to a person."""
        value, found = self._read(body)
        if found is None or not isinstance(value, dict):
            return ""
        return " ".join(text for name in found.label_fields if isinstance(text := value.get(name), str))

    def needs_correlation_id(self, name: str) -> bool:
        """Whether messages of this type need a correlation id."""
        return name in self._types and self._types[name].needs_correlation_id

    def is_retried(self, body: str) -> bool:
        """Whether a message may be sent again by itself: its type allows it, and it is valid."""
        _, found = self._read(body)
        return found is not None and found.retry and self.fault(body) is None

    def objects(self, body: str) -> tuple[ObjectRef, ...]:
        """Return the objects that a message is about, if it is an S3 event; what of it is malformed is left out."""
        items = self._events(body)
        return (
            () if isinstance(items, MalformedEventError) else tuple(one for one in items if isinstance(one, ObjectRef))
        )

    def fault(self, body: str) -> str | None:
        """Return why a message must not be sent to a queue again; None if it is valid.

        It names the field and the rule, but not the value: whoever may not see bodies may see this.
        """
        return self._fault(body)

    def _fault_anew(self, body: str) -> str | None:
        value, found = self._read(body)
        if found is None:
            what = "is not JSON" if value is None else "is of no known type"
            return f"the body {what}; the types are {', '.join(self.names)}"
        if found.needs_correlation_id and not (isinstance(value, dict) and value.get("correlation_id")):
            return NO_CORRELATION_ID
        if found.name == S3_EVENT and (sentence := self._not_an_event(body)):
            return sentence
        error = best_match(found.valid.iter_errors(value))
        if error is None:
            return None
        where = error.json_path.removeprefix("$").removeprefix(".")
        return one_line(f"{found.name}: {where + ': ' if where else ''}{_broken_rule(error)}")[:MAX_FAULT_CHARS]

    def _read_anew(self, body: str) -> tuple[object, MessageType | None]:
        """The value of a body, None if it is no JSON, and the type that recognizes it."""
        value = _json(body)
        return value, next((one for one in self._types.values() if one.recognizes(value)), None)

    def _events_anew(self, body: str) -> Sequence[Item] | MalformedEventError:
        """What the worker makes of a body: its items, or the error with which it rejects all of it."""
        try:
            return parse(body, default_bucket=self._default_bucket)
        except MalformedEventError as error:
            return error

    def _not_an_event(self, body: str) -> str | None:
        """Return the error with which the worker rejects this body as an S3 event; None if it accepts it."""
        items = self._events(body)
        if isinstance(items, MalformedEventError):
            return str(items)
        return next((str(item) for item in items if isinstance(item, MalformedEventError)), None)


def load_types(folder: Path | None = None, *, default_bucket: str | None = None) -> MessageTypes:
    """Load the types from a folder, by default the included one. Raises ConfigError with the file and what is wrong."""
    found = folder or next((one for one in _FOLDERS if one.is_dir()), _FOLDERS[0])
    files = sorted(found.glob("*.json"))
    if not files:
        raise ConfigError(f"MESSAGE_TYPES_DIR={found}: contains no NAME.json; it must be a folder of JSON Schemas")
    return MessageTypes([_declared(file) for file in files], default_bucket=default_bucket)


def _declared(file: Path) -> MessageType:
    try:
        schema = orjson.loads(file.read_bytes())
        Draft202012Validator.check_schema(schema)
        recognized_by = schema["x-recognized-by"]
        Draft202012Validator.check_schema(recognized_by)
        labels, retry = schema.get("x-label-fields", []), schema.get("x-retry", file.stem == S3_EVENT)
    except SchemaError as error:
        raise ConfigError(f"{file}: is not a JSON Schema: {error.message}") from None
    except KeyError:
        raise ConfigError(
            f"{file}: x-recognized-by is missing; it must be a schema that matches the messages of this type"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from None
    if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
        raise ConfigError(f"{file}: x-label-fields is {labels!r}; it must be a list of field names")
    if not isinstance(retry, bool):
        raise ConfigError(f"{file}: x-retry is {retry!r}; it must be true or false")
    return MessageType(
        file.stem, Draft202012Validator(recognized_by), Draft202012Validator(schema), tuple(labels), retry
    )


def _broken_rule(error: ValidationError) -> str:
    """The rule of its schema that a value breaks. What jsonschema says quotes the value."""
    if error.validator == "required":
        return str(error.message)
    return f"does not fit {error.validator}: {orjson.dumps(error.validator_value, default=str).decode()}"


def _json(body: str) -> object:
    try:
        found: object = orjson.loads(body)
    except ValueError:
        return None
    return found
