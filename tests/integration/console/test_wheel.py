"""What the console shows, and is kept elsewhere in the repository, is shipped."""

import zipfile
from pathlib import Path

from tests.support.wheels import ROOT, our_wheel


def test_the_wheel_has_the_runbook_in_both_languages(tmp_path: Path) -> None:
    with zipfile.ZipFile(our_wheel(tmp_path)) as wheel:
        for name in ("runbook.md", "runbook.ja.md"):
            assert wheel.read(f"recovery/manager/console/{name}") == (ROOT / "docs" / name).read_bytes()
