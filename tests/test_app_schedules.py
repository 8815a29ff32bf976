"""Schedules that an app declares beside its tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio
import trio.testing

from trioqueue import (
    App,
    Calendar,
    Cron,
    Job,
    LeasePolicy,
    Misfire,
    Schedule,
    ScheduleState,
    ValidationError,
)
from trioqueue.schedules import Daily
from trioqueue.task import AsyncTask
from trioqueue.testing import drain

NINE = Calendar([Daily(times="09:00")])


async def test_a_declared_schedule_runs_its_task(
    shared: str, autojump_clock: trio.testing.MockClock
) -> None:
    app = App()
    ran: list[tuple[str, int, str]] = []

    @app.schedule(NINE, args=("daily",), kwargs={"number": 7})
    @app.task(queue="reports", max_attempts=5, priority=4)
    async def report(job: Job, kind: str, number: int = 0) -> None:
        when = str(job.message.metadata["trioqueue.occurrence"])
        assert job.message.max_attempts == 5
        assert job.message.priority == 4
        ran.append((kind, number, when))

    async with app.open(shared) as store:
        assert (await store.get_schedule("report")).queue == "reports"
        start = store.now()
        assert await drain(app, until=start + timedelta(days=3)) == 3
    assert ran == [("daily", 7, f"2000-01-0{day}T09:00:00Z") for day in (1, 2, 3)]


async def test_opening_again_changes_nothing(shared: str) -> None:
    app = App()

    @app.schedule(NINE)
    @app.task
    async def report() -> None: ...

    async with app.open(shared) as store:
        first = await store.get_schedule("report")
    async with app.open(shared) as store:
        assert await store.get_schedule("report") == first
    assert first.revision == 1


async def test_a_changed_declaration_updates_and_nothing_is_deleted(
    shared: str,
) -> None:
    old, new = App(), App()
    old.schedule(NINE)(_task(old, "report"))
    old.schedule(NINE)(_task(old, "only_old"))
    new.schedule(Calendar([Daily(times="10:00")]), misfire=Misfire.skip())(
        _task(new, "report")
    )
    async with old.open(shared) as store:
        await store.pause_schedule("report", "by hand")
    async with new.open(shared) as store:
        report = await store.get_schedule("report")
        assert report.revision == 2
        assert report.misfire == Misfire.skip()
        assert report.state is ScheduleState.PAUSED
        assert report.reason == "by hand"
        assert (await store.get_schedule("only_old")).state is ScheduleState.SCHEDULED


def _task(app: App, name: str) -> AsyncTask[[], None]:
    @app.task(name=name)
    async def function() -> None: ...

    return function


async def test_an_interval_keeps_counting_from_the_day_of_the_first_opening(
    shared: str, autojump_clock: trio.testing.MockClock
) -> None:
    def make() -> App:
        app = App()
        app.schedule(Calendar([Daily(3)]))(_task(app, "every_three"))
        return app

    async with make().open(shared) as store:
        first = await store.get_schedule("every_three")
        assert first.next_run == datetime(2000, 1, 4, tzinfo=UTC)
    await trio.sleep(86_400)
    async with make().open(shared) as store:
        assert await store.get_schedule("every_three") == first


async def test_a_declaration_that_has_come_to_its_end_does_no_harm(
    shared: str, autojump_clock: trio.testing.MockClock
) -> None:
    def make() -> App:
        app = App()
        app.schedule(NINE, end_at=datetime(2000, 1, 3, tzinfo=UTC))(_task(app, "short"))
        return app

    app = make()
    async with app.open(shared) as store:
        assert await drain(app, until=store.now() + timedelta(days=9)) == 2
    async with make().open(shared) as store:
        short = await store.get_schedule("short")
        assert short.state is ScheduleState.COMPLETED
        assert short.run_count == 2


async def test_a_declaration_whose_end_has_passed_is_not_created(
    shared: str, autojump_clock: trio.testing.MockClock
) -> None:
    app = App()
    over = datetime(1999, 1, 3, tzinfo=UTC)
    app.schedule(NINE, end_at=over)(_task(app, "over"))
    app.schedule(NINE)(_task(app, "report"))
    async with app.open(shared) as store:
        assert [each.id for each in await store.list_schedules()] == ["report"]


async def test_an_end_moved_into_the_past_does_not_go_unnoticed(
    shared: str, autojump_clock: trio.testing.MockClock
) -> None:
    def make(end_at: datetime | None) -> App:
        app = App()
        app.schedule(NINE, end_at=end_at)(_task(app, "report"))
        return app

    async with make(None).open(shared):
        pass
    with pytest.raises(ValidationError, match="never runs"):
        async with make(datetime(1999, 1, 3, tzinfo=UTC)).open(shared):
            pytest.fail("it opened, and the schedule would run on")


def test_one_task_may_have_several_schedules() -> None:
    app = App()

    @app.schedule(Cron("0 18 * * *"), id="evening")
    @app.schedule(NINE, id="morning", jitter_seconds=60)
    @app.task(queue="reports", lease=LeasePolicy(base_seconds=5))
    async def report() -> None: ...

    assert set(app.schedules) == {"morning", "evening"}
    morning = app.schedules["morning"]
    assert morning == Schedule(
        "morning",
        "reports",
        NINE,
        {"task": "report", "args": [], "kwargs": {}},
        lease=LeasePolicy(base_seconds=5),
        jitter_seconds=60,
    )


def test_the_decorated_task_is_still_the_task() -> None:
    app = App()

    @app.schedule(NINE)
    @app.task
    def double(number: int = 2) -> int:
        return 2 * number

    assert double(4) == 8
    assert double.name == "double"


def test_two_schedules_cannot_have_one_id() -> None:
    app = App()
    task = _task(app, "report")
    app.schedule(NINE)(task)
    with pytest.raises(ValidationError, match=r"^id: the app declares .*'report'"):
        app.schedule(NINE)(task)


def test_arguments_that_do_not_fit_the_task_are_refused() -> None:
    app = App()
    task = _task(app, "report")
    with pytest.raises(ValidationError, match=r"^arguments: of task 'report'"):
        app.schedule(NINE, args=(1,))(task)


def test_the_order_of_the_decorators_is_explained() -> None:
    app = App()
    with pytest.raises(ValidationError, match=r"write @app\.schedule above @app\.task"):
        app.schedule(NINE)(print)  # type: ignore[type-var]  # the point


def test_when_must_be_a_cron_or_a_calendar() -> None:
    with pytest.raises(ValidationError, match=r"^when: expected a Cron or a Calendar"):
        App().schedule("0 9 * * *")  # type: ignore[arg-type]  # the point


async def test_a_schedule_that_cannot_be_stored_keeps_the_app_closed(
    shared: str,
) -> None:
    app = App()
    app.schedule(Calendar([Daily(0)]))(_task(app, "report"))
    with pytest.raises(ValidationError, match=r"interval: must be"):
        async with app.open(shared):
            pytest.fail("it opened")
