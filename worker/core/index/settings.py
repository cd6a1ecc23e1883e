"""The settings for requests to the index alone, as a person sends them before there are queues, or from another machine."""

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import SecretStr

from worker.core.base.names import IndexUrl
from worker.core.base.settings import Settings
from worker.core.base.settings_model import Rule, SettingsModel
from worker.core.base.settings_rules import sign_in

_worker: dict[str, Any] = dict(Settings.model_fields)


class IndexSettings(SettingsModel):
    """The settings of the index's client. They are defined as the worker's."""

    rules: ClassVar[tuple[Rule, ...]] = (sign_in,)

    aws_region: str | None = _worker["aws_region"]
    index_url: IndexUrl = _worker["index_url"]
    index_auth: Literal["auto", "none", "basic", "es", "aoss"] = _worker["index_auth"]
    index_user: str | None = _worker["index_user"]
    index_password: SecretStr | None = _worker["index_password"]
    index_ca_file: Path | None = _worker["index_ca_file"]
    index_verify_tls: bool = _worker["index_verify_tls"]
    index_timeout_s: int = _worker["index_timeout_s"]
    bulk_requests: int = _worker["bulk_requests"]


AnySettings = Settings | IndexSettings
"""What the index's client takes its settings from."""
