"""Mail that fails: a provider refuses, another is slow; six die, four are left."""

import trio

import trioqueue
from trioqueue import NewMessage, QueueOptions

ERRORS = (ConnectionError("refused"), TimeoutError("no answer in 30 s"))


async def main() -> None:
    async with trioqueue.open_store("sqlite:///mail.db") as store:
        await store.create_queue("mail", QueueOptions(max_attempts=1))
        await store.post_many(
            "mail",
            [
                NewMessage(
                    {"task": "send", "args": [n]},
                    message_id=f"mail-{n}",
                    metadata={"tenant": "acme" if n % 5 else "apex"},
                )
                for n in range(10)
            ],
        )
        for number, job in enumerate(await store.claim("mail", limit=6)):
            await store.fail(job, ERRORS[number % 2])


trio.run(main)
