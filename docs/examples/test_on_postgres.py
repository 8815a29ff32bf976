"""Thirty days pass in a moment, on a real server."""

from datetime import timedelta

import pytest

import trioqueue
from trioqueue.testing import drain

app = trioqueue.App()
came = []


@app.task
async def remind(who: str) -> None:
    came.append(who)


@pytest.mark.trio
async def test_the_reminder_comes_after_thirty_days(autojump_clock):
    async with app.open("postgresql://localhost/jobs") as store:
        start = store.now()
        await remind.options(delay_seconds=timedelta(days=30)).enqueue("ada")
        await drain(app, until=start + timedelta(days=29))
        assert came == []
        await drain(app, until=start + timedelta(days=31))
        assert came == ["ada"]
