"""A handler decides how its attempt ends; what is left over is a dead letter."""

import trio

import trioqueue

app = trioqueue.App()
seen: list[str] = []


@app.task(
    queue="calls",
    max_attempts=3,
    retry=trioqueue.RetryPolicy.exponential(base_seconds=2, cap_seconds=60),
)
async def call(job: trioqueue.Job, number: str) -> str:
    seen.append(number)
    match number:
        case "busy" if job.attempt == 1:
            raise trioqueue.Retry(in_seconds=0.2)  # counts, waits as I say
        case "asleep" if seen.count("asleep") == 1:
            raise trioqueue.Snooze(in_seconds=0.1)  # does not count
        case "wrong":
            raise trioqueue.Discard("no such number")  # never again
    return f"answered at attempt {job.attempt}"


async def main() -> None:
    async with (
        app.open("sqlite://:memory:") as store,
        trioqueue.open_services(store),
        trio.open_nursery() as nursery,
    ):
        worker = trioqueue.Worker(store, app)
        await nursery.start(worker.run)
        for number in ("busy", "asleep", "wrong"):
            handle = await call.enqueue(number)
            try:
                print(number, await handle.wait())
            except trioqueue.MessageFailedError as error:
                print(number, error.message.state.name, error.message.reason)
        await worker.stop_gracefully()

        for letter in await store.dead_letters("calls"):
            print(letter.reason, letter.attempts[-1].error_message)
        count = await store.requeue_all("calls", reason="discarded", spread_seconds=60)
        print("requeued", count)


trio.run(main)
