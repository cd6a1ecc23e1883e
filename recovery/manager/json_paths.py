"""JSON paths, as far as they say which fields are hidden: the names, indexes, wildcards and descendants of RFC 9535.

Slices and filters are left out: what is hidden must not depend on what else a body says. With these alone, all paths are
followed in one walk through a document, which changes it as it goes; libraries search once for each path, and return copies.
"""

import re
from dataclasses import dataclass

_NAME = r"[A-Za-z_\u0080-\U0010ffff][\w\u0080-\U0010ffff]*"
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_SEGMENT = re.compile(
    rf"(?P<deep>\.\.)?(?:(?P<dot>(?<!\.)\.)?(?P<name>{_NAME}|\*)|\[\s*(?:(?P<quoted>{_QUOTED})|(?P<index>\d{{1,9}})|(?P<any>\*))\s*\])"
)
_SPLIT = re.compile(rf"(?:{_QUOTED}|[^,])+")


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path: into a name, an index, or anything (None); at any depth if it is deep."""

    key: str | int | None
    is_deep: bool = False

    def matches(self, key: str | int) -> bool:
        """Whether it leads to this child."""
        return self.key is None or (self.key == key and type(self.key) is type(key))


Path = tuple[Segment, ...]


def split_paths(text: str) -> list[str]:
    """The paths of a comma-separated list; a comma within quotation marks separates nothing."""
    return [part.strip() for part in _SPLIT.findall(text) if part.strip()]


def parse_path(text: str) -> Path:
    """A path. Raises ValueError, which names it and says what would be right."""
    segments: list[Segment] = []
    place = 1
    while text[:1] == "$" and place < len(text):
        found = _SEGMENT.match(text, place)
        is_step = found is not None and bool(found["deep"] or found["dot"] or not found["name"])
        if found is None or not is_step:
            break
        segments.append(Segment(_key(found), bool(found["deep"])))
        place = found.end()
    if not segments or place < len(text):
        raise ValueError(
            f"{text!r} is not a JSON path of fields; it should be such as $.customer.email, $.items[*].price, $['e-mail'] "
            "or $..password, without slices and filters"
        )
    return tuple(segments)


def _key(found: "re.Match[str]") -> str | int | None:
    if found["index"] is not None:
        return int(found["index"])
    if found["quoted"] is not None:
        return re.sub(r"\\(.)", r"\1", found["quoted"][1:-1])
    return None if found["any"] or found["name"] == "*" else found["name"]
