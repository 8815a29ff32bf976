"""A lease is a cancel scope: when it is lost, the block is canceled."""

import trio

import trioqueue


async def work(store: trioqueue.Store) -> None:
    try:
        async with store.lease("films") as job:
            print("working on", job.payload)
            await trio.sleep_forever()
    except trioqueue.LeaseLostError as error:
        print("stopped:", error.reason)


async def main() -> None:
    async with trioqueue.open_store("sqlite://:memory:") as store:
        await store.create_queue("films")
        film = await store.post("films", "Metropolis")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, store)
            await trio.sleep(0.2)
            await store.cancel("films", film.message_id, abort=True)


trio.run(main)
