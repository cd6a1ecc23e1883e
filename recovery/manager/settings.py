"""The settings of `dlq-manager`: the worker's, and those of the ledger and of the address at which it answers."""

import ipaddress
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from recovery.manager.settings_retry import RetrySettings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ManagerSettings(RetrySettings):
    """All settings of the manager."""

    ledger_url: SecretStr = Field(
        SecretStr("sqlite:////var/lib/s3-index-worker/ledger.sqlite"),
        description="Database of the ledger: sqlite:////PATH, or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.",
    )
    ledger_keep_days: int = Field(
        90,
        ge=1,
        le=3_650,
        description="Days after which recovered, archived and abandoned dead letters leave the ledger, with their history.",
    )
    manager_host: str = Field(
        "127.0.0.1", description="Address at which the manager answers; one of this machine alone (loopback)."
    )
    manager_port: int = Field(8024, ge=0, le=65_535, description="Port at which the manager answers; 0: any free one.")
    manager_allowed_hosts: Annotated[list[str], NoDecode] = Field(
        [], description="Comma-separated host names besides localhost by which the manager may be asked for."
    )
    message_types_dir: Path | None = Field(
        None, description="Folder of message types (NAME.json, a JSON Schema each), instead of the included one."
    )

    @field_validator("manager_allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [name.strip().lower() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("manager_host")
    @classmethod
    def _is_loopback(cls, value: str) -> str:
        if value == "localhost":
            return value
        try:
            is_loopback = ipaddress.ip_address(value).is_loopback
        except ValueError:
            is_loopback = False
        if not is_loopback:
            raise ValueError(
                "is not an address of this machine alone; it should be 127.0.0.1, ::1 or localhost, because whoever reaches the "
                "manager can read every dead letter: to reach it from elsewhere, use a tunnel (ssh -L)"
            )
        return value

    @model_validator(mode="after")
    def _is_not_the_metrics_port(self) -> Self:
        if self.manager_port and self.manager_port == self.metrics_port + self.worker_instance:
            raise ValueError(
                f"MANAGER_PORT={self.manager_port} is the port of the worker's metrics (METRICS_PORT); it should be another"
            )
        return self

    @property
    def hosts(self) -> frozenset[str]:
        """The names by which the manager may be asked for (the Host header of a request)."""
        return LOOPBACK | {self.manager_host} | frozenset(self.manager_allowed_hosts)
