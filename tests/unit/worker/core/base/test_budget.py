"""What BUDGET_CAPS and BUDGET_PRICES may say."""

import pytest

from testing.fakes import Fakes
from worker.core.base.budget import Cap, parse_caps
from worker.core.base.errors import ConfigError


def test_caps_on_everything_and_on_prefixes():
    assert parse_caps("objects=1000, seconds=2.5,s3://files/法務/:bytes=1e9,") == (
        Cap("", "objects", 1_000),
        Cap("", "seconds", 2_500),
        Cap("s3://files/法務/", "bytes", 10**9),
    )


def test_a_cap_is_named_as_it_is_set_whatever_is_in_its_prefix():
    [cap] = parse_caps("s3://files/a%2Cb%25 =x:y/:dollars=0.5")
    assert cap == Cap("s3://files/a,b% =x:y/", "dollars", 500_000_000)
    [again] = parse_caps(f"{cap.name}=0.5")
    assert again == cap


def test_a_cap_covers_its_prefix_of_its_bucket_alone():
    [cap] = parse_caps("s3://files/legal/:objects=1")
    assert cap.covers("files", "legal/a")
    assert not cap.covers("files", "legal")
    assert not cap.covers("files2", "legal/a")
    assert Cap("", "objects", 1).covers("any", "key")


@pytest.mark.parametrize(
    "text",
    ["pages=3", "objects", "objects=-1", "objects=nan", "objects=inf", "objects=x", "files/:objects=1",
     "s3://files:objects=1", "objects=1,objects=2"],
)  # fmt: skip
def test_what_is_no_cap_is_refused_with_the_setting_and_its_value(text):
    with pytest.raises(ConfigError, match="BUDGET_CAPS"):
        Fakes().settings(budget_caps=text)


@pytest.mark.parametrize("text", ["dollars=1", "pages=1", "objects=-1"])
def test_what_is_no_price_is_refused(text):
    with pytest.raises(ConfigError, match="BUDGET_PRICES"):
        Fakes().settings(budget_prices=text)


def test_the_settings_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("BUDGET_CAPS", "objects=5")
    monkeypatch.setenv("BUDGET_PRICES", "bytes=1e-9")
    settings = Fakes().settings()
    assert settings.budget_caps == (Cap("", "objects", 5),)
    assert settings.budget_prices == {"bytes": 1e-9}
