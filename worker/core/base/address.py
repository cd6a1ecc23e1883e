"""Addresses in settings. What may be a secret in one (user and password) is parsed here, and shown nowhere.

Python's urllib takes what follows a `#`, `?` or `/` in a password for another part of the address, and quotes it in its
errors. So an address is divided here first, and no error quotes from it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from worker.core.base.errors import ConfigError

PARTS = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<tail>.*)", re.DOTALL | re.IGNORECASE)
REGION = r"[a-z]{2,}(?:-[a-z]+)+-\d+"
ENCODE = "percent-encode these characters in its user and password: / as %2F, ? as %3F, # as %23, @ as %40, % as %25"


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an http or https address. User and password are decoded, and are not shown."""

    scheme: str
    host: str
    """In lower case; an IPv6 address is without brackets."""
    port: int | None
    prefix: str
    """The path, without a slash at its end."""
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """The address as shown to people, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.prefix}"


def parse_address(url: str) -> Address:
    """Divide an address of http or https (RFC 3986, section 3) into its parts.

    Raises ValueError that says what would be correct, and quotes nothing of the address, because a part of its password may
    have been taken for something else.
    """
    parts = PARTS.fullmatch(url)
    if parts is None:
        raise ValueError("is not an address of http or https; it should be https://HOST[:PORT]")
    user_info, has_user, place = parts["authority"].rpartition("@")
    if "@" in parts["tail"] or re.search(r"[?#]", parts["tail"]):
        raise ValueError(f"contains a ? or #, or an @ after a /, which cannot be a part of it: {ENCODE}")
    if has_user and not user_info.isprintable():
        raise ValueError(f"contains a character in its user or password that cannot be typed: {ENCODE}")
    try:
        host = urlsplit(f"http://{place}")
        name, port = host.hostname or "", host.port
    except ValueError:  # it would quote what it was given
        raise ValueError(
            f"has no valid host and port; it should be https://HOST[:PORT], and if it has a password, {ENCODE}"
        ) from None
    if not name or re.search(r"[\s\\]", place):
        raise ValueError("names no host; it should be https://HOST[:PORT]")
    user, _, password = user_info.partition(":")
    try:
        user, password = unquote(user, errors="strict"), unquote(password, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"has a user or password that is not UTF-8: {ENCODE}") from None
    return Address(parts["scheme"].lower(), name, port, parts["tail"].rstrip("/"), user if has_user else None, password)


def address_without_user(url: str) -> str:
    """The same address, if it has no user and password. Raises ValueError if it does, or is not an address."""
    if parse_address(url).user is not None:
        raise ValueError("has a user or password in it, which are not used here; it should be without them")
    return url


def shown_address(url: str) -> str:
    """An address as shown to people, without user and password; `(hidden)` if it cannot be told which part of it these are."""
    try:
        return parse_address(url).shown
    except ValueError:
        return "(hidden)"


def queue_url(url: str) -> str:
    """The same URL, if it can be that of a queue. Raises ValueError with what would be correct."""
    if arn := re.fullmatch(rf"arn:(aws[\w-]*):sqs:({REGION}):(\d+):([\w.-]+)", url):
        suffix = "amazonaws.com.cn" if arn[1] == "aws-cn" else "amazonaws.com"
        raise ValueError(
            f"is the ARN of a queue; it should be its URL: https://sqs.{arn[2]}.{suffix}/{arn[3]}/{arn[4]}"
        )
    if not re.match(r"^https?://[^/]+/.+", url):
        raise ValueError(f"is not a queue URL; it should be {_QUEUE_URL}{_by_name(url)}")
    address_without_user(url)
    if url.endswith("/") or re.search(r"\s", url):
        raise ValueError(f"ends with a slash or has a space in it; it should be {_QUEUE_URL}")
    return url


_QUEUE_URL = "https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"


def _by_name(text: str) -> str:
    """How to find the URL of a queue whose name was given."""
    return f" (aws sqs get-queue-url --queue-name {text})" if re.fullmatch(r"[\w-]{1,80}", text) else ""


class QueuePlace(NamedTuple):
    """Where a queue's URL says that the queue is."""

    region: str | None
    """The region in the name of its host."""
    endpoint: str | None
    """Scheme and host, if this host is not the usual one of a region, whose endpoint depends on further settings (FIPS)."""


def queue_place(url: str, dns_suffixes: Iterable[str]) -> QueuePlace:
    """What the host of a queue's URL says; `dns_suffixes` are those of AWS's usual hosts. Raises ConfigError.

    The usual hosts are `sqs.REGION.SUFFIX`, and in older URLs `REGION.queue.SUFFIX` and, in us-east-1, `queue.SUFFIX`
    (Amazon SQS Developer Guide, "Amazon SQS queue and message identifiers"; AWS General Reference, "SQS endpoints").
    """
    try:
        place = parse_address(queue_url(url))
    except ValueError as error:
        raise ConfigError(f"the URL of a queue {error}") from None
    usual = re.fullmatch(
        rf"(?:sqs\.({REGION})|({REGION})\.queue|queue)\.(?:{'|'.join(map(re.escape, dns_suffixes))})", place.host
    )
    if usual is not None:
        return QueuePlace(usual[1] or usual[2] or "us-east-1", None)
    named = re.search(rf"(?:^|\.)sqs(?:-fips)?\.({REGION})\.", place.host)
    return QueuePlace(named and named[1], replace(place, prefix="").shown)


def region_of_queue(url: str) -> str | None:
    """The region that the URL of a queue names, if its host is one of AWS's usual ones; VPC endpoints and emulators are not."""
    host = urlsplit(url).hostname or ""
    found = re.fullmatch(
        rf"(?:sqs(?:-fips)?\.({REGION})|({REGION})\.queue|queue)\.(?:amazonaws\.(?:com|com\.cn|eu)|api\.aws)", host
    )
    return (found[1] or found[2] or "us-east-1") if found else None


def proxy_for(url: str) -> str | None:
    """The proxy for requests to a URL, by the environment (HTTPS_PROXY, HTTP_PROXY, NO_PROXY); None if there is none.

    The rule is botocore's (`botocore.utils.get_environ_proxies`), so that all requests take one way. Raises ConfigError if the
    proxy's address cannot be used.
    """
    parts = urlsplit(url)
    found = getproxies().get(parts.scheme)
    if not found or proxy_bypass(parts.netloc):
        return None
    name = f"{parts.scheme.upper()}_PROXY"
    proxy = found if "://" in found else f"http://{found.removeprefix('//')}"
    try:
        address = parse_address(proxy)
    except ValueError as error:
        raise ConfigError(f"{name} {error}") from None
    if not f"{address.user or ''}{address.password}".isascii():
        raise ConfigError(f"{name} has a user or password with characters outside ASCII, which boto3 cannot send")
    return proxy
