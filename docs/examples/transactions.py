"""Orders and their messages are stored together, or not at all."""

import sqlite3

import trio

import trioqueue


async def charge(job: trioqueue.Job) -> None:
    order = job.payload
    async with job.transaction() as transaction:
        await transaction.execute("UPDATE orders SET paid = 1 WHERE id = ?", [order])
        await transaction.post("receipts", {"order": order})


async def main() -> None:
    async with trioqueue.open_store("sqlite:///shop.db") as store:
        await store.create_queue("charges")
        await store.create_queue("receipts")

        connection = sqlite3.connect("shop.db")
        connection.execute("CREATE TABLE orders (id INTEGER, paid INTEGER)")
        for order in (1, 2):
            connection.execute("INSERT INTO orders VALUES (?, 0)", [order])
            store.post_in(connection, "charges", order)
            if order == 1:
                connection.commit()
            else:
                connection.rollback()

        await trioqueue.Worker(store, {"charges": charge}).run_once()
        print("orders:", connection.execute("SELECT * FROM orders").fetchall())
        print("receipts:", [m.payload for m in await store.peek("receipts")])
        print("charges:", await store.peek("charges"))
        connection.close()


trio.run(main)
