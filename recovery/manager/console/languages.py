"""English and Japanese: the catalogues of the console's texts, and which of them a reader wants."""

import functools
import io
from enum import StrEnum
from pathlib import Path

from babel import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

_CATALOGUES = Path(__file__).parent / "locale"
DOMAIN = "console"


def N_(text: str) -> str:  # noqa: N802 (as gettext's tools look for it)
    """A text that is translated where it is shown."""
    return text


class Language(StrEnum):
    """A language of the console, by its tag."""

    ENGLISH = "en"
    JAPANESE = "ja"

    @property
    def own_name(self) -> str:
        """As its readers call it."""
        return "日本語" if self is Language.JAPANESE else "English"


def chosen(cookie: str | None, accept_language: str) -> Language:
    """The language of a reader: the one they have chosen, or the first of what their browser accepts (RFC 9110, 12.5.4)."""
    if cookie in set(Language):
        return Language(cookie)
    wanted = [tag for tag, _ in sorted(_accepted(accept_language), key=lambda one: -one[1])]
    return Language(negotiate_locale(wanted, list(Language), sep="-") or Language.ENGLISH)


def _accepted(header: str) -> list[tuple[str, float]]:
    found = []
    for part in header.split(",")[:20]:
        tag, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if quality > 0 and tag.strip():
            found.append((tag.strip(), quality))
    return found


@functools.cache
def translations(language: Language) -> NullTranslations:
    """The texts in a language; English ones are those of the source."""
    if language is Language.ENGLISH:
        return NullTranslations()
    compiled = io.BytesIO()
    with (_CATALOGUES / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as source:
        write_mo(compiled, read_po(source, locale=language.value))
    compiled.seek(0)
    return Translations(compiled, domain=DOMAIN)
