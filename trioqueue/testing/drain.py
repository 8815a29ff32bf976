"""Running an app until there is nothing left to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trioqueue.errors import ValidationError
from trioqueue.model.spans import instant_to_micros
from trioqueue.services import (
    CalendarService,
    CronProcessorService,
    ReclaimService,
    SchedulerService,
)
from trioqueue.store.operations.core import CALENDAR, CRON
from trioqueue.worker import DEFAULT_CONCURRENCY, Worker

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.app import App


async def drain(
    app: App,
    *,
    until: datetime | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> int:
    """Run an open app's messages until nothing is due; return how many jobs ran.

    What handlers enqueue meanwhile runs too.  Messages that are delayed, or wait for a
    retry, and runs of schedules that are not due yet, stay unless `until` says how far
    to go.

    Args:
        app: The app, inside ``app.open(...)`` or the ``tq_app`` fixture.
        until: Also sleep from one due instant to the next, up to this one.  Under an
            autojump clock that takes no time.
        concurrency: The most jobs at once.
    """
    store = app.store
    services = (
        ReclaimService(store),
        CronProcessorService(store),
        CalendarService(store),
        SchedulerService(store),
    )
    limit = None if until is None else instant_to_micros(until, "until")
    if not app.tasks:
        raise ValidationError.of("app", "it has no tasks to run")
    await app.declare()
    jobs = 0
    while True:
        moved = 0
        for service in services:
            moved += await service.run_once()
        ran = await Worker(store, app, concurrency=concurrency).run_once()
        jobs += ran
        if moved or ran:
            continue
        instants = [
            instant_to_micros(instant, "due")
            for instant in (
                await store.next_due(),
                await store.next_expiry(),
                await store.next_schedule_run(CRON),
                await store.next_schedule_run(CALENDAR),
            )
            if instant is not None
        ]
        due = min(instants, default=None)
        if limit is None or due is None or due > limit:
            return jobs
        await trio.sleep_until(store.clock.trio_deadline(due))
