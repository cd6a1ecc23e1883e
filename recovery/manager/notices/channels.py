"""Where notifications go: the URLs of NOTIFY_URLS and OWNERS, through apprise. The one module that uses it.

apprise takes most of a second to load its services, and is needed only where URLs are set, so it is imported late.
"""

import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from recovery.manager.notices.owners import Owner, is_mail
from recovery.manager.notices.wording import Said
from worker.core.base.errors import ConfigError, DependencyError
from worker.core.base.text import one_line

SERVICE_TIMEOUT_S = 20
"""Of one notification, in seconds: a manager that stops waits no longer for its threads (LANES_STOP_S)."""
MAX_ERROR_CHARS = 300
MAX_URLS = 20
_SHORTEST_SECRET = 4
"""Parts of a URL that are shorter (a mode, a port) are no secrets, and would hide half of a sentence."""
_PARTS = re.compile(r"[/:@?&=,+]+")
_IN_MAIL = ("mailto", "mailtos")


class NotifyError(DependencyError):
    """Raised when a notification was not accepted; the message says why, without secrets."""


class Channel:
    """One URL, ready to be used."""

    def __init__(self, url: str, service: Any) -> None:
        self.schema = url.partition("://")[0].lower()
        self._service = service
        shown = str(service.url(privacy=True))
        self._secrets = sorted((one for one in _parts(url) if one not in unquote(shown)), key=len, reverse=True)

    def send(self, said: Said) -> None:
        """Send a text. Raises NotifyError."""
        import apprise

        with _heard() as heard:
            try:
                done = self._service.notify(
                    title=said.subject, body=said.text, body_format=apprise.NotifyFormat.TEXT,
                    notify_type=apprise.NotifyType.WARNING,
                )  # fmt: skip
            except Exception as error:  # noqa: BLE001 (a service's plugin may raise anything; one must not stop the others)
                raise NotifyError(self._without_secrets(f"{self.schema}: {type(error).__name__}: {error}")) from None
        if not done:
            why = "; ".join(dict.fromkeys(heard)) or "the service refused, and does not say why"
            raise NotifyError(self._without_secrets(f"{self.schema}: {why}"))

    def to_mail(self, address: str, url: str) -> "Channel":
        """The same mail server and sender, for another recipient."""
        other = Channel(url, _made(url, self._service.asset))
        service = other._service
        service.targets, service.cc, service.bcc = [(False, address)], set(), set()
        return other

    @property
    def mail_addresses(self) -> list[str]:
        """Sender and recipients of a channel of mail."""
        if self.schema not in _IN_MAIL:
            return []
        return [self._service.from_addr[1], *(address for _, address in self._service.targets)]

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return one_line(text)[:MAX_ERROR_CHARS]


class Channels:
    """Every channel, by the name of its recipient."""

    def __init__(
        self, ops: Mapping[str, Channel], owners: Mapping[str, Channel], mail: tuple[Channel, str] | None
    ) -> None:
        """`mail`: the channel, and its URL, through which mail to other recipients is sent."""
        self.ops = tuple(ops)
        """The recipients that NOTIFY_URLS names."""
        self.owners = tuple(owners)
        """The owners that are reached by a URL of their own."""
        self._known = {**ops, **owners}
        self._mail = mail
        self._domains = {address.rpartition("@")[2].lower() for one in ops.values() for address in one.mail_addresses}

    @property
    def is_empty(self) -> bool:
        """Whether nobody can be notified."""
        return not self._known and self._mail is None

    def trust(self, addresses: Iterable[str]) -> None:
        """Let the domains of these addresses be written to."""
        self._domains |= {address.rpartition("@")[2].lower() for address in addresses if is_mail(address)}

    def reaches(self, name: str) -> bool:
        """Whether somebody of this name may be notified: one with a channel, or a mail address in a domain of our own.

        An object's metadata is written by whoever uploads it, and must not make us write to strangers.
        """
        if name in self._known:
            return True
        return self._mail is not None and is_mail(name) and name.rpartition("@")[2].lower() in self._domains

    def send(self, recipient: str, said: Said) -> None:
        """Send a text to a recipient. Raises NotifyError."""
        if not self.reaches(recipient):
            raise NotifyError(f"{recipient} is no longer a recipient in NOTIFY_URLS or OWNERS")
        channel = self._known.get(recipient)
        if channel is None and self._mail is not None:
            channel = self._mail[0].to_mail(recipient, self._mail[1])
        if channel is not None:
            channel.send(said)


def open_channels(notify_urls: str, owners: Iterable[Owner], *, link: str) -> Channels:
    """Make every channel; nothing is sent. Raises ConfigError for an address that cannot be used, without its secrets.

    `link`: where the manager is, for services that show who wrote.
    """
    urls = [one for one in re.split(r"[\s,]+", notify_urls) if one]
    owners = list(owners)
    if len(urls) > MAX_URLS:
        raise ConfigError(f"NOTIFY_URLS has {len(urls)} addresses; it should have at most {MAX_URLS}")
    if not urls and not owners:
        return Channels({}, {}, None)
    asset = _asset(link)
    ops = {}
    for place, url in enumerate(urls, start=1):
        channel = _channel(url, asset, f"NOTIFY_URLS: address {place}")
        ops[f"ops {place} ({channel.schema})"] = channel
    others = {
        one.name: _channel(one.address, asset, f"OWNERS: the address of {one.shown}")
        for one in owners if not is_mail(one.address)
    }  # fmt: skip
    mail = next(((one, url) for one, url in zip(ops.values(), urls, strict=True) if one.schema in _IN_MAIL), None)
    mailed = [one for one in owners if is_mail(one.address)]
    if mailed and mail is None:
        raise ConfigError(
            f"OWNERS names the mail address {mailed[0].address}, but NOTIFY_URLS has no mailto:// or mailtos:// address, whose "
            "server is used for it; it should have one"
        )
    channels = Channels(ops, others, mail)
    channels.trust(one.address for one in mailed)
    return channels


def _channel(url: str, asset: Any, called: str) -> Channel:
    schema, separator, _ = url.partition("://")
    with _heard():
        service = _made(url, asset) if separator else None
    if service is None:
        shown = f"{schema}://(hidden)" if separator and schema.isalnum() else "(hidden)"
        raise ConfigError(
            f"{called}, {shown}, is not one that apprise can use; it should be a URL such as "
            "mailtos://USER:PASSWORD@HOST?to=ADDRESS or slack://TOKENS, in which a comma is written %2C (docs/manager.md)"
        )
    return Channel(url, service)


def _made(url: str, asset: Any) -> Any:
    from apprise import Apprise

    service = Apprise.instantiate(url, asset=asset)
    if service is not None and url.lower().startswith(_IN_MAIL):
        service.request_rate_per_sec = 0  # the outbox has a rate of its own
    return service


def _asset(link: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what its services import as they are loaded
        import apprise

        with _heard():
            apprise.Apprise.instantiate("mailto://localhost")  # loads all of them
    return apprise.AppriseAsset(
        app_id="dlq-manager", app_desc="dead letters of s3-index-worker", app_url=link, async_mode=False,
        storage_mode="memory", service_timeout=SERVICE_TIMEOUT_S, secure_logging=True,
    )  # fmt: skip


def _parts(url: str) -> set[str]:
    """The parts of a URL behind its schema, as they stand there and decoded."""
    found = set(_PARTS.split(url.partition("://")[2]))
    return {part for one in found for part in (one, unquote(one)) if len(part) >= _SHORTEST_SECRET}


class _Ear(logging.Handler):
    """Hears what apprise says instead of raising: the warnings, and the exception behind a refused connection."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if record.levelno >= logging.WARNING or said.startswith("Socket Exception: "):
            self.heard.append(said.removeprefix("Socket Exception: "))


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What apprise logs meanwhile, which appears nowhere else: its words may contain secrets."""
    logger, ear = logging.getLogger("apprise"), _Ear()
    before = logger.level, logger.propagate
    logger.addHandler(ear)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield ear.heard
    finally:
        logger.removeHandler(ear)
        logger.setLevel(before[0])
        logger.propagate = before[1]
