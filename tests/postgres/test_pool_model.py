"""Random borrowers, breakdowns and outages: a pool's promises hold all the time."""

from __future__ import annotations

from typing import Literal, TypeAlias

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.postgres.pooling import (
    Member,
    Server,
    assert_all_slots_work,
    assert_at_rest,
    lent,
)
from trioqueue import StoreUnavailableError
from trioqueue.store.postgres.pool import Pool

Action: TypeAlias = Literal[
    "take", "give", "break", "cancel", "away", "back", "discard", "pass", "long", "idle"
]
ACTIONS: list[Action] = [
    *("take", "take", "take", "give", "give", "break", "cancel", "cancel"),
    *("away", "back", "discard", "pass", "pass", "long", "idle"),
]


class Borrower:
    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.give = trio.Event()
        self.member: Member | None = None
        self.over = False

    async def run(self, pool: Pool[Member]) -> None:
        try:
            with self.scope:
                async with lent(pool, 5) as member:
                    self.member = member
                    await self.give.wait()
        except StoreUnavailableError:
            assert self.member is None
        finally:
            self.over = True


def check(pool: Pool[Member], server: Server, borrowers: list[Borrower]) -> None:
    active = [b for b in borrowers if not b.over]
    held = [b.member for b in active if b.member is not None]
    assert len(set(held)) == len(held)
    now = pool.statistics()
    assert now.open <= now.size
    assert len(server.alive) + server.attempting <= now.size
    assert now.open == len(server.alive)
    if now.waiting > server.attempting and not server.gone:
        # Who waits without an attempt waits for a slot, or for the back-off to end.
        full = now.open + server.attempting == now.size
        assert full or pool._backoff.failures


@settings(max_examples=150)
@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 9)), max_size=60),
)
def test_promises_hold_whatever_happens(  # noqa: C901  one branch per action
    size: int, actions: list[tuple[Action, int]]
) -> None:
    async def main() -> None:  # noqa: C901  as above
        server = Server()
        pool, borrowers = server.pool(size), list[Borrower]()
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.run)
            async with trio.open_nursery() as takers:
                for action, which in actions:
                    active = [b for b in borrowers if not b.over]
                    chosen = active[which % len(active)] if active else None
                    if action == "take":
                        borrowers.append(Borrower())
                        takers.start_soon(borrowers[-1].run, pool)
                    elif action in ("give", "break", "cancel") and chosen is not None:
                        if action == "break" and chosen.member is not None:
                            chosen.member.broken = True
                        if action == "cancel":
                            chosen.scope.cancel()
                        chosen.give.set()
                    elif action in ("away", "back"):
                        server.gone = action == "away"
                    elif action == "discard":
                        pool.discard_idle()
                    elif action == "idle" and server.alive:
                        members = sorted(server.alive, key=lambda m: m.number)
                        members[which % len(members)].broken = True
                    elif action in ("pass", "long"):
                        await trio.sleep(
                            0.004 * which if action == "pass" else 8 * which
                        )
                    if which % 2:
                        await wait_all_tasks_blocked()
                        check(pool, server, borrowers)
                for borrower in borrowers:
                    borrower.give.set()
            await trio.sleep(1.1)  # the longest pause
            nursery.cancel_scope.cancel()
        assert_at_rest(pool, server)
        await assert_all_slots_work(pool, server)
        await pool.aclose()
        assert not server.alive

    trio.run(main, clock=MockClock(autojump_threshold=0))
