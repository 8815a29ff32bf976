"""Serving many callers with one transaction.

`run_group` runs a list of requests in one transaction: those for the same batch
operation are merged into one run of it, the others run one after the other, and each
gets its own outcome.  An operation that fails never fails its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from outcome import Error

from trioqueue.errors import StoreUnavailableError
from trioqueue.metrics.catalogue import OPERATIONS
from trioqueue.store.operations.core import Effects
from trioqueue.store.requests import Unit, name_of, units_of
from trioqueue.store.sqlite.patience import try_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.store.requests import ContextMaker, Request
    from trioqueue.store.sqlite.connection import Connection

PATIENCE_SECONDS: Final = 10.0
"""How long requests that have begun wait for another process's lock."""


def run_group(
    connection: Connection, requests: Sequence[Request], make_context: ContextMaker
) -> Effects:
    """Run requests in the write transaction that is open, commit, set their outcomes.

    Where the transaction as a whole is lost (a full disk may do that), each request is
    tried again in a transaction of its own.

    Returns:
        What the committed work changed for others.
    """
    units = units_of(requests)
    effects = Effects()
    try:
        _run_units(connection, units, make_context, effects)
        connection.commit()
    except (_TransactionLostError, StoreUnavailableError) as error:
        # Lost on the way, or COMMIT failed: nothing of the group is stored.
        connection.rollback()
        if len(requests) == 1:
            cause = error.cause if isinstance(error, _TransactionLostError) else error
            requests[0].outcome = Error(cause)
            return Effects()
    else:
        return effects
    return _run_alone(connection, requests, make_context)


def _run_alone(
    connection: Connection, requests: Sequence[Request], make_context: ContextMaker
) -> Effects:
    effects = Effects()
    for request in requests:
        try:
            _begin(connection)
        except StoreUnavailableError as error:
            request.outcome = Error(error)
        else:
            effects.merge(run_group(connection, [request], make_context))
    return effects


def _begin(connection: Connection) -> None:
    """Take the write lock, which another process may have taken meanwhile."""
    if not try_until(connection.begin_write, patience=PATIENCE_SECONDS):
        message = f"{connection.path}: another process keeps the lock; try again"
        raise StoreUnavailableError(message)


@final
class _TransactionLostError(Exception):
    """The transaction is gone, with everything that was done in it."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(str(cause))


_SAVEPOINT: Final = "SAVEPOINT one_unit"
_RELEASE: Final = "RELEASE one_unit"
_BACK: Final = "ROLLBACK TO one_unit"


def _run_units(
    connection: Connection,
    units: Sequence[Unit],
    make_context: ContextMaker,
    effects: Effects,
) -> None:
    alone = len(units) == 1
    for unit in units:
        if alone and len(unit.requests) == 1:
            # Nobody else is in the transaction, so it is itself the savepoint.
            error = _run_unit(connection, unit, make_context, effects)
            if error is not None:
                raise _TransactionLostError(error)
            continue
        error = _run_saved(connection, unit, make_context, effects)
        if error is None:
            continue
        if len(unit.requests) == 1:
            unit.requests[0].outcome = Error(error)
            continue
        for request in unit.requests:
            single = Unit(unit.operation, request)
            failed = _run_saved(connection, single, make_context, effects)
            if failed is not None:
                request.outcome = Error(failed)


def _run_saved(
    connection: Connection, unit: Unit, make_context: ContextMaker, effects: Effects
) -> Exception | None:
    """Run one unit, or undo it, and nothing but it, and return what went wrong."""
    connection.statement(_SAVEPOINT)
    error = _run_unit(connection, unit, make_context, effects)
    if error is not None:
        _go_back(connection, error)
    connection.statement(_RELEASE)
    return error


def _go_back(connection: Connection, error: Exception) -> None:
    """Undo one unit; a database that lost the whole transaction ends the group."""
    if not connection.in_transaction:
        raise _TransactionLostError(error)
    connection.statement(_BACK)


def _run_unit(
    connection: Connection, unit: Unit, make_context: ContextMaker, effects: Effects
) -> Exception | None:
    """Run one unit and set its requests' outcomes, or return what went wrong."""
    context = make_context()
    try:
        unit.answer(connection.drive(unit.start(context)))
    except Exception as error:  # noqa: BLE001  it is the caller's answer
        return error
    effects.merge(context.effects)
    effects.count(OPERATIONS, "", name_of(unit.operation), len(unit.requests))
    return None
