"""The user metadata of an object."""

import boto3
import pytest
from botocore.stub import Stubber

from worker.core.base.errors import StoreError
from worker.core.s3.metadata import user_metadata


@pytest.fixture
def stubbed():
    s3 = boto3.client("s3", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(s3) as stub:
        yield s3, stub


def test_names_are_in_small_letters(stubbed):
    s3, stub = stubbed
    wanted = {"Bucket": "files", "Key": "契約/1.pdf"}
    stub.add_response("head_object", {"Metadata": {"Owner": "mei@example.com"}}, wanted)
    assert user_metadata(s3, "files", "契約/1.pdf") == {"owner": "mei@example.com"}


def test_an_object_that_is_not_there_is_a_store_error(stubbed):
    s3, stub = stubbed
    stub.add_client_error("head_object", "404")
    with pytest.raises(StoreError):
        user_metadata(s3, "files", "a")
