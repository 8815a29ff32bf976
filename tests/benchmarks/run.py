"""Run the benchmarks and print their table.

The package under measurement is whichever one is installed, or named by PYTHONPATH;
only the benchmarks themselves come from the checkout.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    # A script's own directory may not lend its file names to other people's imports,
    # nor the checkout its package; the benchmarks are found once, by their full name.
    own = (str(HERE), str(HERE.parent.parent))
    sys.path[:] = [entry for entry in sys.path if entry != own[0]]
    sys.path.insert(0, own[1])
    importlib.import_module("tests.benchmarks")
    sys.path.remove(own[1])
    command_line = importlib.import_module("tests.benchmarks.command_line")
    status: int = command_line.main(sys.argv[1:])
    return status


if __name__ == "__main__":
    sys.exit(main())
