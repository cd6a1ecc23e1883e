"""Extract the text of any file: in this process where that is safe and cheap, in a child process where it is not."""

from pathlib import Path

from worker.core.base.reasons import Reason
from worker.core.extract import Extracted
from worker.core.extract.children import ChildDiedError, Children, Limits
from worker.core.extract.kinds import IN_CHILD, Kind, kind_of
from worker.core.extract.plain import extract_text
from worker.core.extract.result import failed

HEAD_BYTES = 4096
"""Number of bytes at the beginning of a file that are used to determine its kind."""
MAX_MARKUP_BYTES = 64 * 1024
"""Larger HTML and XML files go to a child, which has limits of time and memory: some take seconds, and a lot of memory."""
TREE_FACTOR = 80
"""How many times its size the tree of a markup file may take in memory (measured: 16 files of `<p>a` of 1 MiB took 1,256 MB)."""
_MARKUP = frozenset({"html", "xml"})


class Extractor:
    """Extracts the text of files. Every method may be called from any thread; children are started when first needed."""

    def __init__(self, *, processes: int, timeout_s: float, memory_bytes: int, max_chars: int, temp_dir: Path) -> None:
        """Use up to `processes` children, each with `memory_bytes` of address space and `timeout_s` seconds per file."""
        self._max_chars = max_chars
        self._children = Children(Limits(timeout_s, memory_bytes, max_chars, temp_dir), processes=processes)

    def needs_child(self, head: bytes, key: str, content_type: str | None, size: int) -> bool:
        """Whether this file has to be parsed in a child process; `head` is its first 4 KiB."""
        return bool(head) and _is_for_child(kind_of(head, key, content_type), size)

    def memory_in_process(self, head: bytes, key: str, content_type: str | None, size: int) -> int:
        """Bytes of memory that extracting this file may take in this process, beyond its body and its text."""
        kind = kind_of(head, key, content_type) if head else None
        return TREE_FACTOR * size if kind is not None and kind.route in _MARKUP and size <= MAX_MARKUP_BYTES else 0

    def extract(self, body: bytes | Path, key: str, content_type: str | None) -> Extracted:
        """Extract the file's text. A bad file results in a status, not in an exception.

        Raises ExtractionStoppedError once `stop` has been called, and OSError if the machine is at fault: the body cannot be
        read, no child can be started, or the disk is full.
        """
        size = size_of(body)
        kind = kind_of(head_of(body), key, content_type)
        if not size:
            return Extracted("empty", kind.mime_type)
        if kind.route == "nothing":
            return Extracted("metadata_only", kind.mime_type)
        if not _is_for_child(kind, size):
            return extract_text(body, kind, self._max_chars)
        return self._extract_in_child(body, kind)

    def stop(self) -> None:
        """Kill the children and end every wait: `extract` raises ExtractionStoppedError from now on."""
        self._children.stop()

    def close(self) -> None:
        """Stop, and remove the folders of the children."""
        self._children.close()

    def _extract_in_child(self, body: bytes | Path, kind: Kind) -> Extracted:
        try:
            try:
                return self._children.ask(body, kind)
            except ChildDiedError as error:
                if not error.killed:
                    raise
                # When memory is short, the kernel may kill a child whose file is not to blame: try once more.
                return self._children.ask(body, kind)
        except TimeoutError:
            return failed("timeout", kind.mime_type, Reason.TIMEOUT.sentence, Reason.TIMEOUT)
        except ChildDiedError as error:
            if error.out_of_memory or error.killed:
                sentence = f"{error}: not enough memory for this file"
                return failed("out_of_memory", kind.mime_type, sentence, Reason.OUT_OF_MEMORY)
            return failed("corrupt", kind.mime_type, f"{error}: the file is broken or hostile", Reason.PARSER_DIED)


def _is_for_child(kind: Kind, size: int) -> bool:
    return kind.route in IN_CHILD or (size > MAX_MARKUP_BYTES and kind.route in _MARKUP)


def size_of(body: bytes | Path | None) -> int:
    """The size of a file in bytes. Raises OSError."""
    return 0 if body is None else len(body) if isinstance(body, bytes) else body.stat().st_size


def head_of(body: bytes | Path) -> bytes:
    """As much of the beginning of a file as is needed to determine its kind. Raises OSError, MemoryError."""
    if isinstance(body, bytes):
        return body[:HEAD_BYTES]
    with body.open("rb") as file:
        return file.read(HEAD_BYTES)
