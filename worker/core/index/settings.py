"""The settings for requests to the index alone, as a person sends them before there are queues, or from another machine."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import SecretStr, model_validator

from worker.core.base.names import IndexUrl
from worker.core.base.settings import Settings, check_sign_in
from worker.core.base.sources import FromEnvironment

_worker: dict[str, Any] = dict(Settings.model_fields)


class IndexSettings(FromEnvironment):
    """The settings of the index's client. They are defined as the worker's."""

    aws_region: str | None = _worker["aws_region"]
    index_url: IndexUrl = _worker["index_url"]
    index_auth: Literal["auto", "none", "basic", "es", "aoss"] = _worker["index_auth"]
    index_user: str | None = _worker["index_user"]
    index_password: SecretStr | None = _worker["index_password"]
    index_ca_file: Path | None = _worker["index_ca_file"]
    index_verify_tls: bool = _worker["index_verify_tls"]
    index_timeout_s: int = _worker["index_timeout_s"]
    bulk_requests: int = _worker["bulk_requests"]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        check_sign_in(self.index_auth, self.index_user, self.index_password)
        return self


AnySettings = Settings | IndexSettings
"""What the index's client takes its settings from."""
