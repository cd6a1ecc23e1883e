"""The facets of a query in OpenSearch."""

from collections.abc import Callable
from typing import Any

from worker.core.base.jsontypes import JsonObject
from worker.core.index import Facets, question
from worker.core.index.client import RefusedError
from worker.core.index.earlier_system import EXACT
from worker.core.index.facets import facets_of
from worker.core.index.query import Query

WRONG = 400
_FORMS: tuple[dict[str, Any], ...] = ({}, {"exact": EXACT}, {"has_dates": False}, {"exact": EXACT, "has_dates": False})
"""What an index may be asked for: ours; one in which texts have a second field; and those in which dates are texts."""


def ask_facets(ask: Callable[[JsonObject], Any], query: Query) -> Facets:
    """How all matches are distributed. `ask` makes a search request. Raises IndexUnavailableError.

    An index that we did not create may have fields by which nothing can be counted: then there are none.
    """
    for form in () if query.impossible else _FORMS:
        try:
            counted = ask(question.facets(query, **form)).get("aggregations", {})
        except RefusedError as error:
            if error.status != WRONG:
                raise
            continue
        return facets_of({name: map(_counted, found["buckets"]) for name, found in counted.items()})
    return facets_of({})


def _counted(bucket: JsonObject) -> tuple[object, int]:
    return bucket.get("key_as_string", bucket["key"]), bucket["doc_count"]
