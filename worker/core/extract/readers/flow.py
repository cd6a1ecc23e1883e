"""The paragraphs and tables of WordprocessingML and DrawingML ([ISO/IEC 29500-1] 17 and 21), read in one pass.

Elements are told apart by their local names alone: `w:p` and `a:p` are both paragraphs, `w:t`, `a:t` and `m:t` are text,
and the strict form of the standard, which has other namespaces, needs no list of its own.
"""

import io
from collections.abc import Callable, Iterable

from lxml import etree

from worker.core.extract.faults import CorruptError
from worker.core.extract.mended import mended
from worker.core.extract.readers.blocks import Blocks
from worker.core.extract.readers.elements import BY_NAME, Pair
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

_TAGS = tuple(f"{{*}}{name}" for name in BY_NAME)


class Flow:
    """Reads parts, and gives their paragraphs and rows to a function."""

    def __init__(self, put: Callable[[str], object], *, is_layout: bool = False) -> None:
        """Give blocks of text to `put`. The placeholders of a slide's layout contain only prompts: they are left out."""
        self.blocks = Blocks(put)
        self.bookmarks: dict[str, None] = {}
        self.links: dict[str, None] = {}
        """The addresses in the codes of fields."""
        self.is_layout = is_layout
        self.skipped: etree._Element | None = None
        """The element whose content is being left out."""
        self.code: list[str] = []
        self.ruby_ended_at = -1
        self.in_prompt = False
        self.in_placeholder = False

    def read(self, container: Container, name: str, reading: Reading) -> None:
        """Read a part. It is noted if it is broken; raises CorruptError if it is no XML at all, or cannot be read."""
        events = etree.iterparse(
            io.BytesIO(mended(container.read(name))),
            events=("start", "end"),
            tag=_TAGS,
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=True,
            remove_comments=True,
            remove_pis=True,
            recover=True,
        )
        try:
            self._run(events)
        except etree.XMLSyntaxError as error:
            raise CorruptError(f"{name} is not XML: {error}") from error
        if events.root is None:
            raise CorruptError(f"{name} is not XML")
        for fault in events.error_log.filter_from_errors():
            reading.miss(f"{name} is broken: {fault.message}")
            break

    def tree(self, root: etree._Element) -> None:
        """Read a part that has been parsed."""
        self._run(etree.iterwalk(root, events=("start", "end"), tag=_TAGS))

    def _run(self, events: Iterable[tuple[str, etree._Element]]) -> None:
        handlers = _Handlers()
        for event, element in events:
            on_start, on_end = handlers[element.tag]
            if self.skipped is not None:
                if event == "start" or element is not self.skipped:
                    continue
                self.skipped = None
            handler = on_start if event == "start" else on_end
            if handler is not None:
                handler(self, element)
        self.skipped = None
        self.blocks.end()


class _Handlers(dict[str, Pair]):
    """What to do at the start and at the end of an element, by its tag with its namespace."""

    def __missing__(self, tag: str) -> Pair:
        found = self[tag] = BY_NAME[tag.rpartition("}")[2]]
        return found
