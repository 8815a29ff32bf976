"""Options that say which messages are meant, the same for every command."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, final

import attrs
import click

from trioqueue.cli import parameters
from trioqueue.cli.failures import USAGE, Failure

if TYPE_CHECKING:
    from trioqueue.model import MessageFilter

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

STATES: Final = (
    "INVISIBLE",
    "PENDING",
    "RUNNING",
    "COMPLETED",
    "CANCELED",
    "ERRORED",
)


@final
@attrs.frozen
class Filters:
    """What was typed; instants may be spans, which the store's clock turns into such.

    Attributes:
        ids: The ids asked for, None where none were; those of standard input are read.
    """

    queues: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    task: str | None = None
    error: str | None = None
    since: datetime | float | None = None
    until: datetime | float | None = None
    ids: tuple[str, ...] | None = None
    metadata: tuple[tuple[str, Any], ...] = ()
    reason: str | None = None

    @property
    def given(self) -> bool:
        """Whether anything was typed."""
        return self != Filters()

    def build(self, now: datetime, *, dead_letters_under: str | None) -> MessageFilter:
        """Make the filter.

        Args:
            now: The present instant, by the store's clock.
            dead_letters_under: The name whose dead letters are meant, if they are.
        """
        from trioqueue.model import MessageFilter, MessageState

        return MessageFilter(
            queues=self.queues or None,
            states=[MessageState[state] for state in self.states] or None,
            task=self.task,
            error=self.error,
            since=_instant(self.since, now),
            until=_instant(self.until, now),
            ids=self.ids,
            metadata=dict(self.metadata),
            reason=self.reason,
            dead_letters_under=dead_letters_under,
        )


def _instant(value: datetime | float | None, now: datetime) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    try:
        return now - timedelta(seconds=value)
    except OverflowError:
        raise Failure("a span so long ends before the year 1", USAGE) from None


def _read_ids(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Take ids as they are typed, and for ``-`` the lines of standard input."""
    if not values:
        return None
    ids: list[str] = []
    for value in values:
        if value == "-":
            lines = sys.stdin.read().splitlines()
            ids += [line.strip() for line in lines if line.strip()]
        else:
            ids.append(value)
    return tuple(dict.fromkeys(ids))


_Option: TypeAlias = Callable[[Any], Any]

_QUEUE_OPTIONS: Final[tuple[_Option, ...]] = (
    click.option(
        "--queue",
        "queues",
        multiple=True,
        metavar="QUEUE",
        help="Only in this queue (repeat for more).",
    ),
    click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice(STATES, case_sensitive=False),
        help="Only in this state (repeat for more).",
    ),
)
_OPTIONS: Final[tuple[_Option, ...]] = (
    click.option("--task", metavar="NAME", help="Only calls of this task of an app."),
    click.option(
        "--error",
        metavar="TEXT",
        help="Only where the last error has this in its type or message; upper and "
        "lower case are alike.",
    ),
    click.option(
        "--since",
        type=parameters.moment,
        metavar="WHEN",
        help="Only posted since: a span such as 10m, or e.g. 2030-01-31T09:00:00Z.",
    ),
    click.option(
        "--until", type=parameters.moment, metavar="WHEN", help="Only posted before."
    ),
    click.option(
        "--id",
        "ids",
        multiple=True,
        metavar="ID",
        callback=_read_ids,
        help="Only this message (repeat for more); -: ids from standard input, a "
        "line each.",
    ),
    click.option(
        "--metadata",
        multiple=True,
        type=parameters.metadata_pair,
        metavar="KEY=TEXT",
        help="Only with this metadata; KEY:=JSON for other values (repeat for more).",
    ),
    click.option(
        "--reason", metavar="REASON", help="Only dead letters that died for it."
    ),
)


def filter_options(
    *, dead: bool = False, reason: bool = True
) -> Callable[[AnyFunction], AnyFunction]:
    """Add the options that choose messages; the command gets them as ``filters``.

    Args:
        dead: Only dead letters are meant, so that there is no state or queue to ask.
        reason: Whether there is ``--reason`` (`message cancel` means another one).
    """
    options = _OPTIONS if reason else _OPTIONS[:-1]
    if not dead:
        options = (*_QUEUE_OPTIONS, *options)
    names = {field.name for field in attrs.fields(Filters)}
    if not reason:
        names -= {"reason"}
    if dead:
        names -= {"queues", "states"}

    def decorate(function: AnyFunction) -> AnyFunction:
        @functools.wraps(function)
        def command(*args: Any, **given: Any) -> Any:
            mine = {name: given.pop(name) for name in names}
            return function(*args, filters=Filters(**mine), **given)

        decorated: Any = command
        for option in reversed(options):
            decorated = option(decorated)
        result: AnyFunction = decorated
        return result

    return decorate
