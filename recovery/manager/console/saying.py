"""Says in the reader's language what other parts of this program say in English, such as why something is refused.

A sentence that nobody has translated, such as an error of a service, is shown as it is.
"""

import functools
import re

from markupsafe import Markup, escape

from recovery.manager.console.isolation import bidi
from recovery.manager.console.languages import Language, translations
from recovery.manager.console.sayings import SAYINGS
from recovery.manager.settings_facts import words_of_settings

MAX_DEPTH = 4
"""Of sentences within sentences: a reason, and its own."""
MAX_CHARS = 2_000
"""Longer texts are no sentences of ours, and are not looked at."""
_COMMAND = re.compile("`([^`]+)`")
_NAME = re.compile(r"\{(\w+)\}")


def said(language: Language, text: object) -> Markup:
    """A sentence in a language, with what is not ours in it isolated."""
    return _said(language, "" if text is None else str(text), 0)


def sentence(language: Language, text: object) -> Markup:
    """The same where it stands alone, and begins with a capital unless it begins with what is not ours."""
    shown = said(language, text)
    return Markup(shown[:1].upper() + shown[1:])  # noqa: S704 (it is markup already; what is not ours begins with a tag)


def _said(language: Language, text: str, depth: int) -> Markup:
    if depth < MAX_DEPTH and len(text) <= MAX_CHARS:
        for saying, pattern in _patterns():
            if (found := pattern.fullmatch(text)) is not None:
                values = {name: _said(language, value, depth + 1) for name, value in found.groupdict().items()}
                ours = _COMMAND.sub(r"<code>\1</code>", str(escape(translations(language).gettext(saying))))
                return Markup(ours).format(**values)  # noqa: S704 (it is ours)
    return bidi(text)


@functools.cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each saying, and what fits it; what is said of a setting fits itself alone."""
    return tuple((saying, re.compile(_pattern(saying), re.DOTALL)) for saying in (*SAYINGS, *words_of_settings()))


def _pattern(saying: str) -> str:
    """A regular expression with a group for each name."""
    parts = _NAME.split(saying)  # text, name, text, name, …, text
    return "".join(f"(?P<{one}>.+?)" if place % 2 else re.escape(one) for place, one in enumerate(parts))
