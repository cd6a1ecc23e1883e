"""Names of elements and attributes in OpenDocument XML, and in that of OpenOffice.org 1, which has other namespaces."""

import re
from functools import lru_cache

from lxml import etree

_NAMESPACE = re.compile(r"\{(?:urn:[^}]+:xmlns:|http://openoffice\.org/2000/)([a-z]+)[^}]*\}(.*)")
_PREFIXES = {
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://www.w3.org/2000/svg": "svg",
    "http://www.w3.org/1998/Math/MathML": "math",
}


def attribute(element: etree._Element, prefix: str, name: str) -> str:
    """An attribute of ODF, or that of the same name in OpenOffice.org 1; empty if there is none."""
    new, old = _attributes(prefix, name)
    return element.get(new) or element.get(old) or ""


@lru_cache(maxsize=1000)
def _attributes(prefix: str, name: str) -> tuple[str, str]:
    new, old = f"urn:oasis:names:tc:opendocument:xmlns:{prefix}:1.0", f"http://openoffice.org/2000/{prefix}"
    return f"{{{new}}}{name}", f"{{{old}}}{name}"


@lru_cache(maxsize=1000)
def name_of(tag: object) -> str:
    """An element's name after what its namespace is called, such as `text:p` or `drawing:frame`; empty for an entity."""
    if not isinstance(tag, str):  # an entity, which is not expanded
        return ""
    found = _NAMESPACE.fullmatch(tag)
    if found:
        return f"{found[1]}:{found[2]}"
    namespace, _, name = tag.rpartition("}")
    return f"{_PREFIXES.get(namespace[1:], '')}:{name}"
