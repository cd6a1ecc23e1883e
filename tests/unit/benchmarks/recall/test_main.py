import json
import sys

import pytest

from benchmarks.recall import __main__ as command

TEXT = "the lighthouse burned quietly while nobody was looking\n"


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["recall", "--no-tika", *map(str, arguments)])
        code = command.main()
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


def test_a_folder_that_does_not_exist_is_named(run, tmp_path):
    assert run(tmp_path / "no") == (2, "", f"there is no folder {tmp_path / 'no'}\n")


def test_a_file_is_not_a_folder(run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)

    assert run(tmp_path / "a.txt")[2] == f"{tmp_path / 'a.txt'} is a file: name the folder that it is in\n"


def test_an_empty_folder_is_named(run, tmp_path):
    assert run(tmp_path)[2] == f"{tmp_path} has no files\n"


def test_formats_that_the_folder_does_not_have_are_named_with_those_that_it_has(run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)

    assert run(tmp_path, "--only", "pdf")[2] == f"{tmp_path} has no pdf files, only: txt\n"


def test_a_checkout_that_is_none_is_named(run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)

    assert run(tmp_path, "--before", tmp_path)[2] == f"{tmp_path} is not a checkout of s3-index-worker\n"


def test_a_folder_is_measured_with_a_real_child(run, tmp_path):
    (tmp_path / "files/utf-8").mkdir(parents=True)
    (tmp_path / "files/utf-8/a.txt").write_text(TEXT)

    code, out, _ = run(tmp_path / "files", "--json", tmp_path / "found.json")

    assert code == 0
    assert "txt 1 5 5 100.00%" in " ".join(out.split())
    (file,) = json.loads((tmp_path / "found.json").read_text())["files"]
    assert file["file"] == "utf-8/a.txt"
    assert [asked["found"] for asked in file["phrases"]] == 5 * [{"worker": True}]


def test_a_record_that_is_none_is_named(run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)

    code, _, error = run(tmp_path, "--again", tmp_path / "a.txt")

    assert code == 2
    assert error.startswith(f"{tmp_path / 'a.txt'} is not what --json has written: ")
