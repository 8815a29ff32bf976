"""From what a clock on the wall shows to instants, and back.

Rules run on the wall clock and every wall time is mapped to an instant once, at the
end.  A wall time is a whole number of seconds since the (imaginary) start of the year
0; an instant is a whole number of seconds since 1970, UTC.  Numbers, because aware
datetimes of different zones do not compare well near a clock change (PEP 495).

A time that a clock change skips is taken with the offset before the change, so that
02:30 becomes 03:30 (RFC 5545 3.3.5); of a time that comes twice the first is meant.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple, final
from zoneinfo import ZoneInfo

from trioqueue.errors import ValidationError, ValidationIssue
from trioqueue.model.spans import FIRST_INSTANT, LAST_INSTANT

DAY: Final = 86_400
LAST_ORDINAL: Final = date.max.toordinal()
LAST_WALL: Final = LAST_ORDINAL * DAY + DAY - 1
FIRST_WALL: Final = DAY
_EPOCH_WALL: Final = date(1970, 1, 1).toordinal() * DAY
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TIME: Final = timedelta(0)
FIRST_SECOND: Final = -(-FIRST_INSTANT // 1_000_000)
"""The first instant that a datetime can show, in whole seconds."""
LAST_SECOND: Final = LAST_INSTANT // 1_000_000
"""The last one."""


def wall_of(moment: datetime) -> int:
    """Return what a naive datetime shows, as a wall time (microseconds are cut)."""
    clock = moment.hour * 3600 + moment.minute * 60 + moment.second
    return moment.toordinal() * DAY + clock


def seconds_of(moment: time) -> int:
    """Return a time of day as seconds since midnight."""
    return moment.hour * 3600 + moment.minute * 60 + moment.second


def show_wall(wall: int) -> datetime:
    """Return a wall time as a naive datetime."""
    ordinal, clock = divmod(wall, DAY)
    return datetime.fromordinal(ordinal) + timedelta(seconds=clock)


class Mapped(NamedTuple):
    """The instant that a wall time means."""

    instant: int
    gap: int
    """By how many seconds a clock change moved it; 0 where the wall time exists."""


@final
class Zone:
    """A time zone that maps between walls and instants; make it with `zone_of`."""

    __slots__ = ("_base", "info", "name")

    def __init__(self, name: str, info: ZoneInfo) -> None:
        self.name = name
        self.info = info
        self._base = datetime(1, 1, 1, tzinfo=info)

    def offset_at(self, instant: int) -> int:
        """Return the offset from UTC, in seconds, that holds at an instant."""
        shown = (_EPOCH + timedelta(seconds=instant)).astimezone(self.info)
        offset = shown.utcoffset() or _NO_TIME
        return offset.days * DAY + offset.seconds

    def to_wall(self, instant: int) -> int:
        """Return what the clock on the wall shows at an instant.

        Beyond the years that a datetime can show, the zone's last offset is UTC's.
        """
        inside = min(max(instant, FIRST_SECOND + DAY), LAST_SECOND - DAY)
        return instant + _EPOCH_WALL + self.offset_at(inside)

    def to_instant(self, wall: int) -> Mapped:
        """Return the instant that a wall time means.

        `wall` is between `FIRST_WALL` and `LAST_WALL`; the instant may fall a day
        outside the years 1 to 9999.
        """
        # Adding to an aware datetime moves it along the wall (PEP 495), fold 0.
        moment = self._base + timedelta(seconds=wall - DAY)
        before = moment.utcoffset() or _NO_TIME
        after = moment.replace(fold=1).utcoffset() or _NO_TIME
        instant = wall - _EPOCH_WALL - before.days * DAY - before.seconds
        if after <= before:
            return Mapped(instant, 0)
        gap = after - before
        return Mapped(instant, gap.days * DAY + gap.seconds)

    def open_gap(self, instant: int) -> tuple[int, int] | None:
        """Return the wall times that a recent change has moved past an instant.

        When the clocks went forward by an hour less than an hour ago, wall times of the
        gap are still to come.  The answer is the gap: its first wall time and the first
        one after it.
        """
        if not FIRST_SECOND + 2 * DAY < instant < LAST_SECOND - DAY:
            return None
        now = self.offset_at(instant)
        size = now - self.offset_at(instant - DAY)
        if size <= 0 or self.offset_at(instant - size) == now:
            return None
        low, high = instant - size, instant  # the change is in (low, high]
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset_at(middle) == now:
                high = middle
            else:
                low = middle
        end = high + _EPOCH_WALL + now
        return end - size, end

    def gap_end(self, wall: int, size: int) -> int:
        """Return the first wall time after the gap of a size that holds a wall time."""
        low, high = wall, wall + size  # it is in (low, high]
        while high - low > 1:
            middle = (low + high) // 2
            if self.to_instant(middle).gap:
                low = middle
            else:
                high = middle
        return high

    def __repr__(self) -> str:
        return f"Zone({self.name!r})"


@lru_cache(maxsize=1024)
def _load(name: str) -> Zone | None:
    try:
        return Zone(name, ZoneInfo(name))
    except (KeyError, OSError, ValueError):
        return None


def find_zone(name: object) -> Zone | None:
    """Return a zone of the IANA database, or None if there is none of that name."""
    if not isinstance(name, str) or not 0 < len(name) <= 100 or "\0" in name:
        return None
    return _load(name)


def zone_issues(name: object, field: str = "tz") -> list[ValidationIssue]:
    """Say what is wrong with a zone's name."""
    if find_zone(name) is not None:
        return []
    return [
        ValidationIssue(
            field,
            f"there is no time zone {str(name)[:100]!r}",
            suggestion="use a name of the IANA database, such as 'Europe/Paris'",
        )
    ]


def zone_of(name: str) -> Zone:
    """Return a zone of the IANA database.

    Raises:
        ValidationError: There is none of that name.
    """
    zone = find_zone(name)
    if zone is None:
        raise ValidationError(zone_issues(name))
    return zone
