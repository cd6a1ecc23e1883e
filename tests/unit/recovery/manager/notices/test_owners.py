"""OWNERS: which prefix wins, what is refused, and that no secret is shown."""

import unicodedata

import pytest

from recovery.manager.notices.owners import owner_of, parse_owners
from worker.core.base.errors import ConfigError

OWNERS = parse_owners(
    "invoices/=accounts@example.com, 契約/=legal@example.co.jp,invoices/2026/=new@example.com,"
    "s3://scans/invoices/=scans@example.com,s3://scans/=json://hooks.example.com/token123?a=b,"
    "year=2026/=archive@example.com,a%2Cb/=comma@example.com,*=ops@example.com"
)


@pytest.mark.parametrize(
    ("bucket", "key", "name"),
    [
        ("files", "invoices/1.pdf", "accounts@example.com"),
        ("files", "invoices/2026/1.pdf", "new@example.com"),
        ("scans", "invoices/1.pdf", "scans@example.com"),
        ("scans", "invoices/2026/1.pdf", "new@example.com"),
        ("scans", "other.pdf", "s3://scans/ (json)"),
        ("files", "契約/覚書.pdf", "legal@example.co.jp"),
        ("files", "year=2026/x", "archive@example.com"),
        ("files", "a,b/x", "comma@example.com"),
        ("files", "elsewhere", "ops@example.com"),
        ("", "", "ops@example.com"),
    ],
)
def test_the_longest_prefix_wins_and_a_bucket_decides_between_equals(bucket, key, name):
    owner = owner_of(OWNERS, bucket, key)
    assert owner is not None
    assert owner.name == name


def test_a_decomposed_key_has_the_owner_of_the_composed_prefix():
    owners = parse_owners("ガイド/=guide@example.com")
    decomposed = unicodedata.normalize("NFD", "ガイド/1.pdf")
    assert decomposed != "ガイド/1.pdf"
    assert owner_of(owners, "files", decomposed) == owners[0]


def test_without_a_default_what_no_prefix_names_has_no_owner():
    assert owner_of(parse_owners("a/=a@example.com"), "files", "b") is None
    assert parse_owners("") == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("invoices/", r"entry 1 \(\(hidden\)\) should be PREFIX=ADDRESS"),
        ("a/=a@example.com,invoices/=accounts", r"entry 2 \(invoices/\) should be PREFIX=ADDRESS"),
        ("a/=a@example.com,a/=b@example.com", "names a/ twice"),
        ("*=a@example.com,=b@example.com", r"names \* twice"),
        ("slack://secret/token", r"entry 1 \(\(hidden\)\)"),
        (",".join(f"{n}/=a@example.com" for n in range(1_001)), "1,001 entries; it should have at most 1,000"),
    ],
)
def test_a_wrong_entry_is_named_without_its_secrets(value, said):
    with pytest.raises(ConfigError, match=said) as raised:
        parse_owners(value)
    assert "secret" not in str(raised.value)
