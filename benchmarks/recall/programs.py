"""Independent tools that are programs: pdftotext, mutool and LibreOffice, where they are installed, and Apache Tika 3."""

import contextlib
import http.client
import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from benchmarks.measure import cpu
from benchmarks.recall.independent import READ_TIMEOUT_S, RUNS_ON, Tool, format_of
from benchmarks.recall.phrases import Block
from testing.jars import one_jar
from testing.ports import free_ports
from testing.process import LOOPBACK, Server, UnavailableError, http_get

TIKA = "org.apache.tika:tika-server-standard:3.3.2"
HEAP_MB = 1024
_LAYOUT_CODES = re.compile(r'&(?:"[^"\n]*"|K[0-9A-F]{6}|\d{1,3}|[A-Z])')
"""The codes in headers and footers of sheets ([MS-XLS] 2.5.148), which Tika returns as text."""
_FILE_NAME = re.compile(
    r"(?:UNKNOWN-\d|_\d{10}|\d{10}/)\S*|(?!\w+://)\S*\.(?:jpe?g|png|gif|tiff?|bmp|svg|x?html?|css|ncx|opf|emf|wmf|bin|[ot]tf|woff)"
)
"""A line that Tika adds for an embedded file."""
_PROMPTS = ("Click to edit", "Click to add", "Click here to", "Click or tap")
"""How prompts of templates begin: nobody wrote them."""
_NO_DOCUMENT = (".js", ".css", ".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".bmp", ".ttf", ".otf", ".woff")
"""Endings of embedded files that nobody reads: code, and pictures, of which Tika returns what the camera noted."""
_LIST_NUMBER = re.compile(r"^\W*(?:[0-9A-Za-z]{0,4}[.)\-])+(?:[0-9A-Za-z]{1,4}[.)]?)?\s+(?=\S)")
"""What Tika puts before a paragraph of a list in Word documents: numbers that are not in the file."""


def tools() -> list[Tool]:
    """The programs that are found in PATH, those that are missing too."""
    return [
        _program("pdftotext", "poppler-utils", {"pdf"}, ("-q", "-enc", "UTF-8", "{}", "-")),
        _program("mutool", "mupdf-tools", {"pdf"}, ("draw", "-q", "-F", "txt", "{}")),
        _libreoffice(),
    ]


def _program(name: str, package: str, formats: set[str], arguments: tuple[str, ...]) -> Tool:
    found = shutil.which(name)

    def read(path: Path) -> list[Block]:
        command = [str(found), *(str(path) if argument == "{}" else argument for argument in arguments)]
        done = subprocess.run(command, capture_output=True, check=True, timeout=READ_TIMEOUT_S)
        return [Block(page) for page in done.stdout.decode("utf-8", "replace").split("\f")]

    return Tool(name, frozenset(formats), read, None if found else f"{name}: apt-get install {package}")


def _libreoffice() -> Tool:
    found = shutil.which("soffice") or shutil.which("libreoffice")

    def read(path: Path) -> list[Block]:
        with tempfile.TemporaryDirectory(prefix="s3iw-recall-") as folder:
            where = (f"-env:UserInstallation=file://{folder}/profile", "--headless", "--outdir", folder)
            convert = ("--convert-to", "txt:Text (encoded):UTF8", str(path))
            subprocess.run([str(found), *where, *convert], capture_output=True, check=True, timeout=READ_TIMEOUT_S)
            text = Path(folder, f"{path.stem}.txt").read_text("utf-8-sig", "replace")
        return [Block(line) for line in text.splitlines()]

    missing = None if found else "LibreOffice: apt-get install libreoffice-writer-nogui"
    return Tool("LibreOffice", frozenset({"doc", "docx", "odt", "rtf"}), read, missing)


class Tika(Server):
    """A server of Apache Tika, which stays warm between the files."""

    name = "tika"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_ports(1)[0]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOOPBACK}:{self.port}"

    def read(self, path: Path) -> list[Block]:
        """What it reads in a file and in the documents that are embedded in it. Raises OSError and ValueError."""
        documents = [
            (one.get("X-TIKA:embedded_resource_path", ""), one.get("X-TIKA:content", "")) for one in self._asked(path)
        ]
        names, form = {part.rpartition("/")[2] for part, _ in documents if part}, format_of(path)
        blocks = []
        for part, content in documents:
            if not part.lower().endswith(_NO_DOCUMENT):
                pieces = [content] if form in RUNS_ON else content.splitlines()
                lines = [piece for piece in pieces if not _is_no_text(piece.strip(), names)]
                blocks += [Block(_cleaned(line, form), part) for line in lines]
        return blocks

    def wall_s(self, path: Path) -> float:
        """The time that it takes for a file, in seconds. Raises OSError and ValueError."""
        began = time.perf_counter()
        self._asked(path)
        return time.perf_counter() - began

    def warm_up(self, files: list[Path]) -> None:
        """Have it read files, as it does before it is measured: Java compiles what it has run often."""
        for path in files:
            with contextlib.suppress(OSError, ValueError):
                self._asked(path)

    def cpu_s(self) -> float:
        """CPU time so far, in seconds."""
        return cpu(self.pid).total_s

    def _asked(self, path: Path) -> list[dict[str, str]]:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=READ_TIMEOUT_S)
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(path.name)}"}
        try:
            connection.request("PUT", "/rmeta/text", path.read_bytes(), {"Accept": "application/json", **headers})
            answer = connection.getresponse()
            body = answer.read()
        except TimeoutError:
            self.restart()  # it goes on with this file for ever
            raise
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"Tika says {answer.status}")
        documents: list[dict[str, str]] = json.loads(body)
        if failure := documents[0].get("X-TIKA:EXCEPTION:container_exception"):
            raise ValueError(f"Tika says {failure.splitlines()[0]}")
        return documents

    def _command(self) -> list[str]:
        from testing.binaries import java

        options = (f"-Xmx{HEAP_MB}m", "-XX:-UsePerfData", f"-Djava.io.tmpdir={self.folder}")
        return [java(), *options, "-jar", str(one_jar(TIKA)), "-h", LOOPBACK, "-p", str(self.port), "--noFork"]

    def _is_healthy(self) -> bool:
        return http_get(self.port, "/version")[1].startswith(b"Apache Tika")


def _is_no_text(line: str, names: set[str]) -> bool:
    """Whether a line is what Tika adds for an embedded file, one of these or another one, or an empty field's prompt."""
    return line in names or bool(_FILE_NAME.fullmatch(line)) or line.startswith(_PROMPTS)


def _cleaned(text: str, form: str) -> str:
    """A line without what Tika adds to it."""
    if form.startswith("xls"):
        return _LAYOUT_CODES.sub(" ", text) if text.lstrip().startswith("&") else text
    return _LIST_NUMBER.sub("", text) if form in {"doc", "docx"} else text


def started_tika(folder: Path) -> tuple[Tika | None, Tool]:
    """Start Tika; the tool says why it is missing if this machine cannot run it."""
    try:
        server = Tika(folder).start()
    except UnavailableError as error:
        return None, Tool("Tika", None, lambda _: [], f"Tika: {error}")
    return server, Tool("Tika", None, server.read)
