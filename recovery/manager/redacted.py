"""A dead letter as it may be shown: what REDACT_FIELDS hides is hidden in its body, attributes, failure record and texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recovery.manager.redaction import NOT_SHOWN, Redactor, View
from worker.core.sqs.dead_letter import DeadLetter

_OF_FORM = frozenset({"kind", "attempts", "redrives"})
"""What the answer's form depends on, and which says nothing of the message."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """What may be shown of one dead letter. Attributes and failure record are as its JSON form has them."""

    body: str
    attributes: Mapping[str, Any]
    system: Mapping[str, Any]
    failure: Mapping[str, Any] | None
    view: View
    """Hides what is hidden here in any other text about it: `view.text(…)`."""

    @property
    def stack(self) -> str:
        """The stack; empty if there is none."""
        return str((self.failure or {}).get("stack") or "")


def redacted(dead_letter: DeadLetter, redactor: Redactor) -> Redacted:
    """What may be shown of a dead letter."""
    said = dead_letter.as_json()
    attributes: Any = said["message_attributes"]
    system: Any = said["system_attributes"]
    failure: Any = dead_letter.failure.as_json() if dead_letter.failure else None
    if not redactor.is_active:
        return Redacted(dead_letter.body, attributes, system, failure, View(dead_letter.body))
    documents = [_texts(attributes), failure or {}, _metadata(failure)]
    view = redactor.view(dead_letter.body, *documents)
    texts = view.value(documents[0])
    shown = {view.name(name): _attribute(one, view.name(name), texts) for name, one in attributes.items()}
    return Redacted(view.body, shown, view.value(system), failure and _failure(failure, view), view)


def _metadata(failure: Any) -> dict[str, Any]:
    """What another service has added to its failure record: a document of its own."""
    found = (failure or {}).get("metadata")
    return found if isinstance(found, dict) else {}


def _failure(failure: dict[str, Any], view: View) -> dict[str, Any]:
    shown = view.value({name: one for name, one in failure.items() if name not in _OF_FORM})
    form = {name: failure[name] for name in _OF_FORM}
    if not isinstance(shown, dict):
        return {**form, "message": shown}
    metadata = {"metadata": view.value(_metadata(shown))} if _metadata(shown) else {}
    return {**form, **shown, **metadata}


def _texts(attributes: Mapping[str, Any]) -> dict[str, object]:
    """The attributes as one document: their texts, by name."""
    return {name: one["StringValue"] for name, one in attributes.items() if "StringValue" in one}


def _attribute(attribute: Mapping[str, Any], name: str, texts: Any) -> dict[str, Any]:
    """An attribute with the text that may be shown; bytes cannot be looked into."""
    shown = {"StringValue": texts[name] if isinstance(texts, dict) else NOT_SHOWN} if "StringValue" in attribute else {}
    hidden = {"BinaryValue": NOT_SHOWN} if "BinaryValue" in attribute else {}
    return {**attribute, **shown, **hidden}
