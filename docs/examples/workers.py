"""Workers are seen, and can be told to be quiet."""

import trio

import trioqueue


async def main() -> None:
    sent = trio.Event()

    async def send(job: trioqueue.Job) -> None:
        print("sent to", job.payload)
        sent.set()

    async with trioqueue.open_store("sqlite://:memory:") as store:
        await store.create_queue("emails")
        async with trio.open_nursery() as nursery:
            worker = trioqueue.Worker(store, {"emails": send}, worker_id="mailer")
            await nursery.start(worker.run)
            for seen in await store.list_workers():
                print(seen.worker_id, seen.queues, f"{seen.running}/{seen.concurrency}")

            await store.quiet_worker("mailer")
            await trio.sleep(0.2)
            await store.post("emails", "ada@example.org", message_id="welcome")
            await trio.sleep(0.2)
            why = await store.explain("emails", "welcome")
            print(*(reason.kind.name for reason in why.reasons))
            print(why.reason.text)

            await store.quiet_worker("mailer", quiet=False)
            await sent.wait()
            worker.stop()
        print("left:", await store.list_workers())


trio.run(main)
