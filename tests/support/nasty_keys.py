"""Two hundred keys of the kinds that programs get wrong, each valid in S3: 1 to 1,024 bytes of UTF-8.

A line feed is not among them: moto, which keeps all of these, has no route for one.
"""

import string
import unicodedata

LONGEST_BYTES = 1024
NOT_IN_XML = frozenset("\x01\x0b\x1b")
"""Of a missing key with one of these, moto's answer cannot be parsed, so that nothing says that its object is gone."""
_COMPOSED = ("é.txt", "ü/ö.txt", "Å.txt", "が/ぱ.txt", "각.txt", "ế.txt", "ä.doc")
"""Each also as a Mac names it: decomposed, which is another key."""

PATHS = (
    "a//b", "a///b", "/lead", "//lead", "dir/", "a/", "a/b/", "a//", "x/../y", "x/./y", "../up", "./here", "x/..", "x/.", ".",
    "..", "...", ".hidden", "end.", "a/b", "a/b/c", "a/b//", "~user/x", "CON", "nul.txt", "a\\../b", "file:///etc/x",
    "report 2.txt", "report/1.txt", "report.txt", "C:\\x\\y", "\\\\host\\x",
)  # fmt: skip
"""What programs for file systems normalise, and the neighbours that some stores list in another order."""
PUNCTUATION = tuple(f"a{mark}b" for mark in string.punctuation if mark != "/")
BLANKS = (
    " ", " leading", "trailing ", "two  blanks", "tab\there", "vertical\x0btab", "\u00a0", "wide\u3000blank", "\u2009thin",
    "\u200b", "\ufeffmark", "soft\u00adhyphen", "\u2028", "\u2029", "\u0085", "\u2060", "carriage\rreturn", "esc\x1b[31m", "\x01",
)  # fmt: skip
ENCODED = (
    "%", "%%", "%2F", "%2f", "%20", "a%20b", "a b", "a+b c", "%zz", "%E3%81", "100%+ &.txt", "&amp;", "&#47;", "\\u0041",
    "=?utf-8?", "?versionId=1", "#top",
)  # fmt: skip
"""What looks as if it were encoded already, and must not be decoded."""
SYNTAX = (
    "'; DROP TABLE objects; --", '{"key":"a"}', "<b>bold</b>", "]]>", "${HOME}", "{{key}}", "$(id)", "`id`", "*.txt", "[a-z]",
    "--yes", "-", "null", "None", "true", "0", "00", "1e5", "-1", "%s", "~", "=1+1", "@a", "a,b;c", "a_b%c", "\\n",
)  # fmt: skip
"""What means something in SQL, JSON, HTML, a shell, or a pattern."""
OURS = (
    "retry-index/2026-01-01/a.json", "dead-letters/a.json", "dlq-archive/2026-01-01/a.json", "s3-index-worker/pause.json",
)  # fmt: skip
"""Names of our own records, in a bucket that is not the state bucket."""
UNICODE = (
    *_COMPOSED, *(unicodedata.normalize("NFD", key) for key in _COMPOSED), "\uff76\uff9e.txt", "\u30ac.txt", "①.txt", "㍿.txt",
    "ﬁ.txt", "fi.txt", "A.txt", "a.txt", "İ.txt", "ı.txt", "ß.txt", "SS.txt", "Σς.txt", "\uff5e.txt", "\u301c.txt", "שלום.txt",
    "سلام.txt", "\u202egnp.exe", "ไทย.txt", "हिन्दी.txt", "契約書/見積.txt", "𠮷野家.txt", "髙﨑.txt", "葛\U000e0100.txt",
    "\U0001f338 花見.txt", "\U0001f468\u200d\U0001f469\u200d\U0001f467.txt", "\U0001f1ef\U0001f1f5.txt", "\U0001f44d\U0001f3fd.txt",
    "❤\ufe0f.txt", "❤.txt", "1\ufe0f\u20e3.txt", "\x7f", "\ud7ff", "\ue000", "\ue001mark", "\ufffd", "\U00010000", "\U0010fffd",
)  # fmt: skip
"""Forms of one character, directions, emoji, and both sides of where the order of UTF-16 is another than that of UTF-8."""
LONG = (
    *("z" * count for count in (254, 255, 256, 511, 512, 513, 1_000, 1_023, LONGEST_BYTES)), "é" * 512, "契" * 341,
    "\U0001f338" * 256, "é" * 256, "契" * 171, "\U0001f338" * 128, "x" * 1_023 + "y", "x" * 1_023 + "z",
    "d/" * 511 + "f", "/" * 1_000 + "f",
)  # fmt: skip
"""Around what file systems, ids of documents and S3 itself allow."""
NASTY = (*PATHS, *PUNCTUATION, *BLANKS, *ENCODED, *SYNTAX, *OURS, *UNICODE, *LONG)
