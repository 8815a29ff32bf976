"""A job much longer than its lease: heartbeats keep it, a limit ends it."""

import trio

import trioqueue

LEASE = trioqueue.LeasePolicy(base_seconds=0.5, execution_limit_seconds=1.5)


async def encode(job: trioqueue.Job) -> None:
    await trio.sleep(job.payload)


async def main() -> None:
    keep = trioqueue.RetentionPolicy.keep(3600)
    options = trioqueue.QueueOptions(lease=LEASE, max_attempts=1, retention=keep)
    async with trioqueue.open_store("sqlite://:memory:") as store:
        await store.create_queue("films", options)
        await store.post("films", 1.0, message_id="short-film")
        await store.post("films", 60, message_id="endless-film")
        async with trioqueue.open_services(store), trio.open_nursery() as nursery:
            worker = trioqueue.Worker(store, {"films": encode})
            await nursery.start(worker.run)
            for name in ("short-film", "endless-film"):
                message = await store.wait_finished("films", name)
                (attempt,) = message.attempts
                print(name, message.state.name, attempt.error_message or "")
            print("leases prolonged:", worker.statistics().heartbeats > 0)
            await worker.stop_gracefully()


trio.run(main)
