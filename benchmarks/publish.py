"""`python -m benchmarks.publish RESULT.json…`: write results to docs/performance.json and draw the plots."""

import json
import sys
from pathlib import Path
from typing import Any

import pygal
from pygal.style import CleanStyle

DOCS = Path(__file__).resolve().parents[1] / "docs"
STYLE = CleanStyle(font_family="sans-serif", background="white", plot_background="white")


def main() -> None:
    """Merge result files and draw the plots; an experiment in a later file replaces one in an earlier file."""
    merged: dict[str, Any] = {"experiments": {}}
    for name in sys.argv[1:]:
        record = json.loads(Path(name).read_text())
        merged |= {"when": record["when"], "machine": record["machine"]}
        merged["experiments"] |= record["experiments"]
    if not merged["experiments"]:
        sys.exit("no results: python -m benchmarks.publish RESULT.json…")
    (DOCS / "performance.json").write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n")
    draw_rates(merged["experiments"]["throughput"], DOCS / "performance-rates.svg")
    draw_memory(merged["experiments"]["endurance"], DOCS / "performance-memory.svg")


def draw_rates(throughput: dict[str, Any], path: Path) -> None:
    """Draw the messages per second of every contender."""
    chart = _chart(pygal.HorizontalBar, "4 KB texts, messages per second (median of all runs)", show_legend=False)
    chart.print_values = True
    chart.value_formatter = "{:.0f}".format
    names = ("sequential aws", "worker aws", "floor local", "worker local")
    chart.x_labels = names
    chart.add("messages/s", [throughput[name]["messages_per_second"]["median"] for name in names])
    chart.render_to_file(str(path))


def draw_memory(endurance: dict[str, Any], path: Path) -> None:
    """Draw the resident memory of one process while it processes very many messages."""
    sizes = endurance["rss_mb"]
    chart = _chart(
        pygal.Line,
        f"{endurance['messages']:,} messages in one process, resident MB",
        show_legend=False,
        show_dots=False,
    )
    chart.range = (0, 250)
    chart.x_title = "from start to end"
    chart.add("MB", sizes)
    chart.render_to_file(str(path))


def _chart(kind: type, title: str, **options: Any) -> Any:
    return kind(title=title, style=STYLE, width=720, height=300, js=[], pretty_print=True, **options)


if __name__ == "__main__":
    main()
