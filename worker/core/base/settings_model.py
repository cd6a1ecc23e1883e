"""What every set of settings shares: where they come from, and that all that is wrong with them is told at once."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, Self, TypeVar

from pydantic import AliasChoices, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from worker.core.base.address import region_of_queue, shown_address
from worker.core.base.errors import ConfigError
from worker.core.base.misspelt import misspelt
from worker.core.base.settings_words import is_secret, require_bare, sentence

Rule = Callable[[Any], str | None]
"""Says what is wrong with settings that contradict each other, or None. It is not asked where one that it reads is wrong itself."""


class Origin(StrEnum):
    """Where a setting's value comes from."""

    CREDENTIAL = "credential"
    """A file of systemd's LoadCredential=."""
    ENVIRONMENT = "environment"
    DEFAULT = "default"


_noted: ContextVar[dict[str, Any] | None] = ContextVar("_noted", default=None)
"""The fields that were found valid while a model was made: pydantic's error does not have them."""

NO_REGION = "AWS_REGION is missing: the region of queue, buckets and index, such as eu-central-1"

AnySettings = TypeVar("AnySettings", bound="SettingsModel")


class SettingsModel(BaseSettings):
    """A set of settings: arguments, then systemd's credentials, then the environment."""

    model_config = SettingsConfigDict(
        case_sensitive=False, extra="ignore", frozen=True, env_ignore_empty=True, populate_by_name=True
    )
    rules: ClassVar[tuple[Rule, ...]] = ()
    """What settings must not be together."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: arguments, then systemd's credentials, then the environment."""
        directory = credentials_directory()
        if directory is not None:
            return init_settings, SecretsSettingsSource(settings_cls, secrets_dir=directory), env_settings
        return init_settings, env_settings

    @field_validator("*", mode="before")
    @classmethod
    def _is_bare(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and info.field_name:
            require_bare(value, cls.model_fields[info.field_name])
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _note(cls, value: Any, info: ValidationInfo) -> Any:
        noted = _noted.get()
        if noted is not None and info.field_name:
            noted[info.field_name] = value
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if found := list(_broken(self.rules, self)):
            raise ValueError("\n".join(found))
        return self


def credentials_directory() -> Path | None:
    """The folder of systemd's LoadCredential=, if there is one."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(directory) if directory and Path(directory).is_dir() else None


def environment_name(field: str, kind: type[BaseSettings]) -> str:
    """The environment variable of a setting: its first alias, or its name in capitals."""
    return _names(field, kind)[0]


def where_set(field: str, kind: type[BaseSettings]) -> tuple[Origin, str]:
    """Where the value of a setting comes from, unless it was an argument: the file, or the variable; empty for the default.

    The order is that of `settings_customise_sources`; an empty variable counts as none.
    """
    names = [name.lower() for name in _names(field, kind)]
    directory = credentials_directory()
    files = {path.name.lower(): path for path in directory.iterdir() if path.is_file()} if directory else {}
    variables = {name.lower(): name for name, value in os.environ.items() if value}
    for origin, found in ((Origin.CREDENTIAL, files), (Origin.ENVIRONMENT, variables)):
        for name in names:
            if name in found:
                return origin, str(found[name])
    return Origin.DEFAULT, ""


def load_as(kind: type[AnySettings], **overrides: Any) -> AnySettings:
    """Load settings from arguments, credentials and environment.

    Raises ConfigError with one line for each setting that is missing or wrong, or contradicts another, all of them together.
    """
    noted: dict[str, Any] = {}
    token = _noted.set(noted)
    problems = list(_with_two_values(kind, overrides))
    try:
        found = kind(**overrides)
    except ValidationError as error:
        problems += _of_validation(kind, error, noted)
    else:
        if not problems:
            return found
    finally:
        _noted.reset(token)
    if "aws_region" in kind.model_fields and not _has_region(overrides):
        problems.append(NO_REGION)
    raise ConfigError("\n".join(dict.fromkeys([*problems, *misspelt_settings()]))) from None


def _has_region(overrides: Mapping[str, Any]) -> bool:
    """Whether a region is set, or the AWS profile has one, or the URLs of the queues name one: then no other is needed."""
    from worker.core.base.aws import Aws  # which loads this module

    queues = [overrides.get(name.lower()) or os.environ.get(name, "") for name in ("SQS_QUEUE_URL", "DLQ_QUEUE_URL")]
    if overrides.get("aws_region") or os.environ.get("AWS_REGION") or all(map(region_of_queue, queues)):
        return True
    try:
        return bool(Aws().region)
    except ConfigError:  # a profile that does not exist: that is told when it is used
        return True


def misspelt_settings() -> list[str]:
    """One sentence for each variable of the environment, or credential, that is probably meant to be a setting, and is none."""
    known = {name for kind in _kinds(SettingsModel) for field in kind.model_fields for name in _names(field, kind)}
    directory = credentials_directory()
    credentials = [path.name.upper() for path in directory.iterdir()] if directory else []
    return misspelt([*os.environ, *credentials], known)


def _kinds(of: type[SettingsModel]) -> Iterator[type[SettingsModel]]:
    for kind in of.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _names(field: str, kind: type[BaseSettings]) -> list[str]:
    alias = kind.model_fields[field].validation_alias
    return [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [field.upper()]


def _broken(rules: tuple[Rule, ...], settings: Any) -> Iterator[str]:
    for rule in rules:
        try:
            found = rule(settings)
        except AttributeError:  # what it reads is wrong itself, and told
            continue
        if found:
            yield found


def _of_validation(kind: type[SettingsModel], error: ValidationError, noted: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each setting that is wrong, and then for those that contradict each other."""
    wrong = set()
    for detail in error.errors():
        field = _field_of(detail, kind)
        wrong.add(field)
        yield sentence(detail, kind.model_fields.get(field), environment_name(field, kind) if field else "")
    if wrong != {""}:
        valid = {
            name: noted.get(name, one.get_default(call_default_factory=True, validated_data={}))
            for name, one in kind.model_fields.items()
            if name not in wrong
        }
        yield from _broken(kind.rules, SimpleNamespace(**valid))


def _field_of(detail: Any, kind: type[SettingsModel]) -> str:
    """The field that an error is about; empty if it is about the settings together."""
    location = str(detail["loc"][0]) if detail["loc"] else ""
    named = {name.lower(): field for field in kind.model_fields for name in _names(field, kind)}
    return named.get(location.lower(), location.lower())


def _with_two_values(kind: type[SettingsModel], overrides: Mapping[str, Any]) -> Iterator[str]:
    """The settings that have two names, both of which are set, to different values. AWS's own are left to AWS's rules."""
    for field in kind.model_fields:
        names = [name for name in _names(field, kind) if not name.startswith("AWS_")]
        if field not in overrides and (found := two_values(names)):
            yield found


def two_values(names: list[str]) -> str:
    """What is wrong if these variables, the names of one setting, have different values; empty if they do not."""
    found = {name: value for name in names if (value := os.environ.get(name))}
    if len({value.rstrip("/") for value in found.values()}) < 2:
        return ""
    shown = " and ".join(f"{name}={_shown(value)}" for name, value in found.items())
    return f"{shown} are two names of one setting with two values; unset one of them ({names[0]} is its name)"


def _shown(value: str) -> str:
    return shown_address(value) if is_secret(value, hides=True) else value
