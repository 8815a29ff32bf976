"""The command line of the benchmarks: which rows, how thoroughly, where to."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from tests.benchmarks import latency, other_rows, peers, store_rows, worker_rows
from tests.benchmarks.bench import Bench, report
from tests.benchmarks.machine import facts
from tests.benchmarks.table import Row, render

GROUPS = {
    "store": store_rows.rows,
    "worker": worker_rows.rows,
    "latency": latency.rows,
    "other": other_rows.rows,
    "peers": peers.rows,
}


def main(arguments: list[str]) -> int:
    """Run the benchmarks, print one table, keep the samples as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--peers", action="store_true", help="other queues too")
    parser.add_argument("--only", choices=GROUPS, help="one group of rows")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    options = parser.parse_args(arguments)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="bench-", dir=options.json.parent))
    rows: list[Row] = []
    try:
        bench = Bench(place, options.quick, options.peers)
        for name, group in GROUPS.items():
            if options.only not in (None, name):
                continue
            if name == "peers" and not options.peers:
                continue
            report(f"{name} ...")
            rows += group(bench)
        machine = facts(place)
    finally:
        shutil.rmtree(place)
    print(render(rows))
    document = {
        "machine": machine,
        "rows": [
            {"row": row.name, "unit": row.unit, "samples": list(row.samples)}
            for row in rows
        ],
    }
    options.json.write_text(json.dumps(document, indent=1))
    return 0
