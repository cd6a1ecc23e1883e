"""The tests' own files, as a folder: samples/, the generated corpus, and the cases of tests/data/reach with their phrases."""

import json
import shutil
from pathlib import Path

from testing.corpus import corpus

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests/data/reach"
GENERATED = 200


def write_corpus(folder: Path) -> dict[Path, list[str]]:
    """Write the files; return the phrases that are known to be in them."""
    shutil.copytree(ROOT / "samples", folder / "samples")
    known: dict[Path, list[str]] = {}
    for number, sample in enumerate(corpus(GENERATED, bad=0)):
        extension = sample.key.rpartition(".")[2]
        path = folder / "generated" / f"{number:03d}.{extension}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sample.body)
        known[path] = [sample.marker] if sample.marker else []
    if CASES.is_dir():
        shutil.copytree(CASES, folder / "cases")
        for case in json.loads((CASES / "expect.json").read_text()):
            known[folder / "cases" / case["file"]] = case["phrases"]
        (folder / "cases/expect.json").unlink()
    return known
