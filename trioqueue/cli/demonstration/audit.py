"""Is every message accounted for, and every result right?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, final

import trio

from trioqueue.cli.demonstration.files import has_changed, measure
from trioqueue.cli.demonstration.plan import QUEUE
from trioqueue.model import MessageState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from trioqueue.model import Message
    from trioqueue.store import Store

PAGE: Final = 500


@final
class Audit:
    """Compares what the store says in the end with what was posted and with the files.

    Attributes:
        completed: Messages with a result.
        dead: Messages that became dead letters.
        ran_again: Messages that took more than one attempt.
        verified: Results that a direct computation repeats.
        changed: Results that cannot be verified: the file has changed since.
        size: Bytes in all files with a verified result.
        lines: Lines in them.
        twice: Messages that were completed twice, by the workers' own ledgers.
        last_first_try: When the last message that needed one attempt was completed.
        problems: What is wrong, in words; nothing should be.
    """

    def __init__(self, posts: Mapping[str, dict[str, Any]]) -> None:
        self.completed = self.dead = self.ran_again = 0
        self.verified = self.changed = self.size = self.lines = self.twice = 0
        self.last_first_try: datetime | None = None
        self.problems: list[str] = []
        self._posts = posts
        self._states: dict[str, MessageState] = {}

    @property
    def lost(self) -> int:
        """How many messages have neither a result nor a dead letter."""
        return len(self._posts) - self.completed - self.dead

    def examine(self, messages: Iterable[Message]) -> None:
        """Examine finished messages, reading their files again."""
        for message in messages:
            if message.message_id in self._states:
                self._object(message, "is there twice")
            elif message.message_id not in self._posts:
                self._object(message, "was never posted")
            else:
                self._states[message.message_id] = message.state
                self._examine(message)

    def _examine(self, message: Message) -> None:
        self.ran_again += message.attempt > 1
        if message.state is MessageState.ERRORED:
            self.dead += 1
        elif message.state is MessageState.COMPLETED:
            self.completed += 1
            if message.attempt == 1 and message.finished_at is not None:
                last = self.last_first_try or message.finished_at
                self.last_first_try = max(last, message.finished_at)
            self._verify(message)
        else:
            self._object(message, f"is {message.state.name}")

    def _verify(self, message: Message) -> None:
        """Compare a result with a direct computation."""
        file = self._posts[message.message_id]
        try:
            truth = measure(file["path"])
        except OSError:
            truth = None
        if truth is not None and message.result == truth:
            self.verified += 1
            self.size += truth["size"]
            self.lines += truth["lines"]
        elif has_changed(file):
            self.changed += 1
        else:
            self._object(message, f"has the result {message.result}, not {truth}")

    def compare_ledgers(self, completions: Iterable[str]) -> None:
        """Compare with the ids of all completions that workers saw accepted.

        A worker that is killed may lack its last lines; a line too many is wrong.
        """
        times = Counter(completions)
        self.twice = sum(count > 1 for count in times.values())
        if self.twice:
            self.problems.append(f"{self.twice} messages were completed twice")
        undone = sum(self._states.get(m) is not MessageState.COMPLETED for m in times)
        if undone:
            self.problems.append(f"{undone} accepted completions are gone")

    def close(self) -> None:
        """Draw the balance."""
        if self.lost:
            self.problems.append(f"{self.lost} messages are lost")

    def _object(self, message: Message, what: str) -> None:
        self.problems.append(f"message {message.message_id} {what}")


async def audit(
    store: Store, posts: Mapping[str, dict[str, Any]], directory: Path
) -> Audit:
    """Examine every message of the queue, page by page."""
    found = Audit(posts)
    after = None
    while True:
        page = await store.peek(QUEUE, limit=PAGE, states=MessageState, after=after)
        if not page:
            break
        await trio.to_thread.run_sync(found.examine, page)
        after = page[-1].message_id
    ledgers = await trio.to_thread.run_sync(_read_ledgers, directory)
    found.compare_ledgers(ledgers)
    found.close()
    return found


def _read_ledgers(directory: Path) -> list[str]:
    return [
        line.partition("\t")[0]
        for ledger in sorted(directory.glob("ledger-*.txt"))
        for line in ledger.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]
