"""The store's business calendars: named, shared by schedules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trioqueue.errors import ValidationError
from trioqueue.store.base import StoreBase, check_count, check_message_id, check_text
from trioqueue.store.operations import business_calendars

if TYPE_CHECKING:
    from trioqueue.schedules.business_days import BusinessCalendar


class CalendarMethods(StoreBase):
    """Keep business calendars that schedules refer to by their id."""

    async def put_business_calendar(
        self, calendar: BusinessCalendar
    ) -> BusinessCalendar:
        """Store a business calendar, or replace the one of the same id.

        Schedules that use it follow at once; a run that is already due stays due.

        Raises:
            ValidationError: Something is wrong with it; nothing is stored.
        """
        # Here, because a program without calendars should not pay for them.
        from trioqueue.schedules import business_days

        if not isinstance(calendar, business_days.BusinessCalendar):
            raise ValidationError.of(
                "calendar", f"expected BusinessCalendar, got {calendar!r}"
            )
        if issues := [i for i in calendar.validate() if i.severity == "error"]:
            raise ValidationError(issues)
        document = json.dumps(
            calendar.to_document(), sort_keys=True, separators=(",", ":")
        )
        return await self._write(
            business_calendars.put_business_calendar, calendar.id, document
        )

    async def get_business_calendar(self, calendar_id: str) -> BusinessCalendar:
        """Return one business calendar.

        Raises:
            BusinessCalendarNotFoundError: There is no such calendar.
        """
        checked = check_message_id(calendar_id, "calendar_id")
        return await self._read(business_calendars.get_business_calendar, checked)

    async def list_business_calendars(
        self, *, limit: int = 100, after: str | None = None
    ) -> list[BusinessCalendar]:
        """List business calendars by id.

        Args:
            limit: At most so many.
            after: Go on after this id: the last one of the page before.
        """
        start = check_text(after, "after")
        count = check_count(limit, "limit")
        return await self._read(
            business_calendars.list_business_calendars, count, start
        )

    async def delete_business_calendar(self, calendar_id: str) -> None:
        """Delete a business calendar that no schedule uses.

        Raises:
            BusinessCalendarNotFoundError: There is no such calendar.
            IllegalStateError: Schedules use it.
        """
        checked = check_message_id(calendar_id, "calendar_id")
        await self._write(business_calendars.delete_business_calendar, checked)
