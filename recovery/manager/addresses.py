"""The forms of addresses and lists in the manager's settings."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_loopback(host: str) -> bool:
    """Whether an address, or localhost, is of this machine alone. Any other name may be somebody's."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def network(text: str) -> Network:
    """A network, or a single address. Raises ValueError."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not an address or a network; it should be such as 10.0.0.7 or 10.0.0.0/24"
        ) from None


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _is_public_url(value: str) -> str:
    """The URL of a server without a query, which sign-in depends on: only on this machine may it go unencrypted."""
    parts = urlsplit(value)
    is_url = parts.scheme in {"http", "https"} and parts.hostname and re.fullmatch(r"[^\s?#@\\]+", value)
    if not is_url or (parts.scheme == "http" and not is_loopback(parts.hostname or "")):
        raise ValueError("is not such a URL; it should be https://HOST[:PORT][/PATH] (http:// on this machine alone)")
    return value


OfList = Annotated[list[str], NoDecode, BeforeValidator(_split)]
"""A comma-separated list."""
PublicUrl = Annotated[str, AfterValidator(_is_public_url)]
"""https://HOST[:PORT][/PATH]."""
