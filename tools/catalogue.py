"""The Japanese texts of the console: `python -m tools.catalogue --check` names those that are missing; `--write` adds them, empty.

Texts are found in the templates and in the source, as gettext's own tools find them.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from recovery.manager.settings_facts import words_of_settings
from recovery.manager.where_said import TEXTS

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "recovery" / "manager" / "console"
CATALOGUE = SOURCE / "locale" / "ja" / "LC_MESSAGES" / "console.po"
_METHODS = [("**.html", "jinja2"), ("**.py", "python")]
_OPTIONS = {"**.html": {"trimmed": "true", "silent": "false", "extensions": "jinja2.ext.do"}}
_VALUE = re.compile(r"%\(\w+\)s|%|\{\w+\}")
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "text": None, "N_": None}


def main() -> int:
    """Write or check the catalogue. Print each fault on stderr; return their number."""
    wanted = found_texts()
    with CATALOGUE.open("rb") as source:
        catalogue = read_po(source, locale="ja")
    if "--write" in sys.argv[1:]:
        catalogue.update(wanted, no_fuzzy_matching=True, update_creation_date=False)
        catalogue.obsolete.clear()
        with CATALOGUE.open("wb") as target:
            write_po(target, catalogue, width=120, omit_header=False, no_location=True, sort_output=True)
    faults = check(wanted, catalogue)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    return len(faults)


def found_texts() -> Catalog:
    """All texts of the console."""
    catalogue = Catalog()
    for _, _, message, _, context in extract_from_dir(SOURCE, _METHODS, _OPTIONS, keywords=_KEYWORDS):
        catalogue.add(message, context=context)
    for text in (*TEXTS, *words_of_settings()):
        catalogue.add(text)
    return catalogue


def check(wanted: Catalog, catalogue: Catalog) -> list[str]:
    """What is missing, not sure, or no longer needed, one sentence each."""
    ids = {message.id for message in wanted if message.id}
    known = {message.id: message for message in catalogue if message.id}
    faults = [
        f"{CATALOGUE.name}: {one!r} is not translated"
        for one in ids
        if one not in known or not _is_translated(known[one])
    ]
    faults += [
        f"{CATALOGUE.name}: {one!r} has other values in its translation"
        for one in ids & set(known)
        if not _has_same(known[one])
    ]
    faults += [f"{CATALOGUE.name}: {one!r} is fuzzy" for one in ids & set(known) if known[one].fuzzy]
    return sorted(faults + [f"{CATALOGUE.name}: {one!r} is in no page" for one in set(known) - ids], key=str)


def _is_translated(message: Message) -> bool:
    """Whether it has a text, or each of its plurals has."""
    found = message.string
    return all(found) if isinstance(found, tuple | list) else bool(found)


def _has_same(message: Message) -> bool:
    """Whether each translation has the values of the text and no others; a `%` of its own would end the page with an error."""
    wanted, found = (_values(one) for one in (message.id, message.string))
    return not found or set().union(*found) == set().union(*wanted)


def _values(texts: str | Sequence[str] | None) -> list[set[str]]:
    """The values in a text, or in each of its plurals that there is."""
    return [set(_VALUE.findall(one)) for one in ([texts] if isinstance(texts, str) else texts or ()) if one]


if __name__ == "__main__":
    sys.exit(main())
