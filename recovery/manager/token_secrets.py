"""The secrets of tokens: how they are made, recognized, and looked for."""

import hashlib
import re
import secrets

PREFIX = "dlqm_"
"""By which people, and programs that look for leaked secrets, know one."""
SECRET_BYTES = 32
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""What a token may be called: what needs no quotation marks, in a log or at a shell."""
_SECRET = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")


def new_secret() -> str:
    """A secret of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def digest_of(secret: str) -> str | None:
    """What the ledger knows of a secret; None if it is none of ours, which needs no look-up.

    A secret of 256 bits cannot be guessed from its SHA-256, so it needs no salt and no slow hash.
    """
    return hashlib.sha256(secret.encode()).hexdigest() if _SECRET.fullmatch(secret) else None
