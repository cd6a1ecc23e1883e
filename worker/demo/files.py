"""The files that the demo indexes: those of a folder that can be objects in S3, up to a limit; and what is left out, and why."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from worker.core.base.errors import ConfigError
from worker.core.base.text import escaped, exact
from worker.core.s3.events import MAX_KEY_BYTES

MAX_FILES = 1_000
MAX_FILE_BYTES = 100 * 1024 * 1024
MAX_NAMES = 50_000
"""Number of names after which the rest of a folder is not looked at."""
LATER, UNSEEN = f"files after the first {MAX_FILES:,}", f"whatever comes after {MAX_NAMES:,} names"


@dataclass(frozen=True, slots=True)
class Upload:
    """The files to be indexed, in order, and how many names of the folder are left out, by reason."""

    folder: Path
    files: Sequence[Path]
    left_out: Mapping[str, int] = field(default_factory=dict)

    def key(self, file: Path) -> str:
        """The key under which a file is uploaded."""
        return file.relative_to(self.folder).as_posix()


def gather(folder: Path | None) -> Upload:
    """The files of a folder, by default the samples, without hidden ones. Raises ConfigError if there are none."""
    samples = Path(__file__).resolve().parents[2] / "samples"
    if folder is None and not samples.is_dir():
        raise ConfigError("samples/ exists only in a checkout; give a folder: s3-index-worker demo FOLDER")
    chosen = folder or samples
    files: list[Path] = []
    in_log: set[str] = set()
    left_out: Counter[str] = Counter()
    for file in _named_in(chosen, left_out):
        if file == samples / "README.md":
            continue
        reason = _why_not(file, chosen, len(files))
        name = escaped(file.relative_to(chosen).as_posix())
        if not reason and name in in_log:
            reason = r"names that the log writes as it does another's, such as a line break and \n"
        if reason:
            left_out[reason] += 1
        else:
            files.append(file)
            in_log.add(name)
    if not files:
        raise ConfigError(_nothing_in(chosen, left_out))
    return Upload(chosen, files, left_out)


def said(left_out: Mapping[str, int]) -> str:
    """What is left out, in words; empty if nothing is."""
    return "; ".join(reason if reason == UNSEEN else f"{reason} ({count:,})" for reason, count in left_out.items())


def _nothing_in(folder: Path, left_out: Mapping[str, int]) -> str:
    why = f" (left out: {said(left_out)})" if left_out else ""
    return f"{exact(str(folder))} contains no readable file of up to {MAX_FILE_BYTES // 1024**2} MiB{why}"


def _named_in(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """Every name in a folder and below that is not hidden and not a folder, in order, up to MAX_NAMES."""
    looked_at = 0

    def failed(_error: OSError) -> None:
        left_out["folders that cannot be read"] += 1

    for at, folders, names in os.walk(folder, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if links := sum(Path(at, name).is_symlink() for name in folders):
            left_out["links to folders"] += links
        for name in sorted(names):
            if name.startswith("."):
                continue
            looked_at += 1
            if looked_at > MAX_NAMES:
                left_out[UNSEEN] = 1
                return
            yield Path(at, name)


def _why_not(file: Path, folder: Path, taken: int) -> str:
    """Why a file is left out; empty if it is not. Nothing is opened: a pipe would wait for its writer for ever."""
    key = os.fsencode(file.relative_to(folder))
    try:
        key.decode()
    except UnicodeDecodeError:
        return "names that are not UTF-8, as keys must be"
    if len(key) > MAX_KEY_BYTES:
        return f"paths longer than a key may be, {MAX_KEY_BYTES:,} bytes"
    if taken >= MAX_FILES:
        return LATER
    if not file.is_file():
        return "pipes, sockets and links that lead nowhere"
    if not os.access(file, os.R_OK):
        return "files that this user may not read"
    return f"files over {MAX_FILE_BYTES // 1024**2} MiB" if file.stat().st_size > MAX_FILE_BYTES else ""
