"""A program that shows its own numbers and trioqueue's at one address."""

from functools import partial

import trio
from prometheus_client import CollectorRegistry, Counter

import trioqueue
from trioqueue.metrics import Health, Metrics, serve_metrics

registry = CollectorRegistry()
sent = Counter("mails_sent", "Mails sent.", registry=registry)


async def send(job: trioqueue.Job) -> None:
    sent.inc()


async def main() -> None:
    keep = trioqueue.QueueOptions(retention=trioqueue.RetentionPolicy.keep(60))
    async with (
        trioqueue.open_store("sqlite:///mails.db") as store,
        trioqueue.open_services(store) as services,
        trio.open_nursery() as nursery,
    ):
        await store.create_queue("mails", keep)
        worker = trioqueue.Worker(store, {"mails": send})
        Metrics(store, services=services, workers=[worker], registry=registry)
        health = Health(store, services=services, workers=[worker])
        # Port 0: one that is free.  Yours will be fixed, "9464" for example.
        serve = partial(serve_metrics, "127.0.0.1:0", registry, health=health)
        urls = await nursery.start(serve)
        await nursery.start(worker.run)

        message = await store.post("mails", {"to": "ada@example.org"})
        await store.wait_finished("mails", message.message_id)
        await look(urls[0])
        await worker.stop_gracefully(grace_seconds=5)
        nursery.cancel_scope.cancel()


async def look(url: str) -> None:
    """Do what Prometheus does, and show a few of the lines that it is told."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = "".join([chunk.decode() async for chunk in stream])
    for line in answer.splitlines():
        if line.startswith(("mails_sent_total", "trioqueue_attempts_total")):
            print(line)


trio.run(main)
