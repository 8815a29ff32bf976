"""Which job the running code works on, for whoever is called by it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trioqueue.model.message import Job

working_on: Final[ContextVar[Job | None]] = ContextVar("trioqueue_job", default=None)
"""Set by workers and ``async with store.lease()``; child tasks and threads see it."""


def current_job() -> Job | None:
    """Return the job that the code which asks belongs to; None outside of handlers.

    Trio tasks and threads that a handler starts belong to its job too.
    """
    return working_on.get()
