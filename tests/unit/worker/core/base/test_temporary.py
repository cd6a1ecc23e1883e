"""Temporary folders are removed, whatever a hostile file has made in them."""

import os

import pytest

from worker.core.base.temporary import remove_folder


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "s3iw-1-x"
    made.mkdir()
    return made


def test_folders_nested_deeper_than_any_path_or_stack_are_removed(folder):
    here = os.getcwd()  # noqa: PTH109 (the path below has no name that is short enough)
    try:
        os.chdir(folder)
        for _ in range(3_000):
            os.mkdir("deeper")  # noqa: PTH102
            os.chdir("deeper")
    finally:
        os.chdir(here)
    remove_folder(folder)
    assert not folder.exists()


def test_files_links_pipes_and_closed_folders_are_removed_and_nothing_that_a_link_points_to(folder, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    (below / "link").symlink_to(precious)
    (folder / "link").symlink_to(precious)
    os.mkfifo(below / "pipe")
    (below / "closed").mkdir(mode=0)
    (folder / "closed").mkdir(mode=0)
    (folder / "file").write_text("x")
    remove_folder(folder)
    assert not folder.exists()
    assert (precious / "file").read_text() == "kept"


def test_what_is_no_folder_is_left(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    remove_folder(link)
    remove_folder(tmp_path / "nowhere")
    assert link.is_symlink()
