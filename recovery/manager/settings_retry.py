"""The settings of what the manager does by itself: it sends dead letters again, and finds out what became of them."""

import re

from pydantic import AliasChoices, Field, SecretStr, field_validator

from recovery.manager.schedule import RetryRules
from worker.core.base.names import index_url
from worker.core.base.settings import Settings

_GROUP = re.compile(r"([0-9A-Za-z_-]{1,64})=(\d{1,3})")


class RetrySettings(Settings):
    """The worker's settings, of which the index is not needed here, and those of retries."""

    index_url: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("INDEX_URL", "OPENSEARCH_ENDPOINT"),
        description="The workers' index; without it, the manager can confirm no recovery and diagnose nothing.",
    )
    retry_first_s: float = Field(
        300.0, gt=0, le=86_400, description="Maximum number of seconds before a dead letter is first resent automatically; "
        "doubled each time."
    )  # fmt: skip
    retry_max_s: float = Field(
        21_600.0, gt=0, le=604_800, description="Maximum number of seconds between two such retries of a dead letter."
    )
    retry_times: int = Field(
        8, ge=0, le=100, description="How many times a dead letter is resent automatically; 0: never."
    )
    retry_rate: float = Field(
        10.0, gt=0, le=1_000, description="Messages per second, in total, that are resent automatically."
    )
    retry_groups: str = Field(
        "",
        description="Groups with a different number of retries, such as 5b1f2c=0,9ac0=3: the beginning of a fingerprint, and "
        "the number; 0: never.",
    )

    @field_validator("index_url")
    @classmethod
    def _is_index_url(cls, value: SecretStr) -> SecretStr:
        return index_url(value) if value.get_secret_value() else value

    @field_validator("retry_groups")
    @classmethod
    def _are_groups(cls, value: str) -> str:
        for part in filter(None, (part.strip() for part in value.split(","))):
            found = _GROUP.fullmatch(part)
            if found is None or int(found[2]) > 100:
                raise ValueError(
                    f"has {part!r}; it should be FINGERPRINT=TIMES,…, such as 5b1f2c=0,9ac0=3, with at most 100 times"
                )
        return value

    @property
    def has_index(self) -> bool:
        """Whether an index is set."""
        return bool(self.index_url.get_secret_value())

    @property
    def retry_rules(self) -> RetryRules:
        """When dead letters are sent again by themselves."""
        parts = (part.strip().partition("=") for part in self.retry_groups.split(",") if part.strip())
        return RetryRules(
            first_s=self.retry_first_s, max_s=self.retry_max_s, times=self.retry_times,
            groups={prefix: int(times) for prefix, _, times in parts},
        )  # fmt: skip
