"""How much of worker and recovery the tests run, of what `make coverage` has measured: the figure, and files under 80%."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ENOUGH_PCT = 80.0


def main() -> None:
    """Print the figure, and below it every file that has too little, least first."""
    print("\n".join(said(_measured())))  # noqa: T201


def said(measured: dict[str, Any]) -> list[str]:
    """The lines for coverage.py's own report in JSON: lines and branches count alike."""
    figures = {name: float(one["summary"]["percent_covered"]) for name, one in measured["files"].items()}
    low = sorted((percent, name) for name, percent in figures.items() if percent < ENOUGH_PCT)
    return [
        f"coverage of worker and recovery, branches included: {measured['totals']['percent_covered']:.1f}%",
        f"{len(low)} of {len(figures)} files are under {ENOUGH_PCT:.0f}%" + (":" if low else ""),
        *(f"  {percent:5.1f}%  {name}" for percent, name in low),
    ]


def _measured() -> dict[str, Any]:
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], check=True, capture_output=True)  # noqa: S603 (a fixed command)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
