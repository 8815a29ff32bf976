"""One schedule for a task, one for a queue."""

from datetime import UTC, datetime

import trio

import trioqueue
from trioqueue import Calendar, Cron, Misfire, Schedule
from trioqueue.schedules import Daily, Skip

app = trioqueue.App()


@app.schedule(Cron("0 9 * * 1-5", tz="Europe/Paris"))
@app.task(queue="mail")
async def good_morning() -> None: ...


backups = Calendar(
    [Daily(times=["02:30", "14:30"])],
    tz="America/New_York",
    exceptions=[Skip("2026-12-25")],
)


async def main() -> None:
    async with app.open("sqlite://:memory:") as store:
        await store.create_queue("backups")
        schedule = Schedule("nightly", "backups", backups, misfire=Misfire.skip())
        await store.create_schedule(schedule)

        for each in await store.list_schedules():
            print(each.id, "->", each.queue, "|", each.when.describe())
    for moment in backups.preview(3, after=datetime(2026, 12, 24, 12, tzinfo=UTC)):
        print(moment)


trio.run(main)
