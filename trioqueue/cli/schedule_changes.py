"""``trioqueue schedule pause``, ``resume``, ``trigger``, ``delete``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from trioqueue.cli.asking import confirm
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from trioqueue.model import Message
    from trioqueue.model.schedule import Schedule
    from trioqueue.store import Store


@click.command()
@click.argument("schedule_id", metavar="ID")
@click.option("--reason", metavar="TEXT", help="Why; `schedule show` tells it.")
@common_options
@with_session
def pause(session: Session, /, *, schedule_id: str, reason: str | None) -> None:
    """Stop a schedule until it is resumed; once this returns, nothing is posted.

    Pausing a paused schedule changes the reason.
    """
    from trioqueue.cli.schedule_documents import schedule_document

    async def work(store: Store) -> Schedule:
        return await store.pause_schedule(schedule_id, reason)

    document = schedule_document(session.run(work))
    session.output.done(schedule_id, document, f"schedule {schedule_id!r} paused")


@click.command()
@click.argument("schedule_id", metavar="ID")
@common_options
@with_session
def resume(session: Session, /, *, schedule_id: str) -> None:
    """Let a paused or errored schedule run again.

    Its misfire policy says what becomes of the runs it missed.
    """
    from trioqueue.cli.schedule_create import stored_words
    from trioqueue.cli.schedule_documents import schedule_document

    async def work(store: Store) -> Schedule:
        return await store.resume_schedule(schedule_id)

    document = schedule_document(session.run(work))
    session.output.done(schedule_id, document, stored_words(document, "resumed"))


@click.command()
@click.argument("schedule_id", metavar="ID")
@common_options
@with_session
def trigger(session: Session, /, *, schedule_id: str) -> None:
    """Post a schedule's message now, whatever its state, and print the message's id.

    It is not counted as a run; the runs to come stay as they are.
    """
    from trioqueue.cli.documents import message_document

    async def work(store: Store) -> Message:
        return await store.trigger_schedule(schedule_id)

    message = session.run(work)
    session.output.done(
        message.message_id,
        message_document(message),
        f"in queue {message.queue!r}, {message.state.name}",
    )


@click.command()
@click.argument("schedule_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
@with_session
def delete(session: Session, /, *, schedule_id: str, yes: bool) -> None:
    """Delete a schedule and its history; messages it has posted stay.

    At a terminal it asks first; elsewhere it needs --yes.
    """
    from trioqueue.cli.schedule_documents import schedule_document

    async def look(store: Store) -> Schedule:
        return await store.get_schedule(schedule_id)

    async def work(store: Store) -> None:
        await store.delete_schedule(schedule_id)

    document = schedule_document(session.run(look))
    if not yes:
        confirm(f"delete schedule {schedule_id!r} and its history")
    session.run(work)
    session.output.done(schedule_id, document, f"schedule {schedule_id!r} deleted")
