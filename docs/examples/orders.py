"""Add up a directory of orders: one JSON file, one durable message."""

import json
import sys
from pathlib import Path

import trio

import trioqueue

app = trioqueue.App()


@app.task(
    queue="orders",
    max_attempts=3,
    retry=trioqueue.RetryPolicy.fixed(1),
    lease=trioqueue.LeasePolicy(base_seconds=3),
)
async def read_order(path: str) -> int:
    text = await trio.Path(path).read_text()
    await trio.sleep(0.5)  # stands in for real work
    return json.loads(text)["cents"]


async def main(directory: str) -> None:
    async with app.open("sqlite:///orders.db") as store:
        handles = []
        for path in sorted(Path(directory).glob("*.json")):
            call = read_order.options(message_id=path.name)
            handles.append(await call.enqueue(str(path)))
        done = [h for h in handles if h.message.state.name == "COMPLETED"]
        print(f"{len(handles)} orders, {len(done)} read before", flush=True)

        total = 0
        async with trioqueue.open_services(store), trio.open_nursery() as nursery:
            worker = trioqueue.Worker(store, app, concurrency=1)
            await nursery.start(worker.run)
            for handle in handles:
                try:
                    cents = await handle.wait()
                except trioqueue.MessageFailedError as error:
                    print(f"not counted: {error}", flush=True)
                else:
                    print(f"{handle.message_id} {cents / 100:.2f}", flush=True)
                    total += cents
            worker.stop()
        print(f"total {total / 100:.2f}")


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
