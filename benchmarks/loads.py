"""The workloads: (a) 4 KB texts, (b) a mix of texts, office files and PDF, (c) texts of 20 MB. Each comes from a seed."""

import random
from collections.abc import Iterator

from testing.corpus import corpus
from testing.corpus_bodies import long_pdf

_JAPANESE = (
    "東京都 予算 会議 議事録 見積書 請求書 契約 報告書 京都支店 大阪 四半期 売上 顧客 株式会社 テンプレート "
    "プロジェクト 担当 確認 変更 承認"
)
_ENGLISH = (
    "the report budget quarterly forecast invoice contract minutes customer revenue approved pending review draft of "
    "and shipment warehouse delivery schedule meeting agenda template project change request owner status risk"
)
_WORDS = f"{_JAPANESE} {_ENGLISH}".split(" ")
TEXT_BYTES = 4_096
LARGE_BYTES = 20_000_000
SLOW = 200
"""In the mix, one file in this many takes seconds to read."""
SLOW_PAGES = 3_000
OFFICE = frozenset({"docx", "xlsx", "pptx", "doc", "xls", "ppt", "odt", "ods", "odp", "rtf"})


def texts(count: int) -> Iterator[tuple[str, bytes]]:
    """Workload a: plain texts of 4 KB in Japanese and English."""
    for number in range(count):
        yield f"texts/{number % 100:02}/報告書 {number:06}.txt", _text(random.Random(number), TEXT_BYTES)


def mix(count: int) -> Iterator[tuple[str, bytes]]:
    """Workload b: 70% texts of 2–50 KB, 20% office files, 10% PDF, of which a few have thousands of pages."""
    samples = corpus(600, bad=0, seed=4)
    office = [(s.format, s.body) for s in samples if s.format in OFFICE]
    pdfs = [(s.format, s.body) for s in samples if s.format == "pdf"]
    slow = long_pdf(random.Random(4), SLOW_PAGES)
    for number in range(count):
        rng = random.Random(number)
        draw = number % 10
        if draw < 7:
            yield f"mix/{number:06}.txt", _text(rng, rng.randint(2_000, 50_000))
        elif number % SLOW == SLOW - 1:
            yield f"mix/{number:06}.slow.pdf", slow
        else:
            ending, body = rng.choice(office if draw < 9 else pdfs)
            yield f"mix/{number:06}.{ending}", body


def small_office() -> list[tuple[str, bytes]]:
    """Word, Excel and PowerPoint files of a few KB, with their extensions."""
    return [(s.format, s.body) for s in corpus(600, bad=0, seed=4) if s.format in {"docx", "xlsx", "pptx"}]


def large(count: int) -> Iterator[tuple[str, bytes]]:
    """Workload c: texts of 20 MB."""
    body = _text(random.Random(0), LARGE_BYTES)
    for number in range(count):
        yield f"large/{number:04}.txt", b"%06d " % number + body


def _text(rng: random.Random, size: int) -> bytes:
    words: list[str] = []
    length = 0
    while length < size:
        word = rng.choice(_WORDS)
        words.append(word)
        length += len(word.encode()) + 1
    return " ".join(words).encode()[:size].decode(errors="ignore").encode()
