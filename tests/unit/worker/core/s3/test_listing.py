"""A page of a listing: what boto3 answers, in our terms; an answer that is no listing is an error, never an empty bucket."""

from datetime import UTC, datetime

import pytest

from worker.core.base.errors import StoreError
from worker.core.s3.listing import list_page
from worker.core.s3.objects import ListedObject, ListingPage

AT = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
FOUND = {"Key": "a//b", "ETag": '"e"', "Size": 3, "LastModified": AT, "StorageClass": "STANDARD"}


class Answering:
    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def list_objects_v2(self, **asked):
        self.asked.append(asked)
        return self.answer


def page(answer, token=None):
    client = Answering(answer)
    return list_page(client, "files", "a", token), client.asked  # type: ignore[arg-type]


def test_a_page_has_its_objects_and_the_token_of_the_next():
    found, asked = page({"Contents": [FOUND], "IsTruncated": True, "NextContinuationToken": "t2"}, "t1")
    assert found == ListingPage([ListedObject("a//b", "e", 3, int(AT.timestamp() * 1000))], "t2")
    assert asked == [{"Bucket": "files", "Prefix": "a", "ContinuationToken": "t1"}]


def test_the_first_page_has_no_token_and_the_last_page_names_none():
    found, asked = page({"IsTruncated": False})
    assert found == ListingPage([], None)
    assert asked == [{"Bucket": "files", "Prefix": "a"}]


@pytest.mark.parametrize(
    "answer",
    [{}, {"Contents": [FOUND]}, {"IsTruncated": True}, {"Contents": [{"Key": "a"}], "IsTruncated": False}],
    ids=["a proxy's page", "no end", "no token", "no etag"],
)
def test_an_answer_that_is_no_listing_is_an_error(answer):
    with pytest.raises(StoreError, match="the answer cannot be parsed"):
        page(answer)


def test_a_listing_that_does_not_go_on_is_an_error():
    with pytest.raises(StoreError, match="does not continue"):
        page({"IsTruncated": True, "NextContinuationToken": "t1"}, "t1")
