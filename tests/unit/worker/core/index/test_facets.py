"""Facets that lead somewhere, and queries that are narrowed or widened by one filter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.base.errors import IndexUnavailableError
from worker.core.index import Facets
from worker.core.index.client import RefusedError
from worker.core.index.facets import FIELDS, VALUES, Filter, facets_of, filters_in, narrowed
from worker.core.index.facets_opensearch import ask_facets
from worker.core.index.mistakes import mistakes
from worker.core.index.query import OneOf, parse

NONE = Facets({}, {}, {})


def test_values_that_are_written_differently_are_counted_together_the_most_frequent_first():
    found = facets_of({
        "extensions": [("pdf", 3), (".pdf", 4), ("PDF", 1), ("docx", 9), ("", 5), (None, 2)],
        "buckets": [("our-files", 2), ("archive", 7)],
        "years": [("2024", 1), ("2026", 2), ("2025", 3), (None, 4)],
    })  # fmt: skip
    assert list(found.extensions.items()) == [("docx", 9), ("pdf", 8)]
    assert list(found.buckets.items()) == [("archive", 7), ("our-files", 2)]
    assert list(found.years.items()) == [("2026", 2), ("2025", 3), ("2024", 1)]


def test_what_no_filter_can_ask_for_is_no_value():
    found = facets_of({
        "extensions": [("pdf,docx", 1), ("p d", 1), ("c++", 1), ('a"b', 1), ("①", 1), ("txt", 1)],
        "buckets": [("No Bucket", 1), ("", 1), ("files", 1)],
        "years": [("-044", 1), ("0000", 1), ("9999", 1), ("12026", 1), ("2026", 1)],
    })  # fmt: skip
    assert found == Facets({"txt": 1}, {"files": 1}, {"2026": 1})


def test_of_many_values_the_first_are_there():
    found = facets_of({"extensions": [(f"x{number:02}", number) for number in range(50)]})
    assert list(found.extensions) == [f"x{number:02}" for number in range(49, 49 - VALUES, -1)]


@pytest.mark.parametrize(
    ("query", "facet", "value", "narrower"),
    [
        ("budget", "extensions", "pdf", "budget ext:pdf"),
        ("", "extensions", "pdf", "ext:pdf"),
        ("ext:pdf,docx 予算", "extensions", "pdf", "予算 ext:pdf"),
        ("a EXT：docx b -ext:txt", "extensions", "pdf", "a b -ext:txt ext:pdf"),
        ("a bucket:files", "buckets", "archive", "a bucket:archive"),
        ('"a phrase" -draft', "years", "2026", '"a phrase" -draft after:2026 before:2027'),
        ("after:2026-06", "years", "2026", "after:2026-06 after:2026 before:2027"),
        ("a", "years", "0999", "a after:0999 before:1000"),
    ],
)
def test_a_query_is_narrowed_to_a_value(query, facet, value, narrower):
    assert narrowed(query, facet, value) == narrower
    assert mistakes(narrower) == []


def test_the_filters_of_a_query_are_named_each_with_the_query_without_it():
    assert filters_in('予算 ext:pdf,docx -size:>1mb "ext:pdf" after:2026 10:30') == [
        Filter("ext:pdf,docx", '予算 -size:>1mb "ext:pdf" after:2026 10:30'),
        Filter("-size:>1mb", '予算 ext:pdf,docx "ext:pdf" after:2026 10:30'),
        Filter("after:2026", '予算 ext:pdf,docx -size:>1mb "ext:pdf" 10:30'),
    ]
    assert filters_in("budget 2026") == []


@given(st.text(max_size=40) | st.text(alphabet='ext:pdf,ＥＸＴ：-" 東>1mbafter2026', max_size=40))
def test_any_query_can_be_narrowed_and_each_of_its_filters_left_out(query):
    asked = parse(narrowed(query, "extensions", "pdf"))
    wanted = [one for one in asked.filters if isinstance(one, OneOf) and one.field == "file_extension"]
    assert [one.values for one in wanted if not one.excluded] in ([("pdf",)], [])
    for one in filters_in(query):
        assert len(filters_in(one.rest)) < len(filters_in(query))


# -- OpenSearch --------------------------------------------------------------------------------------------------


def _refused(status):
    return RefusedError("refused", status=status, kind="illegal_argument_exception", method="POST")


def test_an_index_in_which_nothing_can_be_counted_has_no_facets():
    asked = []

    def ask(body):
        asked.append(body["aggs"])
        raise _refused(400)

    assert ask_facets(ask, parse("a")) == NONE
    assert [(one["buckets"]["terms"]["field"], "years" in one) for one in asked] == [
        ("bucket", True), ("bucket.keyword", True), ("bucket", False), ("bucket.keyword", False),
    ]  # fmt: skip


def test_an_index_that_refuses_for_another_reason_is_unavailable():
    def ask(_body):
        raise _refused(503)

    with pytest.raises(IndexUnavailableError):
        ask_facets(ask, parse("a"))


def test_a_query_that_can_match_nothing_is_not_asked():
    assert ask_facets(lambda body: pytest.fail(str(body)), parse("!!!")) == NONE
    assert FIELDS == ("extensions", "buckets", "years")
