"""XPS: runs of glyphs become words and lines."""

import pytest

from testing.packages import package, zipped
from worker.core.extract.readers import xps
from worker.core.extract.readers.zipped import Container
from worker.core.extract.reading import Reading

XPS = "http://schemas.microsoft.com/xps/2005/06"


def glyphs(text: str, x: float, y: float = 100, more: str = "") -> str:
    return f'<Glyphs UnicodeString="{text}" OriginX="{x}" OriginY="{y}" FontRenderingEmSize="10" {more}/>'


def members(*pages: str) -> dict[str, str]:
    listed = "".join(f'<PageContent Source="Pages/{number}.fpage"/>' for number in range(len(pages) + 1, 0, -1))
    return {
        "_rels/.rels": f'<Relationships><Relationship Type="{XPS}/fixedrepresentation" Target="/s.fdseq"/></Relationships>',
        "s.fdseq": '<FixedDocumentSequence><DocumentReference Source="/D/1/d.fdoc"/></FixedDocumentSequence>',
        "D/1/d.fdoc": f"<FixedDocument>{listed}</FixedDocument>",
        **{f"D/1/Pages/{number}.fpage": f"<FixedPage>{page}</FixedPage>" for number, page in enumerate(pages, start=1)},
    }


def read(body: bytes) -> Reading:
    reading = Reading(100_000)
    xps.read(Container(body), reading)
    return reading


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (glyphs("{}{x}", 0), "{x}"),
        (glyphs("R", 72.0) + glyphs("ain", 79.3) + glyphs("bow", 95), "Rainbow"),
        (glyphs("wide", 0, more='Indices=",50;,50;,50;,50"') + glyphs("gap", 23), "wide gap"),
        (glyphs("東京", 0, more='Indices=",100;,100"') + glyphs("都庁", 20.5), "東京都庁"),
        (glyphs("a ", 0) + glyphs("b", 300), "a b"),
        (glyphs("one", 0) + glyphs("two", 0, 112), "one\ntwo"),
        (f'<Canvas RenderTransform="1,0,0,1,0,0">{glyphs("one", 0)}</Canvas>' + glyphs("two", 16), "one\ntwo"),
        (f"<Canvas>{glyphs('on', 0)}</Canvas><Canvas>{glyphs('e', 11)}</Canvas>", "one"),
        (glyphs("אב", 100, more='BidiLevel="1" Indices=",50;,50"') + glyphs("גד", 90, more='BidiLevel="1"'), "אבגד"),
        (glyphs("odd", 0, more='Indices=",x;(1:2)3,,;;;;"').replace('"10"', '"none"'), "odd"),
    ],
)  # fmt: skip
def test_runs_are_joined_to_lines(page: str, expected: str) -> None:
    assert read(zipped(members(page))).text == expected


def test_pages_come_in_the_order_of_the_document_and_a_missing_one_costs_only_itself() -> None:
    reading = read(zipped(members(glyphs("first", 0), glyphs("second", 0))))
    assert reading.text == "second\nfirst"
    assert reading.missed == ["D/1/Pages/3.fpage is missing"]


def test_parts_in_pieces_are_put_together() -> None:
    whole = members(glyphs("in pieces", 0))
    page = whole.pop("D/1/Pages/1.fpage")
    pieces = {"[0].piece": page[:20], "[1].piece": page[20:30], "[2].last.piece": page[30:]}
    assert (
        read(zipped(whole | {f"D/1/Pages/1.fpage/{name}": text for name, text in pieces.items()})).text == "in pieces"
    )


@pytest.mark.parametrize(
    ("base", "expected"),
    [(XPS, "application/vnd.ms-xpsdocument"), ("http://schemas.openxps.org/oxps/v1.0", "application/oxps")],
)
def test_both_kinds_are_known(base: str, expected: str) -> None:
    body = package({"s.fdseq": "<x/>"}, {"": [("fixedrepresentation", "s.fdseq")]}, {}, base=base)
    assert Container(body).document_type() == expected
