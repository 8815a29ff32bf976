"""A TCP server that keeps what it is sent, and works on it when there is time."""

from functools import partial

import trio

import trioqueue


async def shout(job: trioqueue.Job) -> str:
    return job.payload.upper()


async def receive(store: trioqueue.Store, stream: trio.SocketStream) -> None:
    line = await stream.receive_some()
    message = await store.post("lines", line.decode(), content_type="text/plain")
    await stream.send_all(b"kept\n")  # only now: it is on the disk
    done = await store.wait_finished("lines", message.message_id)
    await stream.send_all(done.result.encode())


async def main() -> None:
    keep = trioqueue.QueueOptions(retention=trioqueue.RetentionPolicy.keep(60))
    async with trioqueue.open_store("sqlite:///lines.db") as store:
        await store.create_queue("lines", keep)
        # Entered in this order, left in the opposite one: the server stops first, then
        # the worker, then the services, then the store closes.
        async with trioqueue.open_services(store), trio.open_nursery() as nursery:
            worker = trioqueue.Worker(store, {"lines": shout}, concurrency=10)
            await nursery.start(worker.run)
            async with trio.open_nursery() as server:
                serve = partial(trio.serve_tcp, partial(receive, store), port=0)
                (listener,) = await server.start(partial(serve, host="127.0.0.1"))
                await talk(listener.socket.getsockname()[1])
                server.cancel_scope.cancel()
            await worker.stop_gracefully(grace_seconds=5)


async def talk(port: int) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"hello\n")
        async for data in stream:
            print(data.decode(), end="", flush=True)


trio.run(main)
