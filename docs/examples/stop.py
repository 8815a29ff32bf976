"""Stop a worker: what is in hand may finish, for a while."""

import trio

import trioqueue


async def deliver(job: trioqueue.Job) -> None:
    await trio.sleep(job.payload)


async def main() -> None:
    async with trioqueue.open_store("sqlite://:memory:") as store:
        await store.create_queue("parcels")
        await store.post("parcels", 0.3, message_id="quick")
        await store.post("parcels", 60, message_id="slow")
        async with trio.open_nursery() as nursery:
            worker = trioqueue.Worker(store, {"parcels": deliver})
            await nursery.start(worker.run)
            await trio.sleep(0.1)  # both are running now
            clean = await worker.stop_gracefully(grace_seconds=1)
        print("every job ended by itself:", clean)
        for message in await store.peek("parcels"):
            print(message.message_id, message.state.name, message.attempt)


trio.run(main)
