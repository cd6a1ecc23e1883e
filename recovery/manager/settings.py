"""The settings of `dlq-manager`: the worker's, and those of the ledger, of the address at which it answers, and of who may ask."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from recovery.manager.addresses import OfList, PublicUrl, is_loopback, network
from recovery.manager.json_paths import parse_path, split_paths
from recovery.manager.settings_retry import RetrySettings
from worker.core.base.settings_model import Rule

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NEEDED = {
    "oidc": ("oidc_issuer", "oidc_client_id", "oidc_client_secret", "manager_url"),
    "proxy": ("proxy_user_header", "proxy_role_header", "proxy_trusted"),
}
"""What these ways of signing in cannot do without."""


def _is_not_the_metrics_port(settings: Any) -> str | None:
    if settings.manager_port and settings.manager_port == settings.metrics_port + settings.worker_instance:
        return f"MANAGER_PORT={settings.manager_port} is the port of the worker's metrics (METRICS_PORT); it should be another"
    return None


def _is_safe(settings: Any) -> str | None:
    if settings.manager_auth == "none" and not is_loopback(settings.manager_host):
        return (
            f"MANAGER_HOST={settings.manager_host!r}: is not an address of this machine alone, and with MANAGER_AUTH=none "
            "whoever reaches the manager may act; it should be 127.0.0.1, ::1 or localhost, which a tunnel reaches from elsewhere "
            "(ssh -L), or MANAGER_AUTH should be token, oidc or proxy"
        )
    return None


def _has_an_index_to_search(settings: Any) -> str | None:
    if settings.search_page and not settings.has_index:
        return "SEARCH_PAGE=on needs a setting that is missing: INDEX_URL"
    return None


def _has_what_it_needs(settings: Any) -> str | None:
    auth = settings.manager_auth
    if missing := [name.upper() for name in _NEEDED.get(auth, ()) if not getattr(settings, name)]:
        return f"MANAGER_AUTH={auth} needs settings that are missing: {', '.join(missing)}"
    if auth in {"oidc", "proxy"} and not any(
        (settings.manager_readers, settings.manager_operators, settings.manager_admins)
    ):
        return (
            f"MANAGER_AUTH={auth}: MANAGER_READERS, MANAGER_OPERATORS and MANAGER_ADMINS are missing, at least one of which "
            "should name a role; nobody else gets in"
        )
    return None


class ManagerSettings(RetrySettings):
    """All settings of the manager."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *RetrySettings.rules,
        _is_not_the_metrics_port,
        _is_safe,
        _has_what_it_needs,
        _has_an_index_to_search,
    )

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
        "127.0.0.1",
        description="Address on which the manager listens; one that other machines can reach requires MANAGER_AUTH.",
    )
    manager_port: int = Field(8024, ge=0, le=65_535, description="Port on which the manager listens; 0: any free one.")
    manager_allowed_hosts: Annotated[list[str], NoDecode] = Field(
        [], description="Comma-separated host names, besides localhost, under which the manager may be reached."
    )
    manager_auth: Literal["none", "token", "oidc", "proxy"] = Field(
        "none",
        description="Who may use the manager. none: everybody on this machine, as an operator; token: whoever has a token from "
        "`dlq-manager token create`; oidc: also whoever signs in at OIDC_ISSUER; proxy: also whoever a proxy in front names.",
    )
    manager_url: PublicUrl | None = Field(
        None,
        description="URL by which browsers reach the manager, also in the links of notifications: https://HOST[:PORT]. Needed "
        "for oidc. Default of links: http://127.0.0.1:MANAGER_PORT.",
    )
    manager_readers: OfList = Field(
        [], description="Comma-separated values of OIDC_ROLES_CLAIM or PROXY_ROLE_HEADER that make somebody a reader."
    )
    manager_operators: OfList = Field([], description="The same for operators, who may also see bodies and act.")
    manager_admins: OfList = Field([], description="The same for admins, who may also delete.")
    manager_requests_per_minute: int = Field(
        6_000, ge=10, le=1_000_000, description="Requests per minute of one principal; more are answered with 429."
    )
    oidc_issuer: PublicUrl | None = Field(
        None, description="Issuer of the OpenID provider; its /.well-known/openid-configuration provides the rest."
    )
    oidc_client_id: str | None = Field(None, description="Client id that the provider has assigned to the manager.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Client secret for that id; preferably given as a systemd credential."
    )
    oidc_scopes: str = Field("openid profile", description="Scopes to request, separated by spaces.")
    oidc_name_claim: str = Field(
        "preferred_username", description="Claim by which people are named in the audit; if it is absent: sub."
    )
    oidc_roles_claim: str = Field(
        "roles", description="Claim with a person's roles or groups; a dot leads into an object: realm_access.roles."
    )
    proxy_user_header: str | None = Field(
        None, description="Header in which the proxy names the user; it must remove this header from what others send."
    )
    proxy_role_header: str | None = Field(
        None, description="Header in which the proxy gives the user's roles, comma-separated."
    )
    proxy_trusted: OfList = Field(
        [],
        description="Comma-separated addresses or networks of the proxy; the connection itself must come from them.",
    )
    search_page: bool = Field(
        False,
        description="Whether the console has a page that searches the index. It shows every document to everyone who may sign in, "
        "who can open the files that it finds.",
    )
    redact_fields: Annotated[list[str], NoDecode] = Field(
        [],
        description="Comma-separated JSON paths ($.customer.email, $..password) whose values are never shown, in bodies, "
        "attributes and error texts; a body that is not JSON is then not shown at all.",
    )
    message_types_dir: Path | None = Field(
        None, description="Folder of message types (NAME.json, one JSON Schema each), instead of the included one."
    )
    notify_urls: SecretStr = Field(
        SecretStr(""),
        description="Comma-separated apprise URLs (mailtos://…, slack://…) at which the operators of the system are "
        "notified; a comma within a URL is written %2C. Preferably given as a systemd credential.",
    )
    notify_language: Literal["en", "ja"] = Field("en", description="Language of notifications: en or ja.")
    notify_every_s: int = Field(
        3_600,
        ge=60,
        le=604_800,
        description="Seconds between two notifications about one group: a new group is reported at once, then in a digest.",
    )
    owners: SecretStr = Field(
        SecretStr(""),
        description="Comma-separated PREFIX=ADDRESS: who is notified of failures of objects whose keys begin with PREFIX; a mail "
        "address or an apprise URL. s3://BUCKET/PREFIX is for one bucket, * is the default; the longest prefix wins.",
    )

    @field_validator("manager_allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [name.strip().lower() for name in value.split(",") if name.strip()] if isinstance(value, str) else value

    @field_validator("redact_fields", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        return split_paths(value) if isinstance(value, str) else value

    @field_validator("redact_fields")
    @classmethod
    def _are_paths(cls, value: list[str]) -> list[str]:
        for one in value:
            parse_path(one)
        return value

    @field_validator("proxy_trusted")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        for one in value:
            network(one)
        return value

    @property
    def roles(self) -> dict[str, frozenset[str]]:
        """What makes somebody reader, operator or admin."""
        named = {"reader": self.manager_readers, "operator": self.manager_operators, "admin": self.manager_admins}
        return {role: frozenset(values) for role, values in named.items()}

    @property
    def base_url(self) -> str | None:
        """What stands before a path in the links of notifications, and where a provider sends people back; None if unknown."""
        return self.manager_url.rstrip("/") if self.manager_url else None

    @property
    def hosts(self) -> frozenset[str]:
        """The names by which the manager may be asked for (the Host header of a request)."""
        public = {urlsplit(self.manager_url).hostname or ""} if self.manager_url else set()
        return LOOPBACK | {self.manager_host} | frozenset(self.manager_allowed_hosts) | public
