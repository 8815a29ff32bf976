"""``trioqueue schedule calendar``: business calendars that schedules share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from trioqueue.cli import parameters
from trioqueue.cli.asking import confirm
from trioqueue.cli.output import say, table
from trioqueue.cli.schedule_input import read_json
from trioqueue.cli.schedule_times import now
from trioqueue.cli.schedule_view import (
    CALENDAR_COLUMNS,
    HOLIDAY_COLUMNS,
    weekend_words,
    wrapped,
)
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.cli.documents import Document
    from trioqueue.schedules.business_days import BusinessCalendar
    from trioqueue.store import Store

_YEARS = re.compile(r"([0-9]{4})(?:-([0-9]{4}))?", re.ASCII)


@click.group()
@common_options
def calendar() -> None:
    """Store, show and delete business calendars: weekend days and holidays."""


@calendar.command("list")
@parameters.limit_option(100)
@click.option("--after", metavar="ID", help="Go on after this calendar.")
@common_options
@with_session
def list_command(session: Session, /, *, limit: int, after: str | None) -> None:
    """List business calendars by id."""

    async def work(store: Store) -> list[BusinessCalendar]:
        return await store.list_business_calendars(limit=limit + 1, after=after)

    found = session.run(work)
    documents = [each.to_document() for each in found[:limit]]
    session.output.items(
        documents,
        CALENDAR_COLUMNS,
        empty="no such business calendars"
        if after
        else "no business calendars; store one with: trioqueue schedule calendar "
        "for-country US --years 2026-2030",
    )
    if len(found) > limit:
        say(f"there are more: go on with --after {documents[-1]['id']}")


@calendar.command()
@click.argument("calendar_id", metavar="ID")
@click.option(
    "--year",
    type=click.IntRange(1, 9999),
    metavar="YEAR",
    help="Whose holidays to list.  [default: the present one]",
)
@common_options
@with_session
def show(session: Session, /, *, calendar_id: str, year: int | None) -> None:
    """Show a business calendar, and its holidays in one year.

    As JSON it is all of what `calendar put` reads.
    """

    async def work(store: Store) -> BusinessCalendar:
        return await store.get_business_calendar(calendar_id)

    found = session.run(work)
    shown = now().year if year is None else year
    session.output.item(found.to_document(), lambda: _lines(found, shown))


def _lines(found: BusinessCalendar, year: int) -> Iterable[str]:
    rows = [("id", found.id)]
    rows += [
        (name, text)
        for name in ("name", "description", "source")
        if (text := getattr(found, name))
    ]
    yield from wrapped([*rows, ("weekend", weekend_words(found.weekend_days))])
    yield ""
    holidays = [
        {"date": f"{day}", "weekday": f"{day:%a}", "name": name}
        for day, name in found.holidays_in(year).items()
    ]
    if not holidays:
        yield f"No holidays in {year}."
        return
    yield f"Holidays in {year}:"
    yield from table(holidays, HOLIDAY_COLUMNS)


@calendar.command()
@click.argument("file")
@common_options
@with_session
def put(session: Session, /, *, file: str) -> None:
    """Store a business calendar from a JSON FILE, or - for standard input.

    It takes the place of one with the same id; schedules that use it follow at once.
    The database file is created if there is none.

    \b
    Example of a FILE:
      {"id": "office", "weekend_days": [6, 7],
       "holidays": [{"kind": "fixed", "month": 12, "day": 25, "name": "Christmas"}]}
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.schedules.business_days import BusinessCalendar

    found = BusinessCalendar.from_document(read_json(file, "'FILE'"))
    _put(session, found)


@calendar.command("for-country")
@click.argument("country")
@click.option("--subdivision", metavar="CODE", help="A state or province, e.g. NY.")
@click.option(
    "--years",
    required=True,
    metavar="YEARS",
    help="Which years, e.g. 2026-2030; it knows no holidays in others.",
)
@click.option(
    "--id", "calendar_id", metavar="ID", help="Its id.  [default: e.g. US-NY]"
)
@common_options
@with_session
def for_country(
    session: Session, /, *, country: str, years: str, **options: Any
) -> None:
    """Store the public holidays of COUNTRY, e.g. US, as a business calendar.

    They are written in as dates, so that they change only when you store them anew.
    They come from the holidays package: pip install "trioqueue[holidays]".

    \b
    Example:
      trioqueue schedule calendar for-country US --subdivision NY --years 2026-2030
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.schedules.business_days import BusinessCalendar

    span = _YEARS.fullmatch(years.strip())
    if span is None or int(span[2] or span[1]) < int(span[1]):
        raise click.BadParameter(
            f"{years!r} are no years; write e.g. 2026-2030 or 2026",
            param_hint="'--years'",
        )
    found = BusinessCalendar.for_country(
        country,
        subdivision=options["subdivision"],
        years=range(int(span[1]), int(span[2] or span[1]) + 1),
        id=options["calendar_id"],
    )
    _put(session, found)


def _put(session: Session, found: BusinessCalendar) -> None:
    async def work(store: Store) -> BusinessCalendar:
        return await store.put_business_calendar(found)

    document: Document = session.run(work, create=True).to_document()
    count = len(document["holidays"])
    days = f"{count} holiday{'' if count == 1 else 's'}"
    session.output.done(
        found.id, document, f"business calendar {found.id!r} stored: {days}"
    )


@calendar.command()
@click.argument("calendar_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
@with_session
def delete(session: Session, /, *, calendar_id: str, yes: bool) -> None:
    """Delete a business calendar that no schedule uses.

    At a terminal it asks first; elsewhere it needs --yes.
    """

    async def look(store: Store) -> BusinessCalendar:
        return await store.get_business_calendar(calendar_id)

    async def work(store: Store) -> None:
        await store.delete_business_calendar(calendar_id)

    document = session.run(look).to_document()
    if not yes:
        confirm(f"delete business calendar {calendar_id!r}")
    session.run(work)
    session.output.done(
        calendar_id, document, f"business calendar {calendar_id!r} deleted"
    )
