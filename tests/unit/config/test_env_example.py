"""config/worker.env.example is compared with the settings, and can be used as it is."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from recovery.manager.settings import ManagerSettings
from tools import reference
from worker.core.base.settings import Settings
from worker.core.base.settings_model import environment_name, load_as

EXAMPLE = Path(__file__).resolve().parents[3] / "config/worker.env.example"
LINES = EXAMPLE.read_text().splitlines()
NAMES = {
    name: field
    for field, info in ManagerSettings.model_fields.items()
    for name in reference.environment_names(field, info)
}  # fmt: skip


def given(pattern: str) -> dict[str, str]:
    return {found[1]: found[2] for line in LINES if (found := re.fullmatch(pattern, line))}


SET, SHOWN = given(r"([A-Z0-9_]+)=(.*)"), given(r"#([A-Z0-9_]+)=(.*)")


@pytest.fixture
def bare(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return monkeypatch


def test_every_line_is_a_comment_or_a_setting_as_systemd_reads_it():
    others = [line for line in LINES if line and not re.fullmatch(r"# .*|#?[A-Z0-9_]+=[^\s\"'$]*", line)]
    assert others == []


def test_every_name_is_a_setting_and_occurs_once():
    assert set(SET) | set(SHOWN) <= set(NAMES)
    assert not set(SET) & set(SHOWN)


def test_every_setting_that_is_needed_is_set_and_nothing_else():
    needed = {environment_name(field, Settings) for field, info in Settings.model_fields.items() if info.is_required()}
    assert set(SET) == needed | {"AWS_REGION", "STATE_BUCKET"}


def test_it_loads_as_it_is(bare):
    for name, value in SET.items():
        bare.setenv(name, value)
    assert load_as(ManagerSettings).state == SET["STATE_BUCKET"]


def test_what_is_commented_out_is_the_default_or_an_example_that_loads(bare):
    for name, value in SET.items():
        bare.setenv(name, value)
    defaults = load_as(ManagerSettings)
    for name, value in SHOWN.items():
        bare.setenv(name, value)
        default = getattr(defaults, NAMES[name])
        if default not in (None, [], SecretStr("")):
            assert getattr(load_as(ManagerSettings), NAMES[name]) == default, name
        bare.delenv(name)


def _annotation(field: str):
    return ManagerSettings.model_fields[field].annotation


def test_no_secret_is_in_it():
    secret = {
        name for name, field in NAMES.items() if SecretStr in getattr(_annotation(field), "__args__", ())
    }  # fmt: skip
    assert secret == {"INDEX_PASSWORD", "OIDC_CLIENT_SECRET"}
    assert not secret & (set(SET) | set(SHOWN))
    assert "@" not in SET["INDEX_URL"]
    assert not re.search(r"AWS_(SECRET|ACCESS|SESSION)", EXAMPLE.read_text())
