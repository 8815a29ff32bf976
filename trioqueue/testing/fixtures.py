"""Pytest fixtures, for use with pytest-trio.

In ``conftest.py``: ``pytest_plugins = ["trioqueue.testing.fixtures"]``.  In a test::

    async def test_mail_is_sent(autojump_clock, tq_app):
        @tq_app.task
        async def send(to: str) -> str:
            return f"sent to {to}"

        handle = await send.enqueue("a@example.org")
        assert await drain(tq_app) == 1
        assert await handle.wait() == "sent to a@example.org"

``autojump_clock`` must be an argument of the test itself: that is where pytest-trio
looks for a clock.  Without it the store is on real time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trioqueue.app import App
from trioqueue.store import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trioqueue.store import Store


@pytest.fixture
async def tq_store() -> AsyncIterator[Store]:
    """Give a new store in memory, on the test's clock."""
    async with open_store("sqlite://:memory:") as store:
        yield store


@pytest.fixture
async def tq_app(tq_store: Store) -> AsyncIterator[App]:
    """Give a new app that is open on `tq_store`.

    Tasks registered in the test are used at once: their queues are created when the
    first message is enqueued.
    """
    app = App()
    async with app.use(tq_store):
        yield app
