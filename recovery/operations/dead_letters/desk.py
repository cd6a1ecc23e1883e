"""What people say about a stored dead letter: its owner, a note, a hold. It stands in its record, which outlives any ledger."""

import re
from collections.abc import Callable
from dataclasses import replace

from worker.core.base.errors import StoreError
from worker.core.s3.state import State
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import Hold, StoredDeadLetter

MAX_REASON_CHARS = 500
"""Of a hold; as long as a failure's message."""
MAX_NOTE_CHARS = 4_000
"""A note is for people: whoever has more to say has a ticket for it."""
MAX_OWNER_CHARS = 320
"""As long as a mail address may be (RFC 3696, erratum 1690)."""
_CONTROLS = r"\x00-\x1f\x7f-\x9f"
"""They would act on the terminal that shows them."""
LINE = f"^[^{_CONTROLS}]*$"
"""The pattern of what has one line."""
SAYING = f"^[^{_CONTROLS}]*[^\\s{_CONTROLS}][^{_CONTROLS}]*$"
"""The pattern of one line that is not empty."""
LINES = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"
"""The pattern of what may have several."""

Said = Callable[[StoredDeadLetter], StoredDeadLetter]
"""Makes of a record what it is to be."""


def owned_by(owner: str | None) -> Said:
    """Say who is to deal with it; None: nobody. Raises ValueError if the name is too long or has control characters."""
    said = _checked("owner", owner, MAX_OWNER_CHARS)
    return lambda stored: replace(stored, owner=said)


def noted(note: str | None) -> Said:
    """Write a note in place of the one before; None: none. Raises ValueError if it is too long."""
    said = _checked("note", note, MAX_NOTE_CHARS, LINES)
    return lambda stored: replace(stored, note=said)


def held(reason: str | None, *, by: str) -> Said:
    """Hold it, so that nothing is done with it until it is released. Raises ValueError if the reason is missing or too long."""
    said = _checked("reason", reason, MAX_REASON_CHARS)
    if said is None:
        raise ValueError("reason is empty; whoever meets the hold will want to know why")
    return lambda stored: replace(stored, hold=Hold(said, by))


def released(stored: StoredDeadLetter) -> StoredDeadLetter:
    """End its hold."""
    return replace(stored, hold=None)


def change_record(state: State, key: str, change: Said) -> StoredDeadLetter | None:
    """Change a record, whoever else writes it meanwhile; as it is then, or None if it is gone. Raises StoreError or ValueError."""
    for _ in range(dead_letter_store.ATTEMPTS):
        found = dead_letter_store.read(state, key)
        if found is None:
            return None
        wanted = change(found)
        written = found if wanted == found else dead_letter_store.write(state, wanted)
        if written is not None:
            return written
    raise StoreError(f"{key} is being written by others all the time", code="Conflict")


def _checked(name: str, said: str | None, at_most: int, pattern: str = LINE) -> str | None:
    """A text without the space around it; None if nothing is left."""
    text = (said or "").strip()
    if len(text) > at_most:
        raise ValueError(f"{name} has {len(text):,} characters; at most {at_most:,} are kept")
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{name} has control characters; it should be plain text")
    return text or None
