"""The setting OWNERS: by the prefix of an object's key, who is to hear of failures that only an owner can mend.

`PREFIX=ADDRESS`, separated by commas. A prefix is of a key in any bucket, `s3://BUCKET/PREFIX` of one bucket's; empty or `*`,
it is the default. The longest prefix of the key wins; of two of one length, the one with a bucket. Prefixes are compared in
Unicode's composed form (NFC): file names from macOS are decomposed. In a prefix, a comma is written `%2C`.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from worker.core.base.errors import ConfigError

MAX_OWNERS = 1_000
_MAIL = r"[^\s=@/<>,\"']+@[^\s=@/<>,\"']+\.?[^\s=@/<>,\"']+"
_ENTRY = re.compile(rf"^(?P<prefix>.*?)=(?P<address>{_MAIL}|[A-Za-z][A-Za-z0-9+.-]*://\S+)$")
"""The first `=` that an address follows: a prefix may contain others, such as `year=2026/`."""
_IS_MAIL = re.compile(_MAIL)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns the objects of one prefix."""

    prefix: str
    """Of keys, without the bucket."""
    bucket: str | None
    """None: any."""
    address: str
    """A mail address, or a URL of apprise, which is a secret."""

    @property
    def name(self) -> str:
        """How a dead letter names its owner: the mail address, or else the prefix and the kind of the URL, without secrets."""
        if is_mail(self.address):
            return self.address
        return f"{self.shown} ({self.address.partition('://')[0].lower()})"

    @property
    def shown(self) -> str:
        """The prefix as it may be given."""
        return f"s3://{self.bucket}/{self.prefix}" if self.bucket else self.prefix or "*"

    def owns(self, bucket: str, key: str) -> bool:
        """Whether this object is one of theirs; `key` is in composed form."""
        return self.bucket in {None, bucket} and key.startswith(self.prefix)


def is_mail(address: str) -> bool:
    """Whether this is a mail address, and nothing else."""
    return _IS_MAIL.fullmatch(address) is not None


def composed(text: str) -> str:
    """A text in which one character is written in one way."""
    return unicodedata.normalize("NFC", text)


def parse_owners(value: str) -> tuple[Owner, ...]:
    """The owners of a setting, in the order in which they are tried. Raises ConfigError, without the secret part of an address."""
    found: dict[tuple[str | None, str], Owner] = {}
    for place, entry in enumerate((one for one in value.split(",") if one.strip()), start=1):
        owner = _owner(entry.strip(), place)
        if (owner.bucket, owner.prefix) in found:
            raise ConfigError(f"OWNERS names {owner.shown} twice; each prefix should have one address")
        found[owner.bucket, owner.prefix] = owner
    if len(found) > MAX_OWNERS:
        raise ConfigError(f"OWNERS has {len(found):,} entries; it should have at most {MAX_OWNERS:,}")
    return tuple(sorted(found.values(), key=_order))


def owner_of(owners: Iterable[Owner], bucket: str, key: str) -> Owner | None:
    """Who owns an object; None: nobody, not even by default. A message without an object has the default owner."""
    key = composed(key)
    return next((one for one in owners if one.owns(bucket, key)), None)


def _owner(entry: str, place: int) -> Owner:
    parts = _ENTRY.match(entry)
    if parts is None:
        prefix, equals, _ = entry.partition("=")
        raise ConfigError(
            f"OWNERS: entry {place} ({prefix if equals and '://' not in prefix else '(hidden)'}) should be PREFIX=ADDRESS, such as "
            "invoices/=accounts@example.com; an address is one of mail, or a URL of apprise"
        )
    prefix, bucket = parts["prefix"].strip().replace("%2C", ",").replace("%2c", ","), None
    if prefix.startswith("s3://"):
        bucket, _, prefix = prefix.removeprefix("s3://").partition("/")
    return Owner("" if prefix == "*" else composed(prefix), bucket or None, parts["address"])


def _order(owner: Owner) -> tuple[int, bool]:
    return -len(owner.prefix), owner.bucket is None
