"""A year of reports in a moment."""

from datetime import UTC, datetime

import pytest
from reports import app

from trioqueue import TrioClock
from trioqueue.testing import drain


@pytest.mark.trio
async def test_twelve_reports_a_year(autojump_clock, tmp_path):
    clock = TrioClock(start=datetime(2026, 1, 1, tzinfo=UTC))
    async with app.open(f"sqlite:///{tmp_path}/test.db", clock=clock) as store:
        jobs = await drain(app, until=datetime(2027, 1, 1, tzinfo=UTC))
        runs = await store.schedule_history("report")
    assert jobs == len(runs) == 12
    # The newest first. Winter in New York is five hours behind UTC, summer four.
    assert runs[0].occurrence == datetime(2026, 12, 31, 22, tzinfo=UTC)
    assert runs[-5].occurrence == datetime(2026, 5, 29, 21, tzinfo=UTC)
    assert {run.kind for run in runs} == {"on_time"}
