"""Several worker processes on one SQLite file."""

import os
import subprocess
import sys
from functools import partial

import trio

import trioqueue

URL = "sqlite:///squares.db"
WORKER = [sys.executable, "-m", "trioqueue", "worker", "squares:app", "--db", URL]
app = trioqueue.App()


@app.task(queue="squares")
async def square(number: int) -> tuple[int, int]:
    await trio.sleep(0.05)
    return number * number, os.getpid()


async def main() -> None:
    async with app.open(URL), trio.open_nursery() as nursery:
        run_worker = partial(
            trio.run_process, [*WORKER, "--concurrency", "2"], stderr=subprocess.DEVNULL
        )
        workers = [await nursery.start(run_worker) for _ in range(3)]
        handles = [await square.enqueue(number) for number in range(100)]
        results = [await handle.wait() for handle in handles]
        assert [value for value, _ in results] == [n * n for n in range(100)]
        print(len(results), "results from", len({pid for _, pid in results}), "workers")
        for worker in workers:
            worker.terminate()  # SIGTERM: a graceful stop


if __name__ == "__main__":
    trio.run(main)
