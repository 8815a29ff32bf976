"""The options that say what a schedule posts, and within what limits."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

import click

from trioqueue.cli import parameters
from trioqueue.cli.schedule_times import instant, moment

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.model.schedule import Misfire, Schedule
    from trioqueue.schedules.when import When

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])


def misfire(text: str) -> Misfire:
    """Read ``coalesce``, ``skip``, ``all`` or ``all:N``."""
    from trioqueue.errors import ValidationError
    from trioqueue.model.schedule import Misfire

    kind, colon, most = text.strip().lower().partition(":")
    match kind, colon:
        case "coalesce", "":
            return Misfire.coalesce()
        case "skip", "":
            return Misfire.skip()
        case "all", "":
            return Misfire.all()
        case "all", _ if most.isascii() and most.isdigit():
            try:
                return Misfire.all(int(most[:9]))
            except ValidationError as error:
                raise click.BadParameter(error.issues[0].message) from None
    raise click.BadParameter(
        f"{text!r} is no policy; write coalesce, skip, all or e.g. all:10"
    )


_SETTINGS: Final = (
    click.option(
        "--misfire",
        type=misfire,
        metavar="POLICY",
        default="coalesce",
        show_default=True,
        help="What becomes of runs missed while no service ran: coalesce (one for all "
        "of them), skip, or all[:N] (the latest N, in order).",
    ),
    click.option(
        "--jitter",
        type=parameters.duration,
        metavar="SPAN",
        default="0s",
        help="Each message waits up to so long, e.g. 10m; how long depends on the "
        "schedule and the run alone.",
    ),
    click.option(
        "--max-messages",
        type=click.IntRange(min=1),
        metavar="N",
        help="It is completed after so many runs.  [default: no limit]",
    ),
    click.option(
        "--start-at",
        type=moment,
        metavar="MOMENT",
        help="The first instant at which it may run; without an offset, in its zone.",
    ),
    click.option(
        "--end-at",
        type=moment,
        metavar="MOMENT",
        help="The last instant at which it may run.",
    ),
    click.option(
        "--priority",
        type=click.IntRange(0, 4),
        metavar="N",
        help="Of its messages, higher first.  [default: 2]",
    ),
    click.option(
        "--max-attempts",
        type=click.IntRange(1),
        metavar="N",
        help="How often each message may be tried.  [default: the queue's]",
    ),
    click.option(
        "--metadata",
        multiple=True,
        type=parameters.metadata_pair,
        metavar="KEY=TEXT",
        help="Kept beside the payload; KEY:=JSON for numbers and other values (repeat "
        "for more).",
    ),
    click.option(
        "--content-type",
        default="application/json",
        show_default=True,
        metavar="TYPE",
        help="How to read the payload: JSON, text/* as it is, anything else as bytes.",
    ),
    click.option(
        "--update", is_flag=True, help="If it exists with other settings, change them."
    ),
)


class Settings(NamedTuple):
    """What the options say about a schedule besides its rule."""

    misfire: Misfire
    jitter: float
    max_messages: int | None
    start_at: datetime | None
    end_at: datetime | None
    priority: int | None
    max_attempts: int | None
    metadata: tuple[tuple[str, Any], ...]
    content_type: str
    update: bool

    def schedule(
        self, schedule_id: str, queue: str, when: When, payload: str | None
    ) -> Schedule:
        """Make the schedule."""
        from trioqueue.model.schedule import Schedule

        value = None
        if payload is not None:
            value = parameters.payload(payload, self.content_type)
        elif self.content_type != "application/json":
            raise click.UsageError("--content-type goes with a PAYLOAD")
        return Schedule(
            schedule_id,
            queue,
            when,
            value,
            self.content_type,
            metadata=dict(self.metadata) or None,
            priority=self.priority,
            max_attempts=self.max_attempts,
            misfire=self.misfire,
            jitter_seconds=self.jitter,
            max_messages=self.max_messages,
            start_at=_on_clock(self.start_at, when),
            end_at=_on_clock(self.end_at, when),
        )


def _on_clock(value: datetime | None, when: When) -> datetime | None:
    from trioqueue.schedules.wall_clock import zone_of

    return None if value is None else instant(value, zone_of(when.tz).name)


def settings_options(function: AnyFunction) -> AnyFunction:
    """Add the options of `Settings`; the command gets them as `settings`."""

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> Any:
        values = {name: kwargs.pop(name) for name in Settings._fields}
        return function(*args, settings=Settings(**values), **kwargs)

    for option in reversed(_SETTINGS):
        command = option(command)
    return cast("AnyFunction", command)
