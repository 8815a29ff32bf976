"""Facts of the machine, without which a figure says nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


def facts(directory: Path) -> dict[str, Any]:
    """Describe the machine and what runs on it."""
    cores = getattr(os, "sched_getaffinity", None)
    return {
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "trio": _version("trio"),
        "trioqueue": _version("trioqueue"),
        "cores": len(cores(0)) if cores else os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "file_system": file_system(directory),
        "load_before": os.getloadavg() if hasattr(os, "getloadavg") else None,
    }


def file_system(directory: Path) -> str:
    """Return what kind of file system a directory is on, "unknown" off Linux."""
    best = ("", "unknown")
    mounts = Path("/proc/self/mounts")
    for line in mounts.read_text().splitlines() if mounts.exists() else ():
        _, point, kind, *_ = line.split()
        if directory.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed, imported from its source"
