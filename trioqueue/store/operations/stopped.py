"""Ending transactions of clients that were stopped where the database waits for them.

A database server may bound how long a transaction waits for its client's next request,
but not for the rest of one that has begun: a client that is stopped there, or whose
machine is gone, would hold its rows as long as it stays so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.store.operations.core import Fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trioqueue.store.operations.core import Operation


def end_stopped(
    seen: Sequence[str], row_ids: Sequence[int]
) -> Operation[dict[str, bool]]:
    """End those that were seen before and have been silent since.

    Args:
        seen: What an earlier look returned.
        row_ids: Messages that others wait for: who holds one is given little time.

    Returns:
        By a name for client and request, whether it was ended now; none of those that
        are at work.
    """
    rows = yield Fetch("end_stopped", {"seen": list(seen), "ids": list(row_ids)})
    return dict(rows)
