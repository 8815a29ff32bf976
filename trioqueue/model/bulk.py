"""What is known of many messages at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, final

import attrs

from trioqueue.model.message import Message

if TYPE_CHECKING:
    from trioqueue.model.message_filter import MessageFilter


@final
class MessagePage(list[Message]):
    """A page of messages, oldest posted first.

    Attributes:
        next: What to pass as ``after`` to have the next page; None if this is the last.
    """

    next: str | None = None


@final
@attrs.frozen
class MessageSelection:
    """The messages that fitted a filter at one time; what arrives later never joins.

    Attributes:
        wanted: The filter.
        counts: How many were found in each queue that has any, by name.
        missing: How many of the ids asked for no fitting message has.
        row_ids: The store's own numbers of the messages, rising.
        queue_ids: For each of them the store's own number of its queue.
        names: The queues' names.
    """

    wanted: MessageFilter
    counts: Mapping[str, int]
    missing: int = 0
    row_ids: tuple[int, ...] = attrs.field(default=(), repr=False)
    queue_ids: tuple[int, ...] = attrs.field(default=(), repr=False)
    names: Mapping[int, str] = attrs.field(factory=dict, repr=False)

    @property
    def total(self) -> int:
        """How many messages were found."""
        return len(self.row_ids)


@final
@attrs.frozen
class BulkReport:
    """What became of many messages; ``done`` and all of ``skipped`` are ``matched``.

    Attributes:
        matched: How many fitted the filter when the work began.
        done: How many the verb was done to.
        skipped: How many were left as they are, by kind: ``gone`` (deleted, or
            requeued by somebody else), ``changed`` (no longer in one of the states
            asked for), ``running`` (cancel without ``abort``), ``finished`` (too late
            to cancel), ``live`` (not finished), ``not_dead`` (no dead letter),
            ``duplicate`` (the target queue has a message of this id).
        missing: How many of the ids asked for no fitting message has.
        aborting: How many of ``done`` run, and end when their workers hear of it.
    """

    matched: int
    done: int
    skipped: Mapping[str, int] = attrs.field(factory=dict)
    missing: int = 0
    aborting: int = 0
