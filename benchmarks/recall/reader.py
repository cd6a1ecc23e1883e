"""Read files with the worker of this or another checkout: a path per line on stdin, a JSON object per line on stdout.

It stands alone and imports `worker` from wherever PYTHONPATH says, so that two versions can be measured in one run.
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

TIMEOUT_S = 60.0
MEMORY_BYTES = 2 * 1024**3
MAX_CHARS = 10_000_000


def main() -> None:
    from worker.core.extract.extractor import Extractor

    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # log lines are not answers
    with tempfile.TemporaryDirectory(prefix="s3iw-recall-") as folder:
        limits: dict[str, Any] = {"timeout_s": TIMEOUT_S, "memory_bytes": MEMORY_BYTES, "max_chars": MAX_CHARS}
        extractor = Extractor(processes=1, temp_dir=Path(folder), **limits)
        try:
            for line in sys.stdin.buffer:
                answers.write(json.dumps(_read(extractor, Path(json.loads(line)))).encode() + b"\n")
                answers.flush()
        finally:
            extractor.close()


def _read(extractor: Any, path: Path) -> dict[str, Any]:
    found = extractor.extract(path.read_bytes(), path.name, None)
    content = found.content if isinstance(found.content, str) else bytes(found.content).decode("utf-8", "replace")
    return {"status": found.status, "error": found.error, "texts": [content, found.title or "", found.author or ""]}


if __name__ == "__main__":
    main()
