"""Which files of a folder the demo takes, and what it says of the others."""

import os
import socket
import stat

import pytest

from worker.core.base.errors import ConfigError
from worker.demo import files
from worker.demo.files import gather, said

STRANGE = [
    "new\nline.txt",
    "tab\there.txt",
    "esc\x1b[31m.txt",
    "[red]x.txt",
    "か\u3099.txt",
    "全角\u3000空白.txt",
    "\ufffe.txt",
]


@pytest.mark.parametrize("name", STRANGE)
def test_a_name_is_taken_as_it_is(tmp_path, name):
    (tmp_path / name).write_text("x")
    upload = gather(tmp_path)
    assert [upload.key(file) for file in upload.files] == [name]
    assert upload.left_out == {}


def test_what_is_no_file_is_left_out_with_the_reason_and_nothing_is_opened(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "gone.txt").symlink_to("/nowhere")
    (tmp_path / "round").symlink_to(".")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        assert said(gather(tmp_path).left_out) == (
            "links to folders (1); pipes, sockets and links that lead nowhere (3)"
        )


def test_a_name_that_cannot_be_a_key_is_left_out(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / os.fsdecode(b"latin \xe9.txt")).write_text("x")
    deep = tmp_path.joinpath(*["d" * 200] * 5)
    deep.mkdir(parents=True)
    (deep / ("y" * 40)).write_text("x")
    upload = gather(tmp_path)
    assert [upload.key(file) for file in upload.files] == ["a.txt"]
    assert said(upload.left_out) == (
        "names that are not UTF-8, as keys must be (1); paths longer than a key may be, 1,024 bytes (1)"
    )


def test_of_two_names_that_the_log_writes_alike_one_is_taken(tmp_path):
    for name in ("a\nb", r"a\nb"):
        (tmp_path / name).write_text("x")
    upload = gather(tmp_path)
    assert len(upload.files) == 1
    assert list(upload.left_out.values()) == [1]


def test_a_file_that_may_not_be_read_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.txt").write_text("x")
    monkeypatch.setattr("worker.demo.files.os.access", lambda path, _mode: path.name == "a.txt")
    assert gather(tmp_path).left_out == {"files that this user may not read": 1}


def test_a_folder_of_very_many_files_is_not_looked_at_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILES", 3)
    monkeypatch.setattr(files, "MAX_NAMES", 5)
    for number in range(7):
        (tmp_path / f"{number}.txt").write_text("x")
    upload = gather(tmp_path)
    assert [upload.key(file) for file in upload.files] == ["0.txt", "1.txt", "2.txt"]
    assert said(upload.left_out) == f"{files.LATER} (2); {files.UNSEEN}"


def test_a_folder_without_a_file_to_show_is_refused_with_the_reason(tmp_path):
    (tmp_path / "line\nbreak").mkdir()
    os.mkfifo(tmp_path / "line\nbreak" / "pipe")
    with pytest.raises(ConfigError, match=r"line\\nbreak contains no readable file .*pipes, sockets and links"):
        gather(tmp_path / "line\nbreak")


def test_a_folder_that_cannot_be_listed_is_said_to_be_left_out(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "closed").mkdir(mode=stat.S_IWUSR)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    assert gather(tmp_path).left_out == {"folders that cannot be read": 1}
