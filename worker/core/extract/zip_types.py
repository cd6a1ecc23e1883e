"""The MIME types of documents in a zip container, by the extensions of their names."""

_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."

IN_ZIP: dict[str, str] = {
    "docx": _OOXML + "wordprocessingml.document",
    "xlsx": _OOXML + "spreadsheetml.sheet",
    "pptx": _OOXML + "presentationml.presentation",
    "docm": "application/vnd.ms-word.document.macroenabled.12",
    "xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
    "xlsb": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    "pptm": "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    "ppsx": _OOXML + "presentationml.slideshow",
    "ppsm": "application/vnd.ms-powerpoint.slideshow.macroenabled.12",
    "dotx": _OOXML + "wordprocessingml.template",
    "dotm": "application/vnd.ms-word.template.macroenabled.12",
    "xltx": _OOXML + "spreadsheetml.template",
    "xltm": "application/vnd.ms-excel.template.macroenabled.12",
    "potx": _OOXML + "presentationml.template",
    "potm": "application/vnd.ms-powerpoint.template.macroenabled.12",
    "vsdx": "application/vnd.ms-visio.drawing",
    "vsdm": "application/vnd.ms-visio.drawing.macroenabled.12",
    "xps": "application/vnd.ms-xpsdocument",
    "oxps": "application/oxps",
    "odt": _ODF + "text",
    "ott": _ODF + "text-template",
    "ods": _ODF + "spreadsheet",
    "odp": _ODF + "presentation",
    "odg": _ODF + "graphics",
    "ots": _ODF + "spreadsheet-template",
    "otp": _ODF + "presentation-template",
    "otg": _ODF + "graphics-template",
    "sxw": "application/vnd.sun.xml.writer",
    "sxc": "application/vnd.sun.xml.calc",
    "sxi": "application/vnd.sun.xml.impress",
    "epub": "application/epub+zip",
    "pages": "application/vnd.apple.pages",
    "numbers": "application/vnd.apple.numbers",
    "key": "application/vnd.apple.keynote",
}
"""A file with one of these names is such a document, or is broken."""
