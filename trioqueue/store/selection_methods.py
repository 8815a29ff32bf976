"""The store's methods that find messages by what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import attrs
import trio

from trioqueue.errors import ValidationError
from trioqueue.model.bulk import MessagePage, MessageSelection
from trioqueue.model.message import LIVE_STATES, Message, MessageState
from trioqueue.model.message_filter import MessageFilter
from trioqueue.store.base import (
    StoreBase,
    check_count,
    check_message_id,
    check_queue_name,
)
from trioqueue.store.operations import selection
from trioqueue.store.operations.criteria import ENDLESS, criteria_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trioqueue.store.operations.criteria import Criteria, Found

Verb: TypeAlias = Literal["cancel", "requeue", "delete"]
Progress: TypeAlias = Callable[[int, int], None]

_CAN: Final[Mapping[Verb, tuple[MessageState, ...]]] = {
    "cancel": LIVE_STATES,
    "requeue": (MessageState.ERRORED,),
    "delete": (
        MessageState.COMPLETED,
        MessageState.CANCELED,
        MessageState.ERRORED,
    ),
}
_ADVICE: Final[Mapping[Verb, str]] = {
    "cancel": "only messages that have not finished can be canceled",
    "requeue": "only dead letters (ERRORED) can be requeued",
    "delete": "only finished messages can be deleted; cancel the others first",
}


class SelectionMethods(StoreBase):
    """Find messages by what they are, whichever queues and states they are in."""

    async def find_messages(
        self,
        wanted: MessageFilter | None = None,
        *,
        limit: int = 100,
        after: Message | tuple[str, str] | str | None = None,
    ) -> MessagePage:
        """List messages of all queues and states, oldest posted first.

        Each message comes once, however it changes while pages are read; one that is
        requeued meanwhile may come again, in its new life.  Attempts are filled in.

        Args:
            wanted: Which messages (default: all).
            limit: At most so many.
            after: Go on there: the ``next`` of the page before, or a message, or a
                (queue, message id) pair.

        Returns:
            The messages; ``next`` of the list is where the next page begins.

        Raises:
            ValidationError: `limit` or `after` is nothing of the kind.
            QueueNotFoundError: The filter names a queue that is not there.
            MessageNotFoundError: `after` names a message that is not there any more.
        """
        room = check_count(limit, "limit")
        criteria = await self._read(criteria_of, _check_filter(wanted))
        place = await self._place(after)
        found = MessagePage()
        last = place
        while True:
            part = await self._read(selection.page, criteria, place, room - len(found))
            found += part.messages
            last = part.last if part.messages else last
            if part.more:
                found.next = str(last)
            if part.more or part.at_end:
                return found
            place = part.end

    async def _place(self, after: Message | tuple[str, str] | str | None) -> int:
        if after is None or isinstance(after, str):
            await trio.lowlevel.checkpoint()
            return _read_place(after)
        if isinstance(after, Message):
            after = (after.queue, after.message_id)
        try:
            queue, message_id = after
        except (TypeError, ValueError):
            raise ValidationError.of(
                "after", f"expected a page's `next`, or (queue, id), got {after!r}"
            ) from None
        return await self._read(
            selection.number_of,
            check_queue_name(queue, "after"),
            check_message_id(message_id, "after"),
        )

    async def count_messages(
        self, wanted: MessageFilter | None = None
    ) -> dict[str, int]:
        """Count messages by queue; queues without any are left out.

        Raises:
            QueueNotFoundError: The filter names a queue that is not there.
        """
        return dict((await self.select_messages(wanted)).counts)

    async def select_messages(
        self,
        wanted: MessageFilter | None = None,
        *,
        verb: Verb | None = None,
        progress: Progress | None = None,
    ) -> MessageSelection:
        """Choose messages, to look at how many they are before acting on them.

        Args:
            wanted: Which messages (default: all).
            verb: What is to be done to them: ``"cancel"``, ``"requeue"`` or
                ``"delete"``.  Unless states or ids are asked for, only those are chosen
                that the verb can be done to.
            progress: Is told how far this has got, and how far there is to go.

        Raises:
            ValidationError: The verb cannot be done in the states asked for.
            QueueNotFoundError: The filter names a queue that is not there.
        """
        fitting = for_verb(_check_filter(wanted), verb)
        criteria = await self._read(criteria_of, fitting)
        if criteria.ids is not None:
            found = await self._look_up(criteria, criteria.ids, progress)
        elif scopes := selection.scopes_of(criteria):
            found = []
            for scope in scopes:
                found += await self._look_at_dead(criteria._replace(scope=scope))
            found.sort()
        else:
            found = await self._look(criteria, progress)
        missing = 0
        if criteria.ids is not None:
            missing = len(criteria.ids - {each.message_id for each in found})
        return await self._selection(fitting, found, missing)

    async def _look(self, criteria: Criteria, progress: Progress | None) -> list[Found]:
        before, newest = await self._read(selection.extent)
        found: list[Found] = []
        place = before
        while place < newest:
            part = await self._read(selection.look, criteria, place, newest)
            found += part.found
            place = part.end
            if progress is not None:
                progress(place - before, newest - before)
        return found

    async def _look_up(
        self, criteria: Criteria, ids: frozenset[str], progress: Progress | None
    ) -> list[Found]:
        await trio.lowlevel.checkpoint()
        found: list[Found] = []
        named = sorted(ids)
        for start in range(0, len(named), selection.NAMES_AT_ONCE):
            some = named[start : start + selection.NAMES_AT_ONCE]
            found += await self._read(selection.look_up, criteria, some)
            if progress is not None:
                progress(start + len(some), len(named))
        return sorted(found)

    async def _look_at_dead(self, criteria: Criteria) -> list[Found]:
        found: list[Found] = []
        place = selection.NEWEST
        while True:
            part = await self._read(selection.look_at_dead, criteria, place)
            found += part.found
            if part.at_end:
                return found
            place = part.before

    async def _selection(
        self, wanted: MessageFilter, found: list[Found], missing: int
    ) -> MessageSelection:
        numbers = Counter(each.queue_id for each in found)
        names = await self._read(selection.names_of, list(numbers))
        # A queue that has been deleted since has taken its messages with it.
        found = [each for each in found if each.queue_id in names]
        return MessageSelection(
            wanted,
            dict(sorted((names[key], numbers[key]) for key in names)),
            missing,
            tuple(each.id for each in found),
            tuple(each.queue_id for each in found),
            names,
        )


def _read_place(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValidationError.of(
            "after", f"{text!r} is no place in a list; pass a page's `next`"
        )
    return min(int(text), ENDLESS)


def _check_filter(wanted: Any) -> MessageFilter:
    if wanted is None:
        return MessageFilter()
    if not isinstance(wanted, MessageFilter):
        raise ValidationError.of("wanted", f"expected MessageFilter, got {wanted!r}")
    return wanted


def for_verb(wanted: MessageFilter, verb: Verb | None) -> MessageFilter:
    """Leave out messages that a verb cannot be done to, or refuse to.

    Those that are named by their ids stay in, to be skipped and counted.
    """
    if verb is None:
        return wanted
    if verb not in _CAN:
        raise ValidationError.of("verb", f"must be one of {tuple(_CAN)}, got {verb!r}")
    if wanted.states is None:
        if wanted.ids is not None:
            return wanted
        return attrs.evolve(wanted, states=_CAN[verb])
    wrong = [state.name for state in wanted.states if state not in _CAN[verb]]
    if wrong:
        raise ValidationError.of("states", f"{', '.join(wrong)}: {_ADVICE[verb]}")
    return wanted
