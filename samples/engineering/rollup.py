#!/usr/bin/env python3
"""Monthly rollup of the expense sheets: one total per category."""

import csv
import sys
from collections import Counter


def rollup(lines: list[str]) -> Counter[str]:
    """Sum the amounts by category; a row without an amount counts as zero."""
    totals: Counter[str] = Counter()
    for row in csv.DictReader(lines):
        totals[row["区分"]] += int(row["金額"] or 0)  # yen, tax included
    return totals


if __name__ == "__main__":
    for category, yen in rollup(sys.stdin.readlines()).most_common():
        sys.stdout.write(f"{category}\t{yen:,}\n")
