"""The store's bulk verbs: cancel, requeue and delete many messages."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import trio

from trioqueue.errors import ConflictError
from trioqueue.model.bulk import BulkReport, MessageSelection
from trioqueue.model.spans import to_micros
from trioqueue.store.base import check_queue_name, check_spread, check_text
from trioqueue.store.operations import bulk
from trioqueue.store.operations.rows import queue_named
from trioqueue.store.selection_methods import SelectionMethods, for_verb

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trioqueue.model.message_filter import MessageFilter
    from trioqueue.model.spans import Seconds
    from trioqueue.store.selection_methods import Progress, Verb

LONGEST_PAUSE_SECONDS: Final = 0.05


class BulkMethods(SelectionMethods):
    """Act on many messages safely.

    The verbs first choose their messages, and then change those, and no others, in
    batches of 500, each one transaction; other writers get their turn in between.
    Canceled, or failing, they leave done what is done.
    """

    async def cancel_matching(
        self,
        wanted: MessageFilter | MessageSelection,
        *,
        reason: str | None = None,
        abort: bool = False,
        expect: int | None = None,
        progress: Progress | None = None,
    ) -> BulkReport:
        """Withdraw many messages, as `cancel` does one.

        Args:
            wanted: Which messages, or what `select_messages` has chosen.
            reason: Why; kept with each message.
            abort: Ask the workers of running ones to cancel their handlers; without
                it running ones are skipped.
            expect: Do nothing unless so many fit.
            progress: Is told how many are dealt with, and how many there are.

        Raises:
            ValidationError: States are asked for in which nothing can be canceled.
            QueueNotFoundError: The filter names a queue that is not there.
            ConflictError: Another number than `expect` fits.
        """
        why = check_text(reason, "reason")

        async def act(batch: bulk.Chosen, _: int) -> bulk.Outcome:
            return await self._write(bulk.cancel_batch, batch, why, abort=abort)

        chosen = await self._chosen(wanted, "cancel", expect)
        return await self._in_batches(chosen, act, progress)

    async def requeue_matching(
        self,
        wanted: MessageFilter | MessageSelection,
        *,
        target: str | None = None,
        spread_seconds: Seconds = 0,
        expect: int | None = None,
        progress: Progress | None = None,
    ) -> BulkReport:
        """Give many dead letters a new life, oldest posted first.

        One that dies again meanwhile is not taken twice.

        Args:
            wanted: Which messages, or what `select_messages` has chosen.
            target: Another queue to put them in; those whose ids it has are skipped.
            spread_seconds: Make them due evenly over so many seconds.
            expect: Do nothing unless so many fit.
            progress: Is told how many are dealt with, and how many there are.

        Raises:
            ValidationError: Other states than ERRORED are asked for.
            QueueNotFoundError: There is no such queue, or no target.
            ConflictError: Another number than `expect` fits.
        """
        if target is not None:
            check_queue_name(target, "target")
            await self._read(queue_named, target)
        spread = check_spread(spread_seconds)
        chosen = await self._chosen(wanted, "requeue", expect)
        step = to_micros(spread) / max(1, chosen.total)

        async def act(batch: bulk.Chosen, first: int) -> bulk.Outcome:
            delays = [round(step * (first + n)) for n in range(len(batch.ids))]
            return await self._write(bulk.requeue_batch, batch, delays, target)

        return await self._in_batches(chosen, act, progress)

    async def delete_matching(
        self,
        wanted: MessageFilter | MessageSelection,
        *,
        expect: int | None = None,
        progress: Progress | None = None,
    ) -> BulkReport:
        """Delete many finished messages and dead letters, for good.

        Args:
            wanted: Which messages, or what `select_messages` has chosen.
            expect: Do nothing unless so many fit.
            progress: Is told how many are dealt with, and how many there are.

        Raises:
            ValidationError: States of live messages are asked for: cancel them first.
            QueueNotFoundError: The filter names a queue that is not there.
            ConflictError: Another number than `expect` fits.
        """

        async def act(batch: bulk.Chosen, _: int) -> bulk.Outcome:
            return await self._write(bulk.delete_batch, batch)

        chosen = await self._chosen(wanted, "delete", expect)
        return await self._in_batches(chosen, act, progress)

    async def _chosen(
        self, wanted: MessageFilter | MessageSelection, verb: Verb, expect: int | None
    ) -> MessageSelection:
        if isinstance(wanted, MessageSelection):
            for_verb(wanted.wanted, verb)
            await trio.lowlevel.checkpoint()
        else:
            wanted = await self.select_messages(wanted, verb=verb)
        if expect is not None and wanted.total != expect:
            message = (
                f"{expect} messages were expected and {wanted.total} match; "
                "nothing was done"
            )
            raise ConflictError(message)
        return wanted

    async def _in_batches(
        self,
        chosen: MessageSelection,
        act: Callable[[bulk.Chosen, int], Awaitable[bulk.Outcome]],
        progress: Progress | None,
    ) -> BulkReport:
        await trio.lowlevel.checkpoint()
        states = chosen.wanted.states
        skipped: Counter[str] = Counter()
        done = aborting = 0
        for first in range(0, chosen.total, bulk.BATCH):
            part = slice(first, first + bulk.BATCH)
            numbers = sorted(set(chosen.queue_ids[part]))
            batch = bulk.Chosen(
                list(chosen.row_ids[part]),
                tuple(chosen.names[number] for number in numbers),
                None if states is None else frozenset(map(int, states)),
            )
            began = trio.current_time()
            outcome = await act(batch, first)
            done += outcome.done
            aborting += outcome.aborting
            skipped.update(outcome.skipped)
            if progress is not None:
                progress(min(first + bulk.BATCH, chosen.total), chosen.total)
            await self._give_way(trio.current_time() - began)
        return BulkReport(
            matched=chosen.total,
            done=done,
            skipped={kind: n for kind, n in sorted(skipped.items()) if n},
            missing=chosen.missing,
            aborting=aborting,
        )

    async def _give_way(self, seconds: float) -> None:
        """Let other processes write, a part of the time that a batch has taken."""
        if self._clock.is_virtual:
            await trio.lowlevel.checkpoint()
        else:
            await trio.sleep(min(seconds / 4, LONGEST_PAUSE_SECONDS))
