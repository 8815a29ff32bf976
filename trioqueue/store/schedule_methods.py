"""The store's schedule methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from trioqueue.errors import ValidationError
from trioqueue.model.schedule import ScheduleRun, ScheduleState
from trioqueue.model.spans import optional_instant
from trioqueue.policies.misfire import ON_TIME_MICROS
from trioqueue.store.base import StoreBase, check_count, check_message_id, check_text
from trioqueue.store.operations import schedule_fire, schedule_runs, schedules
from trioqueue.store.operations.schedule_plan import make_plan
from trioqueue.store.schedule_drafts import make_schedule_draft

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.model.message import Message
    from trioqueue.model.schedule import Schedule
    from trioqueue.store.operations.schedule_fire import Fired
    from trioqueue.store.operations.schedule_plan import Plan
    from trioqueue.store.operations.schedule_rows import ScheduleRow

BATCH: Final = 1000
"""So many schedules are served by one transaction ..."""
MAX_MESSAGES: Final = 2000
"""... unless they catch up, and these are enough ..."""
MAX_LOOKED_AT: Final = 20_000
"""... or so many occurrences have been counted, which takes half a second."""
STEPS_IN_A_ROW: Final = 40
"""So many occurrences are looked at before others may run."""


class ScheduleMethods(StoreBase):
    """Create, change, look at, pause and trigger schedules."""

    async def create_schedule(self, schedule: Schedule) -> Schedule:
        """Create a schedule, or return it if it exists with the same settings.

        Its first run is the first occurrence after now, or from ``start_at`` on.

        Raises:
            ValidationError: Something is wrong, or it would never run; nothing stored.
            QueueNotFoundError: There is no such queue.
            BusinessCalendarNotFoundError: It names a business calendar that is not
                stored.
            ScheduleExistsError: It exists with other settings.
        """
        draft = make_schedule_draft(schedule, self._clock.now_us(), self._source)
        return await self._write(schedules.create_schedule, draft)

    async def update_schedule(self, schedule: Schedule) -> Schedule:
        """Replace a schedule's settings; its id, history and counts stay.

        A new rule holds from now on: nothing that has run runs again, nothing before
        now is made up for.  If the rule stays, so does a run that is due.  A schedule
        that was COMPLETED or ERRORED runs again; a paused one stays paused.

        Raises:
            ValidationError: Something is wrong, or it would never run; nothing stored.
            ScheduleNotFoundError: There is no such schedule.
            QueueNotFoundError: There is no such queue.
            BusinessCalendarNotFoundError: It names a business calendar that is not
                stored.
        """
        draft = make_schedule_draft(schedule, self._clock.now_us(), self._source)
        return await self._write(schedules.update_schedule, draft)

    async def get_schedule(self, schedule_id: str) -> Schedule:
        """Return one schedule.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
        """
        checked = check_message_id(schedule_id, "schedule_id")
        return await self._read(schedules.get_schedule, checked)

    async def list_schedules(
        self,
        prefix: str = "",
        *,
        limit: int = 100,
        after: str | None = None,
        state: ScheduleState | None = None,
    ) -> list[Schedule]:
        """List schedules by id.

        Args:
            prefix: Only ids that begin with it.
            limit: At most so many.
            after: Go on after this id: the last one of the page before.
            state: Only those in this state.
        """
        text = check_text(prefix, "prefix") or ""
        start = check_text(after, "after")
        if state is not None and not isinstance(state, ScheduleState):
            raise ValidationError.of("state", f"expected ScheduleState, got {state!r}")
        count = check_count(limit, "limit")
        return await self._read(schedules.list_schedules, text, count, start, state)

    async def delete_schedule(self, schedule_id: str) -> None:
        """Delete a schedule and its history; messages it has posted stay.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
        """
        checked = check_message_id(schedule_id, "schedule_id")
        await self._write(schedules.delete_schedule, checked)

    async def pause_schedule(
        self, schedule_id: str, reason: str | None = None
    ) -> Schedule:
        """Stop a schedule until it is resumed: once this returns, nothing is posted.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
            IllegalStateError: It is COMPLETED.
        """
        checked = check_message_id(schedule_id, "schedule_id")
        text = check_text(reason, "reason")
        return await self._write(schedules.pause_schedule, checked, text)

    async def resume_schedule(self, schedule_id: str) -> Schedule:
        """Let a paused or errored schedule run again.

        Its misfire policy says what becomes of the runs it missed.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
            IllegalStateError: It is COMPLETED.
            ValidationError: Its rule cannot be used.
        """
        checked = check_message_id(schedule_id, "schedule_id")
        return await self._write(schedules.resume_schedule, checked)

    async def trigger_schedule(self, schedule_id: str) -> Message:
        """Post a schedule's message now, besides its runs, whatever its state.

        It counts neither as a run nor against ``max_messages``.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
            QueueNotFoundError: Its queue is gone.
            ValidationError: The queue no longer takes its message.
        """
        checked = check_message_id(schedule_id, "schedule_id")
        return await self._write(schedule_runs.trigger_schedule, checked)

    async def preview_schedule(
        self, schedule_id: str, *, count: int = 10
    ) -> list[datetime]:
        """List a schedule's next runs: by its rule, its calendar, its end, its limit.

        For one that does not run now, the runs it would have from now on.

        Args:
            schedule_id: The schedule.
            count: At most so many.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
            ValidationError: Its rule cannot be used.
        """
        checked = check_message_id(schedule_id, "schedule_id")
        most, now = check_count(count, "count"), self._clock.now_us()
        return await self._read(schedule_runs.preview_schedule, checked, most, now)

    async def schedule_history(
        self,
        schedule_id: str,
        *,
        limit: int = 100,
        after: ScheduleRun | str | None = None,
    ) -> list[ScheduleRun]:
        """List what a schedule has posted, newest first, also what is long gone.

        Of a schedule that runs very often the latest 10,000 runs are kept at least.

        Args:
            schedule_id: The schedule.
            limit: At most so many.
            after: Go on after this one: the last of the page before, or its message id.

        Raises:
            ScheduleNotFoundError: There is no such schedule.
            MessageNotFoundError: `after` is no run of it.
        """
        checked = check_message_id(schedule_id, "schedule_id")
        start = after.message_id if isinstance(after, ScheduleRun) else after
        if start is not None:
            check_message_id(start, "after")
        count = check_count(limit, "limit")
        return await self._read(schedule_runs.schedule_history, checked, count, start)

    async def next_schedule_run(self, kind: str) -> datetime | None:
        """Return when the next schedule of a kind (``cron``, ``calendar``) runs."""
        return optional_instant(await self._read(schedule_fire.next_schedule, kind))

    async def fire_due_schedules(self, kind: str) -> Fired | None:
        """Post a batch of what is due on schedules of a kind; None: nothing is.

        Cancellation leaves the batch undone or takes effect after it.
        """
        now = self._clock.now_us()
        due = await self._read(schedule_fire.due_schedules, kind, now, BATCH)
        plans: list[Plan] = []
        messages = steps = looked_at = 0
        for row in due.rows:
            if steps >= STEPS_IN_A_ROW:
                steps = 0
                await trio.lowlevel.checkpoint()
            document = None
            if row.calendar_id is not None:
                document = due.calendars.get(row.calendar_id)
            plan = await self._plan(row, document, now)
            plans.append(plan)
            messages += len(plan.runs)
            counted = 1 + sum(1 + run.merged for run in plan.runs)
            steps += counted
            looked_at += counted
            if messages >= MAX_MESSAGES or looked_at >= MAX_LOOKED_AT:
                break
        if not plans:
            return None
        return await self._write(schedule_fire.fire, plans)

    async def _plan(self, row: ScheduleRow, document: str | None, now: int) -> Plan:
        missed = row.next_at is not None and row.next_at < now - ON_TIME_MICROS
        if missed and not self._clock.is_virtual:
            # Counting what was missed may take a second; heartbeats must not wait.
            return await trio.to_thread.run_sync(
                make_plan, row, document, now, limiter=self._planners
            )
        return make_plan(row, document, now)  # noqa: ASYNC910  counted by the caller
