"""One worker is killed while it holds messages, and they come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import attrs
import trio

from trioqueue.cli.demonstration.plan import QUEUE
from trioqueue.cli.demonstration.worker import name_of
from trioqueue.model import MessageState

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.cli.demonstration.crew import Crew, WorkerProcess
    from trioqueue.model import Message
    from trioqueue.store import Store

MOST_RUNNING: Final = 10_000


@final
@attrs.frozen
class Accident:
    """A worker that was killed.

    Attributes:
        number: The worker's number.
        pid: Its process id.
        killed_at: When it was gone.
        held: The ids of the messages that it held.
    """

    number: int
    pid: int
    killed_at: datetime
    held: tuple[str, ...]


@final
@attrs.frozen
class Recovery:
    """What became of the messages of a worker that was killed.

    Attributes:
        reclaimed: How many were taken back.
        seconds: How long after the kill the last of them was (None: none was).
        run_again_by: The numbers of the workers that ran them again.
    """

    reclaimed: int
    seconds: float | None
    run_again_by: tuple[int, ...]


async def kill_one(store: Store, crew: Crew) -> Accident | None:
    """Kill a worker that certainly holds messages; None if none does just now."""
    running = await _running(store)

    def load(worker: WorkerProcess) -> int:
        return sum(message.worker_id == worker.worker_id for message in running)

    victim = max(crew.workers, key=load)
    await victim.freeze()
    # Nothing it holds can slip away any more, so this is no guess.
    if not await messages_of(store, victim.number):
        victim.thaw()
        return None
    await victim.kill()
    # A commit that was on its way when it was stopped counts, or does not, only now.
    held = await messages_of(store, victim.number)
    return Accident(victim.number, victim.process.pid, store.now(), tuple(held))


async def messages_of(store: Store, number: int) -> list[str]:
    """List the messages that a worker holds, dead or alive."""
    return [
        message.message_id
        for message in await _running(store)
        if message.worker_id == name_of(number)
    ]


async def recovery_of(store: Store, accident: Accident) -> Recovery:
    """Read in the history of each message what became of it."""
    dead = name_of(accident.number)
    ends: list[datetime] = []
    helpers: set[int] = set()
    for message_id in accident.held:
        message = await store.get_message(QUEUE, message_id)
        for attempt in message.attempts:
            if attempt.worker_id != dead:
                helpers.add(_number_of(attempt.worker_id))
            elif attempt.outcome == "lease_expired" and attempt.ended_at is not None:
                ends.append(attempt.ended_at)
    await trio.lowlevel.checkpoint()
    seconds = (max(ends) - accident.killed_at).total_seconds() if ends else None
    return Recovery(len(ends), seconds, tuple(sorted(helpers)))


async def _running(store: Store) -> list[Message]:
    running = [MessageState.RUNNING]
    return await store.peek(QUEUE, states=running, limit=MOST_RUNNING)


def _number_of(worker_id: str | None) -> int:
    return int((worker_id or "").rpartition("-")[2])
