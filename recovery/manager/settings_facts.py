"""What the settings are, where each was set, what is wrong with them, and which tokens there are. No secret is among it."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from recovery.ledger.ledger import Ledger
from recovery.ledger.tokens import Token
from recovery.manager.doctor import of_settings
from recovery.manager.schedule import RetryRules
from recovery.manager.settings import ManagerSettings
from worker.checks import Check
from worker.core.base.address import shown_address
from worker.core.base.budget import Cap
from worker.core.base.settings import Settings
from worker.core.base.settings_model import Origin, environment_name, where_set
from worker.core.base.settings_words import accepted, choices

SET, NOT_SET = "(set)", ""
"""A secret is shown as one of these."""
_USER_OF_ADDRESS = re.compile(r"(?<=://)[^/@\s]*@")
_NO_TOKEN = Check("sign-in", "warning", "no token is valid: no program can ask", "run `dlq-manager token create`")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the manager."""

    name: str
    """The environment variable."""
    value: str
    default: str
    origin: Origin
    where: str
    """The variable or the file; empty for a default."""
    purpose: str
    accepts: str
    """What it may be: `seconds, a whole number from 1 to 20`; empty for a text."""
    is_secret: bool
    is_shared: bool
    """Whether the worker has it, too: its own value stands in its own environment."""

    @property
    def differs(self) -> bool:
        """Whether somebody has set it to anything but its default."""
        return self.origin is not Origin.DEFAULT and (self.is_secret or self.value != self.default)


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    """Everything about the settings at one moment."""

    at_ms: int
    settings: tuple[Setting, ...]
    """Those of the manager alone first."""
    wrong: tuple[Check, ...]
    """What is wrong, or could be better, and what to do about it."""
    tokens: tuple[Token, ...]
    """Every token that there was, by name. Their digests are not to be shown."""


def words_of_settings() -> tuple[str, ...]:
    """What is said of each setting in words of its own, to be translated: what it is for, and the values of one that has few."""
    fields = ManagerSettings.model_fields.values()
    return tuple(filter(None, (text for field in fields for text in (field.description, choices(field)))))


class SettingsReader:
    """Reads them. May be used from any thread."""

    def __init__(self, settings: ManagerSettings, ledger: Ledger, *, problems: Callable[[], list[str]] = list) -> None:
        """`problems`: what keeps the manager from its work, as /health has it."""
        self._settings = settings
        self._ledger = ledger
        self._problems = problems

    @property
    def retry_rules(self) -> RetryRules:
        """When dead letters are sent again by themselves."""
        return self._settings.retry_rules

    @property
    def retry_rate(self) -> float:
        """How many are in a second, at most."""
        return self._settings.retry_rate

    def read(self) -> SettingsFacts:
        """What they are now. Raises LedgerError."""
        tokens = tuple(self._ledger.tokens.all())
        now_ms = time.time_ns() // 1_000_000
        return SettingsFacts(now_ms, self._known, tuple(self._wrong(tokens, now_ms)), tokens)

    @cached_property
    def _known(self) -> tuple[Setting, ...]:
        found = [self._setting(name, field) for name, field in ManagerSettings.model_fields.items()]
        return tuple(sorted(found, key=lambda one: one.is_shared))

    @cached_property
    def _checked(self) -> list[Check]:
        return [one for one in of_settings(self._settings) if one.level != "ok"]

    def _wrong(self, tokens: tuple[Token, ...], now_ms: int) -> Iterator[Check]:
        yield from (Check("manager", "error", problem) for problem in self._problems())
        yield from self._checked
        if self._settings.manager_auth == "token" and not any(one.is_valid(now_ms) for one in tokens):
            yield _NO_TOKEN

    def _setting(self, name: str, field: FieldInfo) -> Setting:
        origin, where = where_set(name, ManagerSettings)
        value, default = getattr(self._settings, name), _default(field)
        return Setting(
            environment_name(name, ManagerSettings), self._shown(name, value), self._shown(name, default), origin, where,
            field.description or "", accepted(field), isinstance(value, SecretStr) or SecretStr in _types(field),
            name in Settings.model_fields,
        )  # fmt: skip

    def _shown(self, name: str, value: Any) -> str:
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            if name == "ledger_url":
                return self._ledger.shown if text == self._settings.ledger_url.get_secret_value() else text
            if name == "index_url" and text:
                return text if text.startswith("sqlite:") else shown_address(text)
            return SET if text else NOT_SET
        return _USER_OF_ADDRESS.sub("***@", _text(value))


def _types(field: FieldInfo) -> tuple[Any, ...]:
    return getattr(field.annotation, "__args__", (field.annotation,))


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})


def _text(value: Any) -> str:
    """A value as it would be typed."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Cap):
        return f"{value.name}={value.amount(value.units):g}"
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    if isinstance(value, dict):
        return ",".join(f"{name}={_text(one)}" for name, one in value.items())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
