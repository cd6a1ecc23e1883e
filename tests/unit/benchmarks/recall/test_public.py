import subprocess
import zipfile

import pytest

from benchmarks.recall import public
from benchmarks.recall.public import LIST, listed, named, rebuild

EPUB = {"mimetype": "application/epub+zip", "OPS/page.xhtml": "<p>moon</p>"}


@pytest.fixture
def clones(tmp_path):
    work = tmp_path / "clones/someone/books"
    for name, text in {"a/x.txt": "one", "b/x.txt": "two", **{f"moon/{n}": t for n, t in EPUB.items()}}.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    git = ("git", "-C", str(work), "-c", "user.name=a", "-c", "user.email=a@example.com")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "books")):
        subprocess.run([*git, *arguments], check=True)
    return tmp_path / "clones"


def test_the_list_names_over_300_files_in_under_40_kb():
    files = listed(LIST.read_text())

    assert len(files) > 300
    assert LIST.stat().st_size < 40_000
    assert len({name for _, name in named(files)}) == len(files)
    assert all(len(file.commit) == 40 and "/" in file.repository and file.path and file.folder for file in files)


def test_the_files_are_taken_from_the_commit_and_two_of_one_name_are_kept_apart(clones, tmp_path):
    files = listed("@someone/books\tHEAD\n=txt\ta/\nx.txt\n=txt\tb/\nx.txt\n=epub\t\nmoon/\n")

    assert rebuild(files, clones, tmp_path / "to") == (3, [])

    texts = {path.name: path.read_text() for path in (tmp_path / "to/txt").iterdir()}
    assert sorted(texts.values()) == ["one", "two"]
    assert texts["someone+books+x.txt"] == "one"
    with zipfile.ZipFile(tmp_path / "to/epub/someone+books+moon.epub") as book:
        assert {name: book.read(name).decode() for name in book.namelist()} == EPUB
        assert book.namelist()[0] == "mimetype"


def test_what_is_missing_is_named(clones, tmp_path):
    files = listed("@someone/books\tHEAD\n=txt\ta/\ny.txt\n@other/mails\tHEAD\n=eml\t\nz.eml\n")

    written, missing = rebuild(files, clones, tmp_path / "to")

    assert written == 0
    assert missing == [f"{clones} has no clone of other/mails", "someone/books has no a/y.txt at HEAD"]


def test_it_says_what_it_needs(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["public", "--from", "/nowhere", "--to", "/tmp/x"])

    with pytest.raises(SystemExit, match="2"):
        public.main()
    assert "there is no folder /nowhere" in capsys.readouterr().err
