"""Another process that posts, slowly; prints when each post had returned."""

from __future__ import annotations

import json
import sys
import time

import trio

import trioqueue


async def main(url: str, queue: str, gaps: list[float]) -> None:
    returned = []
    async with trioqueue.open_store(url) as store:
        for number, gap in enumerate(gaps):
            await trio.sleep(gap)
            await store.post(queue, {"number": number, "text": "x" * 170})
            returned.append(time.monotonic_ns())
    print(json.dumps(returned))


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
