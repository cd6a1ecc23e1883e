"""Where settings come from, for every settings model that may have secrets."""

import os
from pathlib import Path

from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)


class FromEnvironment(BaseSettings):
    """Where settings come from."""

    model_config = SettingsConfigDict(
        case_sensitive=False, extra="ignore", frozen=True, env_ignore_empty=True, populate_by_name=True
    )

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
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if directory and Path(directory).is_dir():
            return init_settings, SecretsSettingsSource(settings_cls, secrets_dir=directory), env_settings
        return init_settings, env_settings
