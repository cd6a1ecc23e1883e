"""What schemathesis is told of the manager's API, beyond its description; its own process imports this.

A format that a schema cannot express, and the pairs of parameters that do not go together.
"""

import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st

from recovery.ledger.selection import FILTERS
from recovery.manager.web.idempotency import MAX_KEY_CHARS
from recovery.manager.web.parameters import QUERY_FORMAT

_word = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"), exclude_characters='":\\'),
    min_size=1, max_size=8,
)  # fmt: skip
_quoted = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
_ago = st.from_regex(r"[0-9]{1,9}[smhdw]", fullmatch=True)
_moment = st.from_regex(
    r"20[0-9]{2}-(0[1-9]|1[0-2])-[0-2][1-8]T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,3})?Z", fullmatch=True
)
_SPECIAL = {
    "kind": st.sampled_from(["RECOVERABLE", "unknown"]),
    "state": st.sampled_from(["any", "open,sent", "recovered"]),
    "outcome": st.sampled_from(["parked", "unconfirmed"]),
    "hold": st.sampled_from(["yes", "no"]),
    "older": _ago,
    "newer": _ago,
    "until": _moment,
    "since": _moment,
}
_queries = st.fixed_dictionaries({}, optional={name: _SPECIAL.get(name, _word | _quoted) for name in FILTERS})

schemathesis.openapi.format(
    QUERY_FORMAT, _queries.map(lambda found: " ".join(f"{name}:{value}" for name, value in found.items()))
)


@schemathesis.hook
def before_call(_context: object, case: Any, _kwargs: object) -> None:
    """Each request is another one, so each has another key."""
    if 1 <= len((case.headers or {}).get("idempotency-key") or "") <= MAX_KEY_CHARS:
        case.headers["idempotency-key"] = str(uuid.uuid4())


@schemathesis.hook
def filter_query(_context: object, query: object) -> bool:
    """Whether these parameters go together: a filter is given once."""
    given = set(query) if isinstance(query, dict) else set()
    return not ("q" in given and given & {"error_type", "source_service", "correlation_id"})
