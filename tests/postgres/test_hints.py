"""What other processes say is a hint: it is looked up before anybody acts on it."""

from __future__ import annotations

import json

import trio

from tests.postgres_server import Server
from trioqueue import Job, Worker, open_store
from trioqueue.store.postgres.signals import channel_of

FALSE_HINTS = [
    json.dumps({"s": "x", "a": ["jobs", "one"]}),
    json.dumps({"s": "x", "a": ["jobs", "gone"]}),
    json.dumps({"s": "x", "a": ["nowhere", "one"]}),
    json.dumps({"s": "x", "a": 5}),
    json.dumps({"s": "x", "r": 5, "d": []}),
    json.dumps([1]),
    "no json",
    "",
]


async def test_a_false_hint_to_abort_cancels_nothing(postgres: Server) -> None:
    with postgres.schema() as schema, trio.fail_after(30):
        async with (
            open_store(postgres.store_url(schema)) as store,
            trio.open_nursery() as nursery,
        ):
            await store.create_queue("jobs")
            started = {"one": trio.Event(), "two": trio.Event()}
            canceled = {"one": trio.Event(), "two": trio.Event()}
            channel = channel_of(schema)
            go_on = trio.Event()

            async def handle(job: Job) -> None:
                started[job.message_id].set()
                try:
                    await go_on.wait()
                except trio.Cancelled:
                    canceled[job.message_id].set()
                    raise

            worker = Worker(store, {"jobs": handle})
            await nursery.start(worker.run)
            for name in canceled:
                await store.post("jobs", 1, message_id=name)
            for event in started.values():
                await event.wait()
            with postgres.connect() as other:
                for hint in FALSE_HINTS:
                    other.execute("SELECT pg_notify(%s, %s)", (channel, hint))
                # Notifications keep their order: once this one, which is true, has been
                # acted on, the false ones have been read.
                other.execute(
                    f"UPDATE {schema}.tq_messages SET abort_requested_at = 1 "
                    "WHERE message_id = 'two'"
                )
                true = json.dumps({"s": "x", "a": ["jobs", "two"]})
                other.execute("SELECT pg_notify(%s, %s)", (channel, true))
            await canceled["two"].wait()
            assert not canceled["one"].is_set()
            go_on.set()
            await worker.stop_gracefully()
            assert worker.statistics().completed == 1
