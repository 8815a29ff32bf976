"""A worker with its services that has nothing to do; prints what that costs."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import trio

import trioqueue


async def handle(job: trioqueue.Job) -> None:
    message = f"{job.message_id} was to wait"
    raise AssertionError(message)


def memory_megabytes() -> float:
    """Return the most memory that this process has had resident."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: Linux lets a child begin with its parent's.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


async def main(url: str, queue: str, settle: int, seconds: int) -> None:
    percents, megabytes = [], []
    async with trioqueue.open_store(url) as store, trioqueue.open_services(store):
        worker = trioqueue.Worker(store, {queue: handle})
        async with trio.open_nursery() as nursery:
            await nursery.start(worker.run)
            await trio.sleep(settle)
            for _ in range(seconds):
                # Of all threads.  os.times() counts in hundredths of a second.
                used, begun = time.process_time(), time.perf_counter()
                await trio.sleep(1)
                used, passed = time.process_time() - used, time.perf_counter() - begun
                percents.append(100 * used / passed)
                megabytes.append(memory_megabytes())
            await worker.stop_gracefully()
        claimed = worker.statistics().claimed
    print(json.dumps({"cpu": percents, "memory": megabytes, "claimed": claimed}))


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
