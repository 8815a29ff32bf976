"""The orders program, tested in virtual time."""

from datetime import timedelta

import pytest

from orders import app, read_order
from trioqueue.testing import autojump_guard, drain


@pytest.mark.trio
async def test_an_order_may_arrive_late(autojump_clock, tmp_path):
    path = tmp_path / "order-99.json"
    async with app.open("sqlite://:memory:") as store:
        monday = store.now()
        handle = await read_order.options(delay_seconds=timedelta(days=30)).enqueue(
            str(path)
        )
        assert await drain(app) == 0  # nothing is due yet
        path.write_text('{"cents": 500}')
        with autojump_guard():  # trio.Path reads in a thread
            assert await drain(app, until=monday + timedelta(days=31)) == 1
        assert await handle.wait() == 500
        assert timedelta(days=30) <= store.now() - monday < timedelta(days=31)


@pytest.mark.trio
async def test_a_broken_order_is_tried_three_times(autojump_clock, tmp_path):
    path = tmp_path / "order-99.json"
    path.write_text('{"price": 500}')
    async with app.open("sqlite://:memory:") as store:
        handle = await read_order.enqueue(str(path))
        with autojump_guard():
            await drain(app, until=store.now() + timedelta(minutes=1))
        message = await store.get_message("orders", handle.message_id)
        assert message.state.name == "ERRORED"
        assert [a.error_type for a in message.attempts] == ["KeyError"] * 3
