"""Put the texts of nested paragraphs, rows and cells in order, each as a block of its own."""

from collections.abc import Callable
from typing import Literal

Level = Literal["paragraph", "row", "cell"]


class Frame:
    """A paragraph, a row or a cell that is being read."""

    __slots__ = ("after", "deleted", "joined", "level", "pieces", "readings")

    def __init__(self, level: Level) -> None:
        """Begin it."""
        self.level = level
        self.pieces: list[str] = []
        """The text of a paragraph, the paragraphs of a cell, or the cells of a row."""
        self.after: list[str] = []
        """Blocks that follow: what is anchored in the paragraph, or nested in the row."""
        self.readings: list[str] = []
        """The readings of ruby text in the paragraph."""
        self.deleted = False
        """The row was deleted with tracking of changes on."""
        self.joined = False
        """The mark at the paragraph's end was deleted: the next paragraph continues it."""


class Blocks:
    """Receives text as a document's elements begin and end, and gives each paragraph and each row to `put`.

    A box that is anchored in a paragraph follows it, so that the paragraph keeps its words together; a table in a cell
    follows the row. Each block is moved as a whole, so that nesting costs nothing.
    """

    def __init__(self, put: Callable[[str], object]) -> None:
        """Begin with no paragraph open."""
        self._put = put
        self._stack: list[Frame] = []
        self._rest: list[str] = []
        self._asides: set[str] = set()

    @property
    def top(self) -> Frame | None:
        """The innermost paragraph, row or cell."""
        return self._stack[-1] if self._stack else None

    def add(self, text: str) -> None:
        """Continue the paragraph; text outside of any paragraph is a block of its own."""
        if self._stack and self._stack[-1].level == "paragraph":
            self._stack[-1].pieces.append(text)
        elif not text.isspace():
            self._leave([text])

    def reading(self, text: str, *, adjacent: bool = False) -> None:
        """Note the reading of ruby text. One that is `adjacent` continues the word of the one before."""
        if self._stack and text:
            self._stack[-1].readings.append(text if adjacent else f" {text}")

    def aside(self, text: str | None) -> None:
        """Add a text that belongs to an element, such as that of a picture. Many are repeated: each is added once."""
        if text and not text.isspace() and text not in self._asides:
            self._asides.add(text)
            self._follow([text])

    def open(self, level: Level) -> None:
        """Begin a paragraph, a row or a cell."""
        self._stack.append(Frame(level))

    def close(self, level: Level) -> None:
        """End it. Nothing happens unless it is the innermost one."""
        if not self._stack or self._stack[-1].level != level:
            return
        frame = self._stack.pop()
        match level:
            case "paragraph":
                self._end_paragraph(frame)
            case "cell":
                self._end_cell(frame)
            case "row" if not frame.deleted:
                self._follow(["\t".join(frame.pieces)])
                self._follow(frame.after)

    def end(self) -> None:
        """End what a file that breaks off has left open."""
        while self._stack:
            self.close(self._stack[-1].level)
        self._leave(self._rest)
        self._rest = []

    def _end_paragraph(self, frame: Frame) -> None:
        self._rest += frame.pieces
        if not frame.joined:
            text = "".join(self._rest)
            self._rest = []
            if text and not text.isspace():
                self._leave([text])
        if frame.readings:
            self._follow(["".join(frame.readings).strip()])
        self._follow(frame.after)

    def _end_cell(self, frame: Frame) -> None:
        if self._stack and self._stack[-1].level == "row":
            self._stack[-1].pieces.append("\n".join(frame.pieces))
        else:
            self._follow(frame.pieces)
        self._follow(frame.after)

    def _leave(self, blocks: list[str]) -> None:
        """Put a finished paragraph where it belongs: into the cell, after the paragraph around it, or out."""
        if self._stack and self._stack[-1].level == "cell":
            self._stack[-1].pieces += blocks
        else:
            self._follow(blocks)

    def _follow(self, blocks: list[str]) -> None:
        if not self._stack:
            for block in blocks:
                self._put(block)
        elif self._stack[-1].after:
            self._stack[-1].after += blocks
        else:
            self._stack[-1].after = blocks
