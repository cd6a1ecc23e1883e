"""Parsers inside s3-index-worker.service: isolated within the unit's own sandbox, and still reading files."""

import json
from pathlib import Path

import pytest

from testing.site import Site
from testing.waiting import wait_until
from tests.support.installation import PREFIX, SOURCE, UNIT, Installation
from tests.support.takeover import ATTEMPTS, INSPECTION

pytestmark = pytest.mark.timeout(600)  # the first test has the installation in its set-up

PDF = Path(__file__).resolve().parents[2] / "samples/経理/請求書 No.1042.pdf"
UNITS_FOLDER = "/etc/systemd/system"
COPY = "taken-over.service"
"""The worker's unit under another name: what is printed here is not the worker's log, which other tests read."""
TAKEN_OVER = f"""[Service]
Type=oneshot
ExecStart=
ExecStart={PREFIX}/current/bin/python -m tests.support.takeover $TMPDIR
WorkingDirectory={SOURCE}
Environment=AWS_SECRET_ACCESS_KEY=secret
Restart=no
WatchdogSec=0
"""
REFUSED = {"EPERM", "EACCES", "EXDEV", "ENOENT"}
"""ENOENT: with `ProtectProc=invisible`, a process that cannot be inspected is not even in /proc."""


def lines(installed: Installation, unit: str = UNIT) -> list[dict[str, object]]:
    said = installed.machine.journal("-u", unit, "-o", "cat").splitlines()
    return [json.loads(line) for line in said if line.startswith("{")]


def test_a_parser_is_isolated_and_reads_a_pdf_and_the_journal_says_so(installed: Installation, site: Site) -> None:
    installed.configure(site.env, log_level="debug")
    site.put("a.pdf", PDF.read_bytes())
    site.send("a.pdf")
    installed.start()
    site.wait_empty()
    assert site.documents()["a.pdf"]["extraction"]["status"] == "ok"
    [check] = [
        line for line in lines(installed) if line.get("event") == "preflight.check" and line["name"] == "parsers"
    ]
    assert check["level"] == "info", check
    assert str(check["what"]).startswith("isolated")
    [child] = [line for line in lines(installed) if line.get("event") == "extract.child_started"]
    assert child["missing"] == []


def test_a_parser_that_was_taken_over_gets_nowhere_in_the_unit(installed: Installation) -> None:
    installed.machine.run("cp", f"{UNITS_FOLDER}/{UNIT}", f"{UNITS_FOLDER}/{COPY}")
    installed.drop_in(COPY, TAKEN_OVER)
    installed.start(COPY)
    installed.machine.run("rm", f"{UNITS_FOLDER}/{COPY}")
    [results] = wait_until(lambda: [line for line in lines(installed, COPY) if "parser" in line], 10, "the results")
    parser, later = results["parser"], results["later"]
    assert isinstance(parser, dict)
    assert isinstance(later, dict)
    assert {name: parser["attempts"][name] for name in ATTEMPTS if parser["attempts"][name] not in REFUSED} == {}
    assert {name: later["attempts"][name] for name in INSPECTION if later["attempts"][name] not in REFUSED} == {}
    assert parser["missing"] == []
    assert parser["unchanged"]
    assert sorted(parser["environment"]) == [
        "HF_HOME", "HOME", "LANG", "OPENSSL_CONF", "PATH", "TMPDIR", "XBERG_CACHE_DIR"
    ]  # fmt: skip
    assert parser["descriptors"] == ["socket"]
