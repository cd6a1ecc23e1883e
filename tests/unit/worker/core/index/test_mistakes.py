"""What in a query is a mistake and what is text, and that each mistake says what would be right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.index.mistakes import mistakes, nearest_field
from worker.core.index.query import MAX_CHARS, parse


@pytest.mark.parametrize(
    ("query", "named", "right"),
    [
        ("size:>banana", "'>banana' is not a size", "size:>1mb"),
        ("size:>", "'>' is not a size", "size:>1mb"),
        ("size:", "nothing right after the colon", "in a shell, > and < need quotes: 'size:>1mb'"),
        ("report size: >1mb", "nothing right after the colon", "size:>1mb"),
        ("size:-1", "'-1' is not a size", "size:>1mb"),
        ("size:>1 mb", "without a space", "size:>1mb"),
        ("after:yesterday", "'yesterday' is not a date", "after:2026-01-31"),
        ("before:2026-13-45", "'2026-13-45' is not a date", "before:2026-01-31"),
        ("Before:noon", "'noon' is not a date", "'\"Before:noon\"'"),
        ("after:2027 before:2026", "after and before leave nothing", "below the second"),
        ("size:>2mb size:<1mb", "the sizes leave nothing", "below the second"),
        ("ext:", "nothing right after the colon", "ext:pdf,docx"),
        ("ext:tar.gz", "'tar.gz' is not an extension", "ext:pdf"),
        ("ext:*", "'*' is not an extension", "ext:pdf"),
        ("ext:pdf, docx", "without a space", "ext:pdf,docx"),
        ("bucket:s3://our-files", "is not a bucket's name", "bucket:our-files"),
        ("foo:bar", "there is no field 'foo'", "the fields are ext, bucket, size, after and before"),
        ("foo:bar", "there is no field 'foo'", "'\"foo:bar\"'"),
        ("-foo:bar x", "there is no field 'foo'", "'\"foo:bar\"'"),
        ('author:"Ann Lee"', 'author:"Ann Lee": there is no field', "'\"author:Ann Lee\"'"),
        ("type:pdf", "there is no field 'type'", "the nearest is ext: give one or several, as in ext:pdf"),
        ("date:2026-01-31", "there is no field 'date'", "the nearest is after"),
        ("siez:>1mb", "there is no field 'siez'", "the nearest is size"),
        ("Aftr:2026-01-31", "there is no field 'Aftr'", "the nearest is after"),
        ("ｅｘｔ:pdf", "there is no field 'ｅｘｔ'", "the nearest is ext"),
        ("ext：", "nothing right after the colon", "ext:pdf"),
        ("", "nothing was asked for", "a word"),
        (" \u3000", "nothing was asked for", "a word"),
        ("!!!", "nothing that can be searched for", "give a word"),
        ('"unclosed phrase', "the quotation mark has no other one", "close it"),
        ('a "b c" d"', "the quotation mark has no other one", "leave it out"),
        ('report ""', "nothing between the quotation marks", '"quarterly forecast"'),
        ("-draft", "only says what to leave out", "add a word"),
        ("－draft", "-draft: only says what to leave out", "add a word"),
        ("-ext:tmp", "only says what to leave out", "add a word"),
        (" ".join(f"w{number}" for number in range(40)), "over 32 words", "leave some out"),
        ("word " * MAX_CHARS, "characters", "the most are"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_and_what_would_be_right_is_said(query, named, right):
    [said] = mistakes(query)
    assert named in said
    assert right in said


@pytest.mark.parametrize(
    "query",
    [
        "12:30", "10:30:59", "ratio 16:9", "http://x", "https://example.com:8080/a?b=c", "s3://bucket/key", "C:\\dir", "c:/dir",
        "Re: invoice", "re:invoice", "Fw:report", "TODO:fix", "Subject:Hello", "Text:Hello", "Site:Tokyo", "note: this",
        "件名:請求書", "件名：請求書", "日時：10時", "localhost:9200", "me@example.com", "mailto:a@b.c", "std::vector",
        "arn:aws:s3:::our-files", "doi:10.1000/182", "tel:0312345678", "urn:isbn:0451450523", "key=value", "it's", "a & b",
        '"foo:bar"', '"size:>banana"', '-"foo:bar" x', "“smart quotes”", "経理/2026", "report -draft", "ext:pdf", "-ext:tmp x",
        "size:>=1.5k size:<2mb", "after:2026 before:2027-02", "bucket:our-files", "size:1", "東京 予算", "a-b", "C++",
    ],
)  # fmt: skip
def test_text_and_valid_filters_are_no_mistakes(query):
    assert mistakes(query) == []


def test_all_mistakes_are_said_at_once_and_each_once():
    assert len(mistakes("size:x after:y size:x report")) == 2


@given(st.text())
def test_whatever_is_typed_is_searched_for_or_said_to_be_wrong(text):
    said = mistakes(text)
    assert said or parse(text).wanted or parse(text).filters


@pytest.mark.parametrize(("name", "field"), [("sizes", "size"), ("from", "after"), ("Ext", "ext"), ("colour", None)])
def test_the_nearest_field_of_a_name(name, field):
    assert nearest_field(name) == field
