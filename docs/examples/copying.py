"""Copy everything from one store into another."""

import trio

import trioqueue


async def main() -> None:
    async with (
        trioqueue.open_store("sqlite:///jobs.db") as source,
        trioqueue.open_store("postgresql://localhost/jobs") as target,
    ):
        await source.create_queue("emails")
        await source.post("emails", {"to": "ada@example.org"})
        report = await trioqueue.copy_store(source, target)
        print(report.live, "message in", target.url.partition(":")[0])


trio.run(main)
