"""Packages of [ISO/IEC 29500-2] made from their parts, for the tests of what reads them."""

import io
import zipfile
from collections.abc import Mapping, Sequence

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
OOXML = "application/vnd.openxmlformats-officedocument."
NAMESPACES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {
        "w": W,
        "a": A,
        "p": P,
        "r": R,
        "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
        "pic": "http://schemas.openxmlformats.org/drawingml/2006/picture",
        "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
        "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
        "v": "urn:schemas-microsoft-com:vml",
        "o": "urn:schemas-microsoft-com:office:office",
        "p14": "http://schemas.microsoft.com/office/powerpoint/2010/main",
        "p188": "http://schemas.microsoft.com/office/powerpoint/2018/8/main",
    }.items()
)
_OUTSIDE = ' TargetMode="External"'

Links = Mapping[str, Sequence[tuple[str, str]]]


def zipped(members: Mapping[str, bytes | str]) -> bytes:
    """A zip file of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def package(
    parts: Mapping[str, bytes | str],
    links: Links,
    content_types: Mapping[str, str],
    *,
    base: str = R,
) -> bytes:
    """A package. `links` gives (end of the type, target) for each part, "" being the package; a target with "://" is outside.

    The ids of a part's relationships are r1, r2, … in this order.
    """
    overrides = "".join(f'<Override PartName="/{name}" ContentType="{ct}"/>' for name, ct in content_types.items())
    members: dict[str, bytes | str] = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
    }
    for part, its in links.items():
        folder, _, name = part.rpartition("/")
        members[f"{folder}/_rels/{name}.rels".lstrip("/")] = _relationships(its, base)
    return zipped({**members, **parts})


def _relationships(links: Sequence[tuple[str, str]], base: str) -> str:
    rows = (
        f'<Relationship Id="r{number}" Type="{base}/{kind}" Target="{target}"{_OUTSIDE if "://" in target else ""}/>'
        for number, (kind, target) in enumerate(links, start=1)
    )
    return f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{"".join(rows)}</Relationships>'


def docx(
    body: str,
    parts: Mapping[str, bytes | str] | None = None,
    links: Sequence[tuple[str, str]] = (),
    more: Links | None = None,
) -> bytes:
    """A document with this content of `w:body`, other parts, and the links to them from the main part and elsewhere."""
    return package(
        {"word/document.xml": part("w:document", f"<w:body>{body}</w:body>"), **(parts or {})},
        {"": [("officeDocument", "word/document.xml")], "word/document.xml": links, **(more or {})},
        {"word/document.xml": OOXML + "wordprocessingml.document.main+xml"},
    )


def part(root: str, content: str) -> str:
    """A part with all namespaces declared."""
    return f"<?xml version='1.0' encoding='UTF-8'?><{root} {NAMESPACES}>{content}</{root}>"


def paragraph(text: str) -> str:
    """A paragraph of WordprocessingML."""
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def shape(text: str, placeholder: str = "") -> str:
    """A shape on a slide, with a paragraph of DrawingML for each line of text."""
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr><p:nvPr>{placeholder}</p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>"


def slide(content: str, root: str = "p:sld") -> str:
    """A slide with these shapes."""
    return part(root, f"<p:cSld><p:spTree>{content}</p:spTree></p:cSld>")
