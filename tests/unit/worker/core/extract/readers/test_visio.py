"""Drawings of Visio."""

import io
import zipfile

from worker.core.extract.kinds import kind_of
from worker.core.extract.parse import parse

NS = 'xmlns="http://schemas.microsoft.com/office/visio/2012/main"'
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
TYPE = "http://schemas.microsoft.com/visio/2010/relationships/"


def rels(**targets: str) -> str:
    links = "".join(
        f'<Relationship Id="r{number}" Type="{TYPE}{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets.items())
    )
    return f'<Relationships xmlns="{RELS}">{links}</Relationships>'


DRAWING = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override '
    'PartName="/visio/document.xml" ContentType="application/vnd.ms-visio.drawing.main+xml"/></Types>',
    "_rels/.rels": rels(document="visio/document.xml"),
    "visio/document.xml": f"<VisioDocument {NS}/>",
    "visio/_rels/document.xml.rels": rels(pages="pages/pages.xml", comments="comments.xml"),
    "visio/comments.xml": f"<Comments {NS}><CommentList><CommentEntry>要確認</CommentEntry></CommentList></Comments>",
    "visio/pages/pages.xml": f'<Pages {NS}><Page ID="0" Name="全体図"/></Pages>',
    "visio/pages/_rels/pages.xml.rels": rels(page="page1.xml"),
    "visio/pages/page1.xml": f"<PageContents {NS}><Shapes><Shape><Text>受<cp IX='0'/>付<fld IX='0'>窓口</fld></Text><Shapes>"
    "<Shape><Text>inner kingfisher</Text></Shape></Shapes><Section N='Property'><Row><Cell N='Label' V='担当'/><Cell N='Value' V="
    "'総務課'/><Cell N='Type' V='0'/></Row></Section></Shape></Shapes></PageContents>",
}


def test_pages_shapes_their_data_and_comments_are_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, text in DRAWING.items():
            made.writestr(name, text)
    body = out.getvalue()
    extracted = parse(body, kind_of(body[:4096], "a", None), 1000)
    assert (extracted.status, extracted.mime_type) == ("ok", "application/vnd.ms-visio.drawing")
    assert extracted.content.splitlines() == ["全体図", "受付窓口", "担当\t総務課", "inner kingfisher", "要確認"]
