"""Which addresses of a database are taken, and that no password is shown."""

import pytest

from recovery.ledger.address import file_of, ledger_url, shown
from worker.core.base.errors import ConfigError


def test_a_file_needs_an_absolute_path() -> None:
    assert str(file_of(ledger_url("sqlite:////var/lib/x/ledger.sqlite"))) == "/var/lib/x/ledger.sqlite"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not the address of a database"),
        ("/var/lib/ledger.sqlite", "is not the address of a database"),
        ("sqlite://", "names no file by an absolute path"),
        ("sqlite:///ledger.sqlite", "names no file by an absolute path"),
        ("sqlite:///:memory:", "names no file by an absolute path"),
        ("sqlite:////x?mode=ro", "has more than a path"),
        ("mysql://root@db/ledger", "names the database or driver mysql"),
        ("postgresql://u@db/ledger", "names the database or driver postgresql"),
        ("postgresql+psycopg://u@db", "names no database"),
    ],
)
def test_a_wrong_address_is_answered_with_what_would_be_right(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ledger_url(text)
    assert str(raised.value) == (
        f"LEDGER_URL={text} {why}; it should be sqlite:////PATH (an absolute path has four slashes) "
        "or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
    )


@pytest.mark.parametrize("password", ["secret", "se:cret", "se@cret", "se/cret", "se%40cret"])
@pytest.mark.parametrize("kind", ["mysql", "postgresql", "postgres+psycopg:/", ""])
def test_a_wrong_address_does_not_show_its_password(kind: str, password: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ledger_url(f"{kind}://dlq:{password}@db/ledger")
    assert "cret" not in str(raised.value)


def test_a_right_address_does_not_show_its_password() -> None:
    url = ledger_url(
        "postgresql+psycopg://dlq:secret@db:5433/ledger?sslmode=require&sslpassword=secret2&password=secret3"
    )
    assert shown(url) == ("postgresql+psycopg://dlq:***@db:5433/ledger?password=***&sslmode=require&sslpassword=***")
