"""Schedules that an app declares for its tasks, and how a store comes to have them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from trioqueue.errors import ScheduleExistsError, ValidationError
from trioqueue.model.schedule import Misfire, Schedule
from trioqueue.schedules.when import When
from trioqueue.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from trioqueue.model.spans import Seconds
    from trioqueue.store import Store

logger: Final = logging.getLogger("trioqueue.app")

TaskT = TypeVar("TaskT", bound="Task[Any, Any]")


class DeclaredSchedules:
    """The schedules of one app, by id."""

    def __init__(self) -> None:
        self._schedules: dict[str, Schedule] = {}

    def __iter__(self) -> Iterator[Schedule]:
        return iter(list(self._schedules.values()))

    def decorator(
        self,
        when: When,
        *,
        id: str | None,
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        misfire: Misfire,
        jitter_seconds: Seconds,
        max_messages: int | None,
        start_at: datetime | None,
        end_at: datetime | None,
        metadata: Mapping[str, Any] | None,
    ) -> Callable[[TaskT], TaskT]:
        """Return what declares a schedule for the task that it decorates."""
        if not isinstance(when, When):
            raise ValidationError.of(
                "when", f"expected a Cron or a Calendar, got {when!r}"
            )

        def declare(task: TaskT) -> TaskT:
            if not isinstance(task, Task):
                raise ValidationError.of(
                    "task",
                    f"{task!r} is no task; write @app.schedule above @app.task",
                )
            schedule = Schedule(
                task.name if id is None else id,
                task.queue,
                when,
                task.call_document(args, kwargs or {}),
                metadata=metadata,
                misfire=misfire,
                jitter_seconds=jitter_seconds,
                max_messages=max_messages,
                start_at=start_at,
                end_at=end_at,
                **task.message_settings(),
            )
            if schedule.id in self._schedules:
                raise ValidationError.of(
                    "id",
                    f"the app declares a schedule {schedule.id!r} already; give this "
                    "one another id",
                )
            self._schedules[schedule.id] = schedule
            return task

        return declare

    async def synchronize(self, store: Store) -> None:
        """Create the schedules that a store lacks, update those that differ.

        Additive: what another deployment has declared stays.  What a store lacks and
        whose end has passed is left out: the app must still open the day after.
        """
        for schedule in self._schedules.values():
            try:
                await store.create_schedule(schedule)
            except ScheduleExistsError:
                await store.update_schedule(schedule)
            except ValidationError:
                if schedule.end_at is None or schedule.end_at >= store.now():
                    raise
                logger.info(
                    "schedule %r is not created: its end has passed", schedule.id
                )
        await trio.lowlevel.checkpoint()
