"""Says in words when a cron expression runs."""

from __future__ import annotations

from datetime import time
from itertools import product
from typing import TYPE_CHECKING, Final

from trioqueue.schedules.words import (
    MONTH_NAMES,
    WEEKDAY_NAMES,
    listed,
    ordinal_word,
    times_words,
)

if TYPE_CHECKING:
    from trioqueue.schedules.cron_fields import Field, Fields
    from trioqueue.schedules.cron_items import Span

_MOST_TIMES: Final = 8
"""More times of day than these are not listed one by one."""


def describe_fields(fields: Fields) -> str:
    """Return such as ``at 09:00 on Monday through Friday``."""
    times = _times(fields)
    days = _days(fields)
    if times is None:
        return f"{_clock(fields)}{f' {days}' if days else ''}"
    return f"{times} {days or 'every day'}"


def _times(fields: Fields) -> str | None:
    """List the times of day, if they are few and none is meant as "every"."""
    seconds = (0,) if fields.second is None else fields.second.values
    count = len(fields.minute.values) * len(fields.hour.values) * len(seconds)
    stepped = any(
        span.step > 1 and len(span.values) > 2
        for field in (fields.minute, fields.hour, fields.second)
        if field is not None
        for span in field.spans
    )
    if count > _MOST_TIMES or (stepped and count > 2):
        return None
    return times_words(
        time(*parts)
        for parts in product(fields.hour.values, fields.minute.values, seconds)
    )


def _clock(fields: Fields) -> str:
    parts = []
    second, minute, hour = fields.second, fields.minute, fields.hour
    if second is not None and second.values != (0,):
        parts.append(_counted(second, first=True))
    span = _spread(hour)
    # "every 10 seconds of every minute" says no more than "every 10 seconds".
    if not (parts and minute.full and _repeats_seconds(second)):
        parts.append(_counted(minute, first=not parts))
    text = " of ".join(parts)
    if hour.full:
        return text if _repeats(minute) else f"{text} of every hour"
    if span is not None and _repeats(minute):
        first, last = minute.values[0], minute.values[-1]
        return f"{text} from {span.low:02}:{first:02} through {span.high:02}:{last:02}"
    return f"{text} of {_counted(hour, first=False)}"


def _spread(field: Field) -> Span | None:
    """Return the one span of a field that names values without a break."""
    only = field.spans[0] if len(field.spans) == 1 else None
    return only if only is not None and only.step == 1 else None


def _repeats(field: Field) -> bool:
    """Say whether a field is read as "every so many", evenly through the hour."""
    return field.full or (len(field.spans) == 1 and _even(field, field.spans[0]))


def _repeats_seconds(second: Field | None) -> bool:
    return second is not None and _repeats(second)


def _even(field: Field, span: Span) -> bool:
    """Say whether a step goes on evenly from one round of the field to the next."""
    size = field.kind.size
    return (
        1 < span.step < size
        and size % span.step == 0
        and span.low - field.kind.low < span.step
        and len(span.values) == size // span.step
    )


def _counted(field: Field, *, first: bool) -> str:
    unit = field.kind.name
    if field.full:
        return f"every {unit}"
    singles = [span.low for span in field.spans if len(span.values) == 1]
    pieces = []
    if singles:
        shown = listed([str(value) for value in sorted(set(singles))])
        at = "at " if first else ""
        pieces.append(f"{at}{unit}{'s' if len(set(singles)) > 1 else ''} {shown}")
    pieces.extend(
        _series(field, span, first=first)
        for span in field.spans
        if len(span.values) > 1
    )
    return listed(pieces)


def _series(field: Field, span: Span, *, first: bool) -> str:
    unit, step = field.kind.name, span.step
    if step == 1:
        text = f"every {unit}"
    else:
        text = (
            f"every {step} {unit}s" if first else f"every {ordinal_word(step)} {unit}"
        )
    if _even(field, span) and span.low == field.kind.low:
        return text
    if _even(field, span):
        return f"{text} from {unit} {span.low}"
    return f"{text} from {unit} {span.low} through {span.values[-1]}"


def _days(fields: Fields) -> str:
    month_days, weekdays = _month_days(fields.day), _weekdays(fields.weekday)
    month = "" if fields.month.full else f" of {_months(fields.month)}"
    if not month_days and not weekdays:
        return f"every day in {_months(fields.month)}" if month else ""
    if not month_days:
        if fields.weekday.nth:
            return f"on {weekdays}{month or ' of the month'}"
        return f"on {weekdays}{f' in {_months(fields.month)}' if month else ''}"
    text = f"on {month_days}{month or ' of the month'}"
    if not weekdays:
        return text
    if fields.either_day:
        in_months = f" in {_months(fields.month)}" if month else ""
        return f"{text} or on {weekdays}{in_months}"
    return f"{text} if it is {weekdays}"


def _months(field: Field) -> str:
    return listed([_named(span, MONTH_NAMES, 1) for span in field.spans])


def _named(span: Span, names: tuple[str, ...], low: int) -> str:
    if len(span.values) == 1:
        return names[span.low - low]
    if span.step == 1:
        return f"{names[span.low - low]} through {names[span.high - low]}"
    # Sunday is both 0 and 7, so that a step may meet it twice.
    return listed(list(dict.fromkeys(names[value - low] for value in span.values)))


def _month_days(field: Field) -> str:
    if field.full:
        return ""
    pieces = []
    for span in field.spans:
        low, high = ordinal_word(span.low), ordinal_word(span.values[-1])
        if len(span.values) == 1:
            pieces.append(f"the {low}")
        elif span.step == 1:
            pieces.append(f"the {low} through the {high}")
        else:
            step = ordinal_word(span.step)
            pieces.append(f"every {step} day from the {low} through the {high}")
    if field.last_day:
        pieces.append("the last day")
    if field.last_workday:
        pieces.append("the last day from Monday to Friday")
    return listed(pieces)


def _weekdays(field: Field) -> str:
    if field.full:
        return ""
    # Sunday is 0 and 7 here, and comes first and last.
    names = (WEEKDAY_NAMES[-1], *WEEKDAY_NAMES)
    pieces = [_named(span, names, 0) for span in field.spans]
    pieces += [f"the {ordinal_word(n)} {names[day]}" for day, n in field.nth]
    return listed(pieces)
