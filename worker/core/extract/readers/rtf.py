"""Documents in RTF (Rich Text Format Specification 1.9.1): text in the code page of its font, or in Unicode escapes.

The main text comes first, then text boxes, headers and footers, notes, comments, bookmarks and properties.
"""

import re
from dataclasses import dataclass, replace

from worker.core.base.reasons import Reason
from worker.core.extract.charsets import codec_of
from worker.core.extract.decode import decode
from worker.core.extract.faults import CorruptError
from worker.core.extract.readers import rtf_words as words
from worker.core.extract.reading import Reading
from worker.core.extract.result import Properties

MAX_DEPTH = 20_000
"""Groups inside groups; what lies deeper is not read."""
_TOKEN = re.compile(
    rb"(?P<text>[^\\{}]+)|\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})?\x20?|(?P<hex>(?:\\'[0-9a-fA-F]{2})+)"
    rb"|(?P<brace>[{}])|\\'(?P<broken>[0-9a-fA-F]?)|\\(?P<symbol>[^a-zA-Z])|(?P<junk>.)",
    re.DOTALL,
)
_MORE = re.compile(rb"\{\\rtf|\\par\b")
"""What shows that text follows the last brace: another document, or the rest of one with a brace too many."""
_FILLERS = b"\0\r\n\t \x1a"
_LINE_ENDS = b"\r\n\0"
_OF_INFO = frozenset({"title", "author", words.PROPERTIES})
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(slots=True)
class _Group:
    """What counts until the closing brace."""

    stream: str = words.MAIN
    outer: str = words.MAIN
    """The stream around `upr`, whose text in Unicode goes there."""
    font: int | None = None
    asian_font: int | None = None
    is_asian: bool = False
    skip: int = 1
    """Number of bytes after a Unicode character that repeat it for old readers."""
    is_deleted: bool = False


def read(body: bytes, reading: Reading) -> None:
    """Read the document. Raises CorruptError if it does not begin as one."""
    start = body.find(b"{\\rtf", 0, 1024)
    if start < 0:
        raise CorruptError("the RTF file does not begin with {\\rtf")
    document = _Document()
    is_whole = document.read(body[start:])
    reading.said = document.said()
    if not is_whole:
        reading.miss("the RTF file is truncated: its last brace is missing")
    for stream in words.STREAMS:
        reading.add(document.text(stream))


class _Document:
    """The streams of text of a document."""

    def __init__(self) -> None:
        self._streams: dict[str, list[str]] = {}
        self._groups: list[_Group] = []
        self._group = _Group()
        self._is_starred = False
        self._raw, self._raw_for = bytearray(), ("", "")  # bytes that are not decoded yet; their stream and code page
        self._to_skip = 0
        self._code_page, self._has_code_page = "cp1252", False
        self._fonts: dict[int, str] = {}
        self._default_font = self._listed_font = 0
        self._readings: list[str] = []
        self._created: dict[str, int] = {}

    def read(self, body: bytes) -> bool:
        """Read the tokens; False if the file ends before its last group does."""
        at, end = 0, len(body.rstrip(_FILLERS))
        while at < end and (token := _TOKEN.match(body, at, end)):
            at = token.end()
            kind = token.lastgroup
            if kind == "text":
                self._add_bytes(token[0].translate(None, _LINE_ENDS))
            elif kind in {"word", "number"}:
                at = self._obey(token, body, end)
            elif kind == "hex":
                self._add_bytes(bytes.fromhex(token[0].replace(b"\\'", b"").decode("ascii")))
            elif kind == "symbol":
                self._symbol(token["symbol"].decode("latin-1"))
            elif kind == "brace":
                if token[0] == b"{":
                    self._open()
                elif not self._close() and not _MORE.search(body, at, end):
                    break
        is_whole = not self._groups
        while self._groups:
            self._close()
        self._flush()
        return is_whole

    def _obey(self, token: re.Match[bytes], body: bytes, end: int) -> int:
        """Obey a control word. Returns where to go on: what is hidden is passed over."""
        number, word = token["number"], token["word"]
        at = token.end() + self._word(word.decode("ascii"), None if number is None else int(number))
        if not self._group.stream and word != b"upr":
            return words.end_of_group(body, at, end)
        return at

    def text(self, stream: str) -> str:
        """The text of a stream."""
        text = "".join(self._streams.get(stream, ()))
        if _SURROGATE.search(text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return "\n".join(line.rstrip() for line in text.split("\n") if line.strip())

    def said(self) -> Properties:
        """The title, the author and the date of creation."""
        when = [self._created.get(name, 1 if name in {"mo", "dy"} else 0) for name in ("yr", "mo", "dy", "hr", "min")]
        created = "{:04}-{:02}-{:02}T{:02}:{:02}:00".format(*when) if when[0] > 0 else None
        return Properties(self.text("title") or None, self.text("author") or None, created)

    def _open(self) -> None:
        self._to_skip = 0
        self._is_starred = False
        if len(self._groups) < MAX_DEPTH:
            self._groups.append(self._group)
            self._group = replace(self._group)
        else:
            raise CorruptError("the groups of the RTF file are nested too deeply", Reason.TOO_COMPLEX)

    def _close(self) -> bool:
        """End a group; False if it was the last one."""
        self._to_skip = 0
        closed, self._group = self._group, self._groups.pop() if self._groups else _Group()
        if closed.stream == "fldinst" != self._group.stream:
            self._end_instruction()
        elif closed.stream == "sv" != self._group.stream:
            self._end_shape_property()
        return bool(self._groups)

    def _end_instruction(self) -> None:
        self._flush()
        ruby = words.RUBY.match("".join(self._streams.pop("fldinst", ())))
        if ruby:
            self._emit(ruby["base"])
            self._readings.append(ruby["reading"])

    def _end_shape_property(self) -> None:
        self._flush()
        name, value = ("".join(self._streams.pop(stream, ())).strip() for stream in ("sn", "sv"))
        if name in words.ALTERNATIVE_TEXTS and value:
            self._streams.setdefault(words.BOXES, []).append("\n" + value)

    def _word(self, word: str, number: int | None) -> int:
        """Obey a control word. Returns the number of bytes of binary data to pass over."""
        if self._is_starred:
            self._is_starred = False
            if word not in words.DESTINATIONS and word not in words.TRANSPARENT:
                self._group.stream = words.HIDDEN
        if word == "bin":
            return max(number or 0, 0)
        group = self._group
        if word == "u" and number is not None:
            if group.stream:
                self._emit(chr(number & 0xFFFF))
            self._to_skip = group.skip
            return 0
        is_skipped, self._to_skip = self._to_skip > 0, 0
        if word in words.CHARACTERS:
            character = words.CHARACTERS[word]
            if not is_skipped or character == "\n":
                self._character(character)
        elif word in words.DESTINATIONS:
            self._enter(word, words.DESTINATIONS[word])
        elif word == "ud":
            group.stream = group.outer
        else:
            self._format(word, number)
        return 0

    def _character(self, character: str) -> None:
        self._emit(character)
        if character == "\n" and self._readings and self._group.stream == words.MAIN:
            self._emit("\n".join(self._readings) + "\n")
            self._readings = []

    def _enter(self, word: str, stream: str) -> None:
        group = self._group
        if not group.stream and stream:
            return  # all that is inside a hidden destination is hidden
        if word == "upr":
            group.outer = group.stream
        group.stream = stream
        if stream in words.STREAMS and stream != words.MAIN:
            self._emit("\n")

    def _format(self, word: str, number: int | None) -> None:
        """Obey a word that says in which code page text is, or whether it counts."""
        group = self._group
        value = 0 if number is None else number
        match word:
            case "f":
                group.font = self._listed_font = value
                group.asian_font = value if group.is_asian else group.asian_font
            case "af" if group.is_asian:
                group.asian_font = value
            case "dbch" | "loch" | "hich":
                group.is_asian = word == "dbch"
            case "fcharset" if group.stream == "fonttbl" and value in words.CODE_PAGES:
                self._fonts[self._listed_font] = words.CODE_PAGES[value]
            case "plain":
                group.font, group.is_asian, group.is_deleted = None, False, False
            case "uc":
                group.skip = min(max(value, 0), 100)
            case "deleted":
                group.is_deleted = number != 0
            case "yr" | "mo" | "dy" | "hr" | "min" if group.stream == "creatim":
                self._created[word] = value
            case _:
                self._set_of_document(word, value)

    def _set_of_document(self, word: str, value: int) -> None:
        if word == "ansicpg" and (codec := codec_of(f"cp{value}")):
            self._code_page, self._has_code_page = codec, True
        elif word in words.DOCUMENT_SETS and not self._has_code_page:
            self._code_page = words.DOCUMENT_SETS[word]
        elif word == "deff":
            self._default_font = value

    def _symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._is_starred = True
        elif symbol in "\\{}" and words.ends_in_half(self._raw, self._page()):
            self._add_bytes(symbol.encode("latin-1"))
        elif self._to_skip:
            self._to_skip -= 1
        elif symbol in words.SYMBOLS:
            self._character(words.SYMBOLS[symbol])

    def _add_bytes(self, raw: bytes) -> None:
        group = self._group
        if not raw or group.stream in {words.HIDDEN, "fonttbl", "creatim"} or group.is_deleted:
            self._to_skip = max(self._to_skip - len(raw), 0)
            return
        page = self._page()
        if self._to_skip:
            skipped = self._to_skip
            if skipped == 1 and raw[0] > 0x7F and page in words.OF_TWO_BYTES and not _is_whole(raw[:1], page):
                skipped = 2  # some writers count characters, not bytes
            self._to_skip = max(self._to_skip - len(raw), 0)
            raw = raw[skipped:]
        if self._raw_for != (group.stream, page):
            self._flush()
            self._raw_for = (group.stream, page)
        self._raw += raw

    def _page(self) -> str:
        group = self._group
        if self._has_code_page and group.stream in _OF_INFO:
            return self._code_page
        font = group.asian_font if group.is_asian and group.asian_font is not None else group.font
        return self._fonts.get(self._default_font if font is None else font, self._code_page)

    def _emit(self, text: str) -> None:
        self._flush()
        if self._group.stream and not self._group.is_deleted:
            self._streams.setdefault(self._group.stream, []).append(text)

    def _flush(self) -> None:
        """Decode the bytes that were collected."""
        if not self._raw:
            return
        stream, page = self._raw_for
        raw = bytes(self._raw)
        self._raw.clear()
        self._streams.setdefault(stream, []).append(self._decoded(raw, page))

    def _decoded(self, raw: bytes, page: str) -> str:
        if raw.isascii():
            return raw.decode("ascii")
        for codec in (page, self._code_page):
            if _is_whole(raw, codec):
                return raw.decode(codec)
        found = None if self._has_code_page else decode(raw)
        return found.text if found else raw.decode(page, "replace")


def _is_whole(raw: bytes, codec: str) -> bool:
    try:
        raw.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
