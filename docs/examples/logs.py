import logging
import sys

import trio
import trioqueue
from trioqueue.logs import JobFilter, JsonFormatter

handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(JsonFormatter())
handler.addFilter(JobFilter())
logging.basicConfig(handlers=[handler], level=logging.INFO)


async def send(job):
    logging.getLogger("mail").info("sending", extra={"to": job.payload["to"]})


async def main():
    async with trioqueue.open_store("sqlite://:memory:") as store:
        await store.create_queue("emails")
        await store.post("emails", {"to": "ada@example.org"}, message_id="welcome-1")
        await trioqueue.Worker(store, {"emails": send}, worker_id="w1").run_once()


trio.run(main)
