"""A report on the last business day of each month at 17:00 in New York."""

import trio

import trioqueue
from trioqueue.schedules import BusinessCalendar, Calendar, Holiday, Monthly

business = BusinessCalendar(
    "new-york-office",
    [
        Holiday.fixed(1, 1, name="New Year's Day", observed="nearest_weekday"),
        Holiday.relative(5, 1, -1, name="Memorial Day"),
        Holiday.fixed(7, 4, name="Independence Day", observed="nearest_weekday"),
        Holiday.relative(11, 4, 4, name="Thanksgiving"),
        Holiday.fixed(12, 25, name="Christmas Day", observed="nearest_weekday"),
    ],
)
month_end = Calendar(
    [Monthly(business_day="last", times="17:00")],
    tz="America/New_York",
    business_calendar=business,
)

app = trioqueue.App()


@app.schedule(month_end)
@app.task(queue="reports")
async def report(job: trioqueue.Job) -> None:
    print("the report for", job.message.metadata["trioqueue.occurrence"], flush=True)


if __name__ == "__main__":
    trio.run(app.run, "sqlite:///reports.db")
