"""Determine the kind of a file from its first bytes. Its name and declared type only decide between kinds of text."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from worker.core.extract.charsets import of_content_type
from worker.core.extract.zip_types import IN_ZIP

Route = Literal["text", "html", "xml", "nothing", "pdf", "zip", "ole", "rtf", "mail", "dbf", "flat", "onenote", "other"]
"""How the text is obtained: as it is, by removing tags, not at all, or by one of the parsers that run in a child."""

IN_CHILD: frozenset[Route] = frozenset({"pdf", "zip", "ole", "rtf", "mail", "dbf", "flat", "onenote", "other"})
BINARY = "application/octet-stream"
PLAIN = "text/plain"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file. The exact type of a container (zip, OLE) is known only after it has been opened."""

    mime_type: str
    route: Route
    claimed: bool = False
    """The name says that it is a document that needs a parser, but the first bytes do not confirm this."""
    charset: str | None = None
    """What the Content-Type declares; it may be wrong."""


_DOCUMENTS: dict[str, Kind] = {
    "pdf": Kind("application/pdf", "pdf"),
    "rtf": Kind("application/rtf", "rtf"),
    "eml": Kind("message/rfc822", "mail"),
    "emlx": Kind("message/rfc822", "mail"),
    "mbox": Kind("application/mbox", "mail"),
    "mbx": Kind("application/mbox", "mail"),
    "mht": Kind("multipart/related", "mail"),
    "mhtml": Kind("multipart/related", "mail"),
    **{name: Kind(mime_type, "zip") for name, mime_type in IN_ZIP.items()},
    "doc": Kind("application/msword", "ole"),
    "dot": Kind("application/msword", "ole"),
    "xls": Kind("application/vnd.ms-excel", "ole"),
    "ppt": Kind("application/vnd.ms-powerpoint", "ole"),
    "pps": Kind("application/vnd.ms-powerpoint", "ole"),
    "msg": Kind("application/vnd.ms-outlook", "ole"),
    "one": Kind("application/onenote", "onenote"),
    "dbf": Kind("application/vnd.dbf", "dbf"),
    "wpd": Kind("application/vnd.wordperfect", "other"),
}
_BEGINS = {
    "application/vnd.dbf": re.compile(
        rb"[\x02\x03\x04\x05\x30-\x32\x43\x63\x83\x8b\x8e\xcb\xf5\xfb].[\x01-\x0c][\x01-\x1f]", re.DOTALL
    ),
    "application/vnd.wordperfect": re.compile(rb"\xffWPC"),
    "application/vnd.ms-excel": re.compile(rb"\x09[\0\x02\x04\x08][\x04-\x10]\0.{2}[\0\x05\x10\x20\x40]", re.DOTALL),
}
"""How a file begins that has no magic bytes, or some that could be text: its name must agree."""
_SHARED_NAMES = frozenset(
    {"application/vnd.apple.pages", "application/vnd.apple.numbers", "application/vnd.apple.keynote"}
    | (_BEGINS.keys() - {"application/vnd.ms-excel"})
)
"""Documents whose extension other files have, too (`.key`): one that does not begin as such a document is not broken."""
_DOCUMENT_TYPES = {kind.mime_type: kind for kind in reversed(_DOCUMENTS.values())}

_TEXT_TYPES = {
    "bat": "application/x-bat",
    "asc": PLAIN,
    "atom": "application/atom+xml",
    "c": "text/x-c",
    "cc": "text/x-c++",
    "cpp": "text/x-c++",
    "cs": "text/x-csharp",
    "css": "text/css",
    "dbk": "application/docbook+xml",
    "csv": "text/csv",
    "go": "text/x-go",
    "gpx": "application/gpx+xml",
    "geojson": "application/geo+json",
    "h": "text/x-c",
    "har": "application/json",
    "htm": "text/html",
    "html": "text/html",
    "ics": "text/calendar",
    "ifb": "text/calendar",
    "ipynb": "application/x-ipynb+json",
    "java": "text/x-java",
    "js": "text/javascript",
    "kml": "application/vnd.google-earth.kml+xml",
    "json": "application/json",
    "json5": "application/json",
    "jsonl": "application/x-ndjson",
    "jsonld": "application/ld+json",
    "kt": "text/x-kotlin",
    "log": PLAIN,
    "lua": "text/x-lua",
    "markdown": "text/markdown",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "ndjson": "application/x-ndjson",
    "opml": "text/x-opml+xml",
    "php": "application/x-httpd-php",
    "pl": "text/x-perl",
    "plist": "application/x-plist+xml",
    "ps1": "text/x-powershell",
    "properties": "text/x-java-properties",
    "py": "text/x-python",
    "rb": "text/x-ruby",
    "rs": "text/x-rust",
    "rss": "application/rss+xml",
    "rst": "text/x-rst",
    "sh": "application/x-sh",
    "sql": "application/sql",
    "srt": "application/x-subrip",
    "svg": "image/svg+xml",
    "swift": "text/x-swift",
    "tex": "application/x-tex",
    "tmx": "application/x-tmx+xml",
    "toml": "application/toml",
    "topojson": "application/json",
    "ts": "text/x-typescript",
    "tsv": "text/tab-separated-values",
    "txt": PLAIN,
    "vcard": "text/vcard",
    "vcf": "text/vcard",
    "webmanifest": "application/manifest+json",
    "vtt": "text/vtt",
    "xhtml": "application/xhtml+xml",
    "xlf": "application/xliff+xml",
    "xliff": "application/xliff+xml",
    "xml": "application/xml",
    "xsl": "application/xslt+xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT_TYPE = re.compile(r"text/[\w.+-]+|application/(?:(?:[\w.-]+\+)?(?:json|xml)|x-ndjson|yaml|toml|sql|javascript)")

# Kinds of data without text: the MIME type and the first bytes. Where these could be a word, more bytes are required.
_SILENT: tuple[tuple[str, bytes], ...] = (
    ("image/png", rb"\x89PNG\r\n\x1a\n"),
    ("image/jpeg", rb"\xff\xd8\xff"),
    ("image/gif", rb"GIF8[79]a"),
    ("image/webp", rb"RIFF....WEBP"),
    ("image/tiff", rb"II\*\0|MM\0\*"),
    ("image/bmp", rb"BM....\0\0\0\0"),
    ("image/x-icon", rb"\0\0\x01\0[\x01-\x40]\0"),
    ("image/vnd.adobe.photoshop", rb"8BPS\0"),
    ("image/heic", rb"....ftyp(?:hei[cx]|mif1|msf1)"),
    ("image/avif", rb"....ftypavi[fs]"),
    ("audio/mp4", rb"....ftypM4A"),
    ("video/quicktime", rb"....ftypqt"),
    ("video/mp4", rb"....ftyp"),
    ("audio/mpeg", rb"ID3[\x02-\x04]\0|\xff[\xfb\xf3\xf2\xfa]"),
    ("audio/wav", rb"RIFF....WAVE"),
    ("video/x-msvideo", rb"RIFF....AVI\x20"),
    ("audio/flac", rb"fLaC\0"),
    ("application/ogg", rb"OggS\0"),
    ("video/webm", rb"\x1aE\xdf\xa3"),
    ("video/mp2t", rb"G.{187}G"),
    ("application/gzip", rb"\x1f\x8b\x08"),
    ("application/x-bzip2", rb"BZh[1-9]1AY&SY"),
    ("application/x-xz", rb"\xfd7zXZ\0"),
    ("application/zstd", rb"\x28\xb5\x2f\xfd"),
    ("application/x-7z-compressed", rb"7z\xbc\xaf\x27\x1c"),
    ("application/vnd.rar", rb"Rar!\x1a\x07"),
    ("application/x-lzh-compressed", rb"..-lh[0-9d]-"),
    ("application/x-tar", rb".{257}ustar[\0\x20]"),
    ("application/x-elf", rb"\x7fELF"),
    ("application/vnd.microsoft.portable-executable", rb"MZ.\0"),
    ("application/java-vm", rb"\xca\xfe\xba\xbe"),
    ("application/wasm", rb"\0asm"),
    ("application/vnd.sqlite3", rb"SQLite\x20format\x203\0"),
    ("application/vnd.apache.parquet", rb"PAR1[\x15\0]"),
    ("font/sfnt", rb"\0\x01\0\0\0|OTTO\0|wOF[F2]\0"),
)
_MAGIC = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:(?P<pdf>%PDF-)|(?P<rtf>\{\\rtf))|(?P<zip>PK(?:\x03\x04|\x05\x06))|(?P<ole>\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1)|"
    rb"(?P<one>\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3)|(?P<dot>\xdb\xa5-\0)|"
    + b"|".join(b"(?P<s%d>%s)" % (number, magic) for number, (_, magic) in enumerate(_SILENT)),
    re.DOTALL,
)
# The first entry of an office file. Every other zip file is an archive, unless its name says that it is a document.
_OFFICE_ENTRY = re.compile(
    rb"PK.{28}(?:mimetype|\[Content_Types\]|_rels/|docProps/|word/|xl/|ppt/|visio/|customXml/)", re.DOTALL
)
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:(?P<xml><\?xml\s)|<!doctype\s+html|<html[\s>]|(?P<svg><svg\s))", re.IGNORECASE
)
# Documents of Word and PowerPoint in one XML file (readers/flat.py).
_FLAT = re.compile(
    rb'<\?mso-application\s+progid="(?:Word\.Document|PowerPoint\.Show)"|"http://schemas\.microsoft\.com/office/2006/xmlPackage"'
)
_SNIFF_BYTES = 512
_MAIL = re.compile(
    rb"(?:Return-Path|Received|Delivered-To|X-[\w-]+|MIME-Version|Message-ID|From|Date|Subject|To): ", re.IGNORECASE
)
_MBOX = re.compile(rb"From \S+ .{0,40}\d\d:\d\d.{0,40}\r?\n(?:>?[\w-]+: )")
_SURE_MBOX = re.compile(
    rb"From [^\n]{1,200} (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [^\n]{3,20}\d\d:\d\d[^\n]{0,40}\n(?P<headers>>?[\w-]+:[ \t])"
)
"""A mailbox under a text's name, as archives of mailing lists are: the first line must end with a date (RFC 4155)."""
_OF_MAIL = re.compile(rb"^(from|date|subject|to|message-id|received|return-path): ", re.IGNORECASE | re.MULTILINE)
_MAIL_HEADERS = re.compile(rb"^(?:Received|MIME-Version|Message-ID): ", re.IGNORECASE | re.MULTILINE)


def kind_of(head: bytes, key: str, content_type: str | None) -> Kind:
    """The kind of the file that begins with `head` (4 KiB are enough) and is stored as `key`."""
    magic = _MAGIC.match(head)
    if magic is not None and magic.lastgroup is not None:
        return _by_magic(magic.lastgroup, head, key, content_type)
    kind = _without_magic(head, key[-20:].rpartition(".")[2].lower(), content_type)
    charset = of_content_type(content_type)
    return replace(kind, charset=charset) if charset else kind


def _without_magic(head: bytes, extension: str, content_type: str | None) -> Kind:
    mime_type = _TEXT_TYPES.get(extension)
    if mime_type is None:
        document = _document(extension, content_type)
        if document is not None:
            return _unproven(document, head)
        if _MAIL.match(head) and _MAIL_HEADERS.search(head):
            return _DOCUMENTS["eml"]
        if _MBOX.match(head):
            return _DOCUMENTS["mbox"]
        mime_type = _declared_text(content_type)
    elif mime_type == PLAIN and _is_mailbox(head):
        return _DOCUMENTS["mbox"]
    return _text(mime_type, head)


def _is_mailbox(head: bytes) -> bool:
    """Whether a text is a mailbox: a line with a date, then at least two headers that mail has."""
    begin = _SURE_MBOX.match(head)
    if begin is None:
        return False
    headers = head[begin.start("headers") :].replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    return len({name.lower() for name in _OF_MAIL.findall(headers)}) > 1


def _by_magic(name: str, head: bytes, key: str, content_type: str | None) -> Kind:
    if name in {"pdf", "rtf", "one", "dot"}:
        return _DOCUMENTS[name]
    if name[0] == "s":
        return Kind(_SILENT[int(name[1:])][0], "nothing")
    document = _document(key[-20:].rpartition(".")[2].lower(), content_type)
    fits = document is not None and document.route == name
    if name == "ole":
        # An encrypted `.docx` is an OLE file too.
        return Kind(document.mime_type if document else "application/x-ole-storage", "ole")
    if document and (fits or document.route == "ole"):  # a `.doc` written by a newer version of Word is a zip file
        return Kind(document.mime_type, "zip", claimed=document.mime_type not in _SHARED_NAMES)
    return Kind("application/zip", "zip" if _OFFICE_ENTRY.match(head) else "nothing")


def _document(extension: str, content_type: str | None) -> Kind | None:
    found = _DOCUMENTS.get(extension)
    if found is None and content_type:
        found = _DOCUMENT_TYPES.get(content_type.partition(";")[0].strip().lower())
    return found


def _unproven(document: Kind, head: bytes) -> Kind:
    """The kind of a file that is named as a document but does not begin as one.

    Mail has no magic bytes, and a PDF may have some junk before its own.
    """
    if document.route == "mail" or (document.route == "pdf" and b"%PDF-" in head[:1024]):
        return document
    begins = _BEGINS.get(document.mime_type)
    if begins is not None and begins.match(head):
        return document
    text = _text(PLAIN, head)
    return Kind(text.mime_type, text.route, claimed=document.mime_type not in _SHARED_NAMES)


def _declared_text(content_type: str | None) -> str:
    declared = (content_type or "").partition(";")[0].strip().lower()
    return declared if _TEXT_TYPE.fullmatch(declared) else PLAIN


def _text(mime_type: str, head: bytes) -> Kind:
    """Text of the kind that its name says, unless it begins as HTML or XML does."""
    if head[:1] in b"\xff\xfe":
        head = head[:_SNIFF_BYTES].decode("utf-16", "ignore").encode("utf-8", "ignore")
    markup = _MARKUP.match(head)
    if markup is None:
        if mime_type in _HTML:
            return Kind(mime_type, "html")
        is_xml = mime_type.endswith(("/xml", "+xml")) and head.lstrip()[:1] == b"<"
        return Kind(mime_type, "xml" if is_xml else "text")
    if markup["xml"] is None and markup["svg"] is None:
        return Kind(mime_type if mime_type in _HTML else "text/html", "html")
    if _FLAT.search(head):
        return Kind("application/xml", "flat")
    if b"<html" in head:
        return Kind("application/xhtml+xml", "html")
    if b"<svg" in head:
        return Kind("image/svg+xml", "xml")
    return Kind(mime_type if mime_type.endswith(("/xml", "+xml")) else "application/xml", "xml")
