"""Attack 6: no disk, no descriptors, no folder for the parser's children: no file is blamed, and it passes with its cause."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testing.corpus_bodies import SAMPLES
from worker.core.extract.children import Children, Limits
from worker.core.extract.extractor import Extractor

PDF = (SAMPLES / "経理/請求書 No.1042.pdf").read_bytes()


@contextmanager
def extractor_in(folder: Path) -> Iterator[Extractor]:
    made = Extractor(processes=1, timeout_s=30, memory_bytes=2**31, max_chars=1_000, temp_dir=folder)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def descriptors_used_up() -> Iterator[None]:
    """No descriptor can be opened while this lasts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def test_a_full_disk_keeps_no_document_from_being_read(small_disk):
    filler = fill(small_disk)
    with extractor_in(small_disk) as extractor:
        assert extractor.extract(PDF, "a.pdf", None).status == "ok"
    assert list(small_disk.iterdir()) == [filler]
    filler.unlink()


def test_a_read_only_disk_is_no_pdf_s_fault(small_disk):
    with extractor_in(small_disk) as extractor:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        with pytest.raises(OSError, match="Read-only file system"):
            extractor.extract(PDF, "a.pdf", None)
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        assert extractor.extract(PDF, "a.pdf", None).status == "ok"


def test_a_temporary_folder_that_is_gone_is_no_file_s_fault(tmp_path):
    folder = tmp_path / "gone"
    with extractor_in(folder) as extractor:
        with pytest.raises(OSError, match="No such file"):
            extractor.extract(PDF, "a.pdf", None)
        folder.mkdir()
        assert extractor.extract(PDF, "a.pdf", None).status == "ok"


def test_a_spooled_file_that_cannot_be_read_is_not_called_broken(tmp_path):
    spooled = tmp_path / "spooled"
    spooled.write_bytes(PDF)
    with extractor_in(tmp_path) as extractor:
        children = extractor._children
        kind = _pdf_kind()
        spooled.unlink()
        with pytest.raises(OSError, match="No such file"):
            children.ask(spooled, kind)


def test_descriptors_used_up_are_no_file_s_fault_and_leave_no_folder(tmp_path):
    children = Children(Limits(30, 2**31, 1_000, tmp_path), processes=1)
    try:
        children._starter.submit(int).result()  # its thread is there before there is none to be had
        with descriptors_used_up(), pytest.raises(OSError, match="Too many open files"):
            children.ask(PDF, _pdf_kind())
        assert list(tmp_path.iterdir()) == []
        assert children.ask(PDF, _pdf_kind()).status == "ok"
    finally:
        children.close()


def _pdf_kind():
    from worker.core.extract.kinds import kind_of

    return kind_of(PDF[:4096], "a.pdf", None)
