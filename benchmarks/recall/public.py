"""`python -m benchmarks.recall.public --from CLONES --to DIR`: rebuild the folder of public files that are in public.tsv.

CLONES holds a clone of each repository, as OWNER/NAME, OWNER+NAME or NAME, bare or not, with the commit named in the list.
The files are test data of those projects under many licences: they are named here, fetched by whoever needs them, and
never committed.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("public.tsv")
GIT_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class PublicFile:
    """One file of a public repository."""

    repository: str
    """OWNER/NAME on GitHub."""
    commit: str
    folder: str
    """Where it goes in the folder of files: its format, for a text followed by the charset that its project gives it."""
    path: str
    """Its path in the repository; one that ends in "/" is the folder of an EPUB, which is zipped."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recall.public", description=__doc__)
    parser.add_argument("--from", dest="clones", type=Path, help="the folder of clones")
    parser.add_argument("--to", dest="target", type=Path, help="the folder to write; files that exist are kept")
    parser.add_argument("--repositories", action="store_true", help="only print each repository and its commit")
    asked = parser.parse_args()
    files = listed(LIST.read_text())
    if asked.repositories:
        for repository, commit in dict.fromkeys((file.repository, file.commit) for file in files):
            print(repository, commit)
        return
    if asked.clones is None or asked.target is None:
        parser.error("--from and --to are needed, or --repositories")
    if not asked.clones.is_dir():
        parser.error(f"there is no folder {asked.clones}")
    written, missing = rebuild(files, asked.clones, asked.target)
    for sentence in missing:
        print(sentence, file=sys.stderr)
    print(f"{written} of {len(files)} files are in {asked.target}")


def listed(text: str) -> list[PublicFile]:
    """The files of a list: a line `@repository commit`, a line `=folder prefix`, then one name per line."""
    files, repository, commit, folder, prefix = [], "", "", "", ""
    for line in text.splitlines():
        if line.startswith("@"):
            repository, commit = line[1:].split("\t")
        elif line.startswith("="):
            folder, prefix = line[1:].split("\t")
        elif line and not line.startswith("#"):
            files.append(PublicFile(repository, commit, folder, prefix + line))
    return files


def named(files: list[PublicFile]) -> Iterator[tuple[PublicFile, str]]:
    """Each file with its path in the folder of files: FORMAT/OWNER+NAME+FILE, with a hash where two would be the same."""
    used = set()
    for file in files:
        repository, base = file.repository.replace("/", "+"), file.path.rstrip("/").rpartition("/")[2]
        suffix = ".epub" if file.path.endswith("/") else ""
        name = f"{file.folder}/{repository}+{base}{suffix}"
        if name.lower() in used:
            name = f"{file.folder}/{repository}+{hashlib.sha256(file.path.encode()).hexdigest()[:6]}+{base}{suffix}"
        used.add(name.lower())
        yield file, name


def rebuild(files: list[PublicFile], clones: Path, target: Path) -> tuple[int, list[str]]:
    """Write the files; return how many there are, and a sentence for each repository or file that is missing."""
    found = {file.repository: _clone(clones, file.repository) for file in files}
    missing = [f"{clones} has no clone of {name}" for name, clone in found.items() if clone is None]
    written = 0
    for file, name in named(files):
        clone, path = found[file.repository], target / name
        if clone is None:
            continue
        body = path.read_bytes() if path.exists() else _body(clone, file)
        if body is None:
            missing.append(f"{file.repository} has no {file.path} at {file.commit}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        written += 1
    return written, missing


def _clone(clones: Path, repository: str) -> Path | None:
    """The git directory of a clone."""
    for name in (repository, repository.replace("/", "+"), repository.rpartition("/")[2]):
        for folder in (clones / name / ".git", clones / name / "repo", clones / name, clones / f"{name}.git"):
            if (folder / "HEAD").is_file():
                return folder
    return None


def _body(clone: Path, file: PublicFile) -> bytes | None:
    return _zipped(clone, file) if file.path.endswith("/") else _git(clone, "show", f"{file.commit}:{file.path}")


def _zipped(clone: Path, file: PublicFile) -> bytes | None:
    """The EPUB of a folder; pictures and fonts that the clone lacks (over 4 MiB in some mirrors) are left out."""
    names = (_git(clone, "ls-tree", "-r", "-z", "--name-only", file.commit, "--", file.path) or b"").split(b"\0")
    inside = [name.decode().removeprefix(file.path) for name in names if name]
    if "mimetype" not in inside:
        return None
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as book:
        for name in sorted(inside, key=lambda name: (name != "mimetype", name)):
            body = _git(clone, "show", f"{file.commit}:{file.path}{name}")
            if body is not None:  # the same bytes each time: the date is that of the zip format's epoch
                how = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
                book.writestr(zipfile.ZipInfo(name), body, how)
    return buffer.getvalue()


def _git(clone: Path, *arguments: str) -> bytes | None:
    command = ["git", f"--git-dir={clone}", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=GIT_TIMEOUT_S)
    return done.stdout if done.returncode == 0 else None


if __name__ == "__main__":
    main()
