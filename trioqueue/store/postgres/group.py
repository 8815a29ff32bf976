"""Serving many callers with one transaction, beside other transactions.

All goes well almost always, so a group runs without savepoints.  Where something fails
after it has written, the whole is undone; where other transactions were in the way it
is tried again, and in the end each request gets a transaction of its own.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, final

import psycopg
from outcome import Error

from trioqueue.errors import StoreUnavailableError
from trioqueue.metrics.catalogue import BUSY, OPERATIONS
from trioqueue.store.operations.core import Effects, OvertakenError
from trioqueue.store.postgres.faults import is_conflict, translate
from trioqueue.store.requests import name_of, units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.store.postgres.session import Session
    from trioqueue.store.requests import ContextMaker, Request, Unit

GROUP_TRIES: Final = 3
"""How often a group is tried before its requests run one by one."""
LONE_TRIES: Final = 20
"""How often a request that is alone is tried while others are in its way."""
LONGEST_PAUSE: Final = 0.05


@final
class ConnectionLostError(Exception):
    """The connection went, and with it all that was not yet committed.

    Attributes:
        effects: What requests that were committed before, one by one, have changed.
    """

    def __init__(self, effects: Effects | None = None) -> None:
        self.effects = effects or Effects()
        super().__init__("the connection was lost")


async def run_group(
    session: Session,
    requests: Sequence[Request],
    make_context: ContextMaker,
    *,
    relaxed: bool = False,
) -> Effects:
    """Run requests in a transaction, commit, set their outcomes.

    Args:
        session: With no transaction open.
        requests: Those that fail do not fail the others.
        make_context: Called at the beginning of each try of an operation.
        relaxed: The commit may be lost if the server crashes.

    Returns:
        What the committed work changed for others.

    Raises:
        ConnectionLostError: Requests without an outcome may be run again.
    """
    lone = len(requests) == 1
    retries = 0
    for attempt in range(1, (LONE_TRIES if lone else GROUP_TRIES) + 1):
        effects = Effects()
        try:
            await _run_together(
                session, requests, make_context, effects, relaxed=relaxed
            )
        except _AgainError:
            retries += 1
            await session.pause(_pause_seconds(attempt))
        except _UndoneError as undone:
            if lone:
                requests[0].outcome = Error(undone.cause)
                return _note_retries(Effects(), retries)
            break
        else:
            return _note_retries(effects, retries)
    if lone:
        message = "other transactions were in the way, again and again; try later"
        requests[0].outcome = Error(StoreUnavailableError(message))
        return _note_retries(Effects(), retries)
    effects = await _run_alone(session, requests, make_context, relaxed=relaxed)
    return _note_retries(effects, retries)


def _note_retries(effects: Effects, retries: int) -> Effects:
    """Tell the metrics how often a group had to be tried again."""
    if retries:
        effects.count(BUSY, "", n=retries)
    return effects


@final
class _AgainError(Exception):
    """Others were in the way; nothing is stored."""


@final
class _UndoneError(Exception):
    """Something failed for good; nothing of the group is stored."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(str(cause))


async def _run_together(
    session: Session,
    requests: Sequence[Request],
    make_context: ContextMaker,
    effects: Effects,
    *,
    relaxed: bool,
) -> None:
    for request in requests:
        request.outcome = None
    session.begin(relaxed=relaxed)
    written = session.writes
    committing = False
    try:
        for unit in units_of(requests):
            await _run_unit(session, unit, make_context, effects)
        # One that has written nothing can be run again whatever becomes of it.
        committing = session.writes != written
        await session.commit()
    except OvertakenError:
        await _undo(session, requests)
        raise _AgainError from None
    except psycopg.Error as error:
        await _undo(session, requests)
        if session.lost and committing:
            _tell_unknown(requests, translate(error, "PostgreSQL"))
        elif session.lost:
            raise ConnectionLostError from error
        elif is_conflict(error):
            raise _AgainError from error
        else:
            raise _UndoneError(translate(error, "PostgreSQL")) from error
    except BaseException:
        await _undo(session, requests)
        if committing:
            _tell_unknown(requests)
        raise


async def _undo(session: Session, requests: Sequence[Request]) -> None:
    """Roll back; answers that were given before the commit no longer hold."""
    for request in requests:
        request.outcome = None
    await session.rollback()


async def _run_unit(
    session: Session, unit: Unit, make_context: ContextMaker, effects: Effects
) -> None:
    """Run one operation; an error of its own is its callers' answer.

    Raises:
        _UndoneError: It has written before, so the transaction must not be committed.
    """
    written = session.writes
    context = make_context()
    try:
        unit.answer(await session.drive(unit.start(context)))
    except (psycopg.Error, OvertakenError):
        raise
    except Exception as error:  # noqa: BLE001  it is the caller's answer
        if session.writes != written:
            raise _UndoneError(error) from None
        unit.fail(error)
    else:
        effects.merge(context.effects)
        effects.count(OPERATIONS, "", name_of(unit.operation), len(unit.requests))


def _tell_unknown(requests: Sequence[Request], cause: Exception | None = None) -> None:
    """Tell callers that their work may or may not be stored."""
    message = (
        "the connection was lost while the database was committing, so this may or may "
        "not be stored; ask again: a message posted again with the same message_id is "
        "stored once, and a job that has ended gives the same answer again"
    )
    failure = StoreUnavailableError(message)
    failure.__cause__ = cause
    for request in requests:
        request.outcome = Error(failure)


async def _run_alone(
    session: Session,
    requests: Sequence[Request],
    make_context: ContextMaker,
    *,
    relaxed: bool,
) -> Effects:
    effects = Effects()
    for request in requests:
        request.outcome = None
    for request in requests:
        try:
            done = await run_group(session, [request], make_context, relaxed=relaxed)
        except ConnectionLostError as lost:
            # What has been committed stays answered.
            raise ConnectionLostError(effects) from lost.__cause__
        effects.merge(done)
    return effects


def _pause_seconds(attempt: int) -> float:
    """Return a pause after which two who met are not likely to meet again."""
    return random.uniform(0, min(LONGEST_PAUSE, 0.001 * 2.0 ** min(attempt, 10)))
