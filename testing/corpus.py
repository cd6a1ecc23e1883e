"""Many distinct objects of many formats, made from a seed: what the acceptance test puts into the bucket.

`corpus(500, bad=25)` gives 500 samples, 25 of them unreadable. Every readable sample with text carries a `marker`, a
word that occurs in no other sample and not in its own key, so a search for it proves that this object's content was
read. Where an encoding is at stake (CP932, EUC-JP, ISO-2022-JP, RTF escapes, …) the marker is katakana: an ASCII
marker would be found in mojibake too. Search for such a marker as a phrase, because analyzers cut katakana up.

Text formats are written here. Formats that cannot be written in a few lines take a file of `samples/` as carrier and
exchange its company name for the marker; in the old binary formats in place, which is why every marker is exactly as
long as that name. Encrypted files come from `tests/data/`, so their bodies
repeat, as empty ones do.
"""

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from testing import corpus_bodies as bodies
from testing.corpus_bodies import CARRIED, DATA, SAMPLES, Build

_OFFICE = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."

_FOLDERS = (
    "経理/2026年度",
    "議事録 (確定)/第3回",
    "legal/drafts (v2+final)",
    "sales/100% renewal",
    "🌸写真/お花見",
    "mail/Re: fwd, 至急!",
    "a+b=c/%E6%9D%B1 already encoded",
    "営業/東京都 & 京都/見積書",
    unicodedata.normalize("NFD", "ガイドブック/プロジェクト"),
    "deep/" + "/".join(f"{level:02d}階層の書類置き場" for level in range(20)),  # id over 512 bytes: it gets hashed
)
_STEMS = (
    "報告書",
    "final report",
    "見積書 テンプレート",
    "memo+copy",
    "100%",
    "📎添付",
    "résumé",
    "№7 控え",
    "a&b=c#1",
)


@dataclass(frozen=True)
class Sample:
    """One object to put, and what is to be expected of it."""

    key: str
    body: bytes
    content_type: str | None
    """What the uploader declared: right, S3's default, or nothing."""
    format: str
    marker: str
    """A word that only this object contains; empty where only name and metadata can be found."""
    bad: str | None
    """`encrypted` or `corrupt`; None for a good file."""


@dataclass(frozen=True)
class Kind:
    """One format: its file ending, its content type, and how a body with a given marker is made."""

    format: str
    ext: str
    content_type: str
    build: Build
    alphabet: str
    """Of its marker: `latin`, `kana`, or `none` for files without text."""


def corpus(n: int, bad: int, seed: int = 0) -> list[Sample]:
    """`n` distinct objects in all, `bad` of them unreadable; the same arguments give the same objects.

    Formats take turns, so that each of them appears once `n - bad` reaches their number.
    """
    rng = random.Random(seed)
    markers = _markers(rng)
    samples = []
    for i in range(n - bad):
        kind = KINDS[i % len(KINDS)]
        marker = next(markers[kind.alphabet])
        samples.append(_sample(rng, i, kind, marker, kind.build(rng, marker), None))
    for i in range(bad):
        kind, why = BAD_KINDS[i % len(BAD_KINDS)]
        samples.append(_sample(rng, n - bad + i, kind, "", kind.build(rng, next(markers["latin"])), why))
    rng.shuffle(samples)
    return samples


def _sample(rng: random.Random, number: int, kind: Kind, marker: str, body: bytes, bad: str | None) -> Sample:
    key = f"{rng.choice(_FOLDERS)}/{rng.choice(_STEMS)} {number:05d}.{kind.ext}"
    declared = rng.choice((kind.content_type, kind.content_type, "binary/octet-stream", None))
    return Sample(key, body, declared, kind.format, marker, bad)


def _markers(rng: random.Random) -> dict[str, Iterator[str]]:
    """An endless series of distinct words, of letters only, since analyzers split at digits."""

    def words(syllables: list[str], count: int) -> Iterator[str]:
        seen: set[str] = set()
        while True:
            word = "".join(rng.choice(syllables) for _ in range(count))
            if word not in seen:
                seen.add(word)
                yield word

    latin = [c + v for c in "bdfghjklmnprstvz" for v in "aeiou"]
    kana = list("アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワ")
    return {"latin": words(latin, len(CARRIED) // 2), "kana": words(kana, len(CARRIED)), "none": iter(lambda: "", None)}


def _latin(fmt: str, ext: str, content_type: str, build: Build) -> Kind:
    return Kind(fmt, ext, content_type, build, "latin")


def _kana(fmt: str, ext: str, content_type: str, build: Build) -> Kind:
    return Kind(fmt, ext, content_type, build, "kana")


def _silent(fmt: str, ext: str, content_type: str, build: Build) -> Kind:
    return Kind(fmt, ext, content_type, build, "none")


KINDS: tuple[Kind, ...] = (
    _latin("txt", "txt", "text/plain", bodies.text("utf-8")),
    _kana("txt-utf8-bom", "txt", "text/plain", bodies.text("utf-8-sig")),
    _kana("txt-cp932", "txt", "text/plain", bodies.text("cp932", extra="①②③ 髙橋 﨑山")),
    _kana("txt-eucjp", "txt", "text/plain; charset=euc-jp", bodies.text("euc-jp")),
    _kana("txt-jis", "txt", "text/plain", bodies.text("iso-2022-jp")),
    _kana("txt-utf16", "txt", "text/plain", bodies.text("utf-16-le", bom=b"\xff\xfe")),
    _kana("log-cp932", "log", "text/plain", bodies.text("cp932")),
    _latin("md", "md", "text/markdown", bodies.markdown),
    _kana("csv-cp932", "csv", "text/csv", bodies.table("cp932")),
    _kana("csv-utf16", "csv", "text/csv", bodies.table("utf-16-le", bom=b"\xff\xfe")),
    _latin("tsv", "tsv", "text/tab-separated-values", bodies.table("utf-8", "\t")),
    _latin("json", "json", "application/json", bodies.json_object),
    _kana("jsonl", "jsonl", "application/x-ndjson", bodies.json_lines),
    _latin("py", "py", "text/x-python", bodies.python),
    _latin("html", "html", "text/html", bodies.html("utf-8", "utf-8")),
    _kana("html-sjis", "htm", "text/html", bodies.html("Shift_JIS", "cp932")),
    _kana("xml", "xml", "application/xml", bodies.xml),
    _kana("rtf", "rtf", "application/rtf", bodies.rtf),
    _kana("eml", "eml", "message/rfc822", bodies.mail("utf-8", "base64")),
    _kana("eml-jis", "eml", "message/rfc822", bodies.mail("iso-2022-jp", "7bit")),
    _kana("msg", "msg", "application/vnd.ms-outlook", bodies.patched(SAMPLES / "mail/Server room maintenance.msg")),
    _latin("pdf", "pdf", "application/pdf", bodies.pdf),
    _latin("docx", "docx", _OFFICE + "wordprocessingml.document", bodies.rezipped("legal/NDA draft (v2+final).docx")),
    _kana("xlsx", "xlsx", _OFFICE + "spreadsheetml.sheet", bodies.rezipped("経理/2026年度 予算案.xlsx")),
    _latin(
        "pptx", "pptx", _OFFICE + "presentationml.presentation", bodies.rezipped("sales/Quarterly forecast Q3.pptx")
    ),
    _kana("odt", "odt", _ODF + "text", bodies.rezipped("legal/秘密保持契約 解説.odt")),
    _kana("ods", "ods", _ODF + "spreadsheet", bodies.rezipped("経理/在庫一覧.ods")),
    _latin("odp", "odp", _ODF + "presentation", bodies.rezipped("sales/Product overview.odp")),
    _kana("epub", "epub", "application/epub+zip", bodies.rezipped("manual/新人ガイド.epub")),
    _latin("doc", "doc", "application/msword", bodies.patched(DATA / "correspondence.doc")),
    _kana("doc-ja", "doc", "application/msword", bodies.patched(SAMPLES / "議事録/2026-04 東京都 訪問記録.doc")),
    _kana("xls", "xls", "application/vnd.ms-excel", bodies.patched(SAMPLES / "経理/見積書 テンプレート.xls")),
    _kana("ppt", "ppt", "application/vnd.ms-powerpoint", bodies.patched(SAMPLES / "sales/京都支店 提案.ppt")),
    _silent("png", "png", "image/png", bodies.png),
    _silent("jpg", "jpg", "image/jpeg", bodies.jpeg),
    _silent("zip", "zip", "application/zip", bodies.archive),
    _silent("bin", "dat", "application/octet-stream", bodies.binary),
    _silent("empty", "txt", "text/plain", lambda _rng, _marker: b""),
)
_BY_FORMAT = {kind.format: kind for kind in KINDS}


def _encrypted(fmt: str, name: str) -> tuple[Kind, str]:
    return replace(_BY_FORMAT[fmt], build=bodies.stored(DATA / name)), "encrypted"


def _cut(fmt: str) -> tuple[Kind, str]:
    """Good until it breaks off, as after an upload of a part."""
    return replace(_BY_FORMAT[fmt], build=bodies.cut(_BY_FORMAT[fmt].build)), "corrupt"


def _noisy(fmt: str) -> tuple[Kind, str]:
    return replace(_BY_FORMAT[fmt], build=bodies.noisy(_BY_FORMAT[fmt].build)), "corrupt"


BAD_KINDS: tuple[tuple[Kind, str], ...] = (
    _encrypted("pdf", "encrypted.pdf"),
    _cut("docx"),
    _encrypted("docx", "encrypted.docx"),  # Word's own: an OLE container in spite of the name
    _cut("xlsx"),
    _encrypted("xlsx", "encrypted.xlsx"),
    _cut("pptx"),
    _encrypted("docx", "encrypted-zip.docx"),  # a zip with a password, renamed
    _noisy("pdf"),
    _encrypted("doc", "encrypted.doc"),
    _noisy("doc"),
    _encrypted("xls", "encrypted.xls"),
    _noisy("xls"),
    _encrypted("odt", "encrypted.odt"),
    _cut("odt"),
    _encrypted("ods", "encrypted.ods"),
    _noisy("ppt"),
    _noisy("msg"),
    _cut("epub"),
)
