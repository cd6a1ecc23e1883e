"""Tokens in the ledger, on both databases."""

from concurrent.futures import ThreadPoolExecutor

from recovery.ledger.ledger import Ledger
from recovery.ledger.tokens import Token


def token(name: str, digest: str = "", *, expires_ms: int | None = None) -> Token:
    return Token(name, "operator", digest or f"digest of {name}", 1_000, "me@host", expires_ms)


def test_a_token_is_found_by_the_digest_of_its_secret_alone(ledger: Ledger) -> None:
    made = token("ci", expires_ms=9_000)
    assert ledger.tokens.create(made)
    assert ledger.tokens.find("digest of ci") == made
    assert ledger.tokens.find("ci") is None
    assert "digest of ci" not in repr(made)


def test_a_name_is_used_once_even_by_eight_at_a_time(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda place: ledger.tokens.create(token("ci", f"d{place}")), range(8)))
    assert created.count(True) == 1
    assert ledger.tokens.revoke("ci", by="me")
    assert not ledger.tokens.create(token("ci", "another"))


def test_a_revoked_token_stays_with_who_revoked_it_first(ledger: Ledger) -> None:
    ledger.tokens.create(token("ci"))
    first = ledger.tokens.revoke("ci", by="alice")
    assert first is not None
    assert not first.is_valid(0)
    assert ledger.tokens.revoke("ci", by="bob") == first
    assert ledger.tokens.revoke("unknown", by="bob") is None


def test_tokens_are_listed_by_name_with_their_last_use(ledger: Ledger) -> None:
    for name in ("b", "a"):
        ledger.tokens.create(token(name))
    ledger.tokens.note_use("digest of b", 5_000)
    assert [(one.name, one.used_ms) for one in ledger.tokens.all()] == [("a", None), ("b", 5_000)]


def test_a_token_is_valid_until_it_expires() -> None:
    made = token("ci", expires_ms=9_000)
    assert (made.is_valid(8_999), made.is_valid(9_000)) == (True, False)
