"""Members for a pool that a test breaks, delays and counts; time is virtual."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Final, ParamSpec, final

import trio
from trio.testing import MockClock

from trioqueue import StoreUnavailableError
from trioqueue.store.postgres.pool import Pool

P = ParamSpec("P")

CONNECT_TIME: Final = 0.01


def virtual(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Run a test in a Trio run of its own whose time jumps when all are idle."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        trio.run(main, clock=MockClock(autojump_threshold=0))

    return run


@final
class Member:
    """A connection that isn't one."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.number = number
        self.broken = False
        self.checks = 0
        self.killed = False
        self.closed = False
        self.lent = False

    @property
    def usable(self) -> bool:
        return not (self.broken or self.killed)

    async def check(self) -> None:
        self.checks += 1
        assert not self.lent
        await trio.sleep(self.server.check_time)
        if self.broken or self.server.gone or self.server.hangs_up:
            raise ConnectionError

    def kill(self) -> None:
        self.killed = True
        self.server.alive.discard(self)

    async def close(self) -> None:
        self.closed = True
        await trio.sleep(self.server.close_time)


@final
class Server:
    """What members lead to; it counts them, and can go away."""

    def __init__(self, bound: int = 1_000) -> None:
        self.bound = bound
        self.alive: set[Member] = set()
        self.members: list[Member] = []
        self.attempts: list[float] = []
        self.attempting = 0
        self.most_attempting = 0
        self.errors: list[Exception] = []
        self.gone = False
        self.connect_time = CONNECT_TIME
        self.check_time = 0.001
        self.close_time = 0.0
        self.hangs_up = False

    async def connect(self) -> Member:
        self.attempts.append(trio.current_time())
        self.attempting += 1
        self.most_attempting = max(self.most_attempting, self.attempting)
        try:
            await trio.sleep(self.connect_time)
            if self.errors:
                raise self.errors.pop(0)
            if self.gone:
                message = "db: connection refused"
                raise StoreUnavailableError(message)
        finally:
            self.attempting -= 1
        member = Member(self, len(self.members))
        self.members.append(member)
        self.alive.add(member)
        assert len(self.alive) <= self.bound
        return member

    def pool(self, size: int) -> Pool[Member]:
        self.bound = size
        return Pool(self.connect, size=size, name="db")


@asynccontextmanager
async def lent(pool: Pool[Member], patience: float = 10.0) -> AsyncIterator[Member]:
    """Lend, and see to it that nobody else has the same member."""
    async with pool.lend(patience_seconds=patience) as member:
        assert not member.lent
        assert member.usable
        member.lent = True
        try:
            yield member
        finally:
            member.lent = False


def assert_at_rest(pool: Pool[Member], server: Server) -> None:
    """Nobody has or wants a member: nothing is leaked, no slot is lost."""
    now = pool.statistics()
    assert now.waiting == 0
    assert now.open == now.idle == len(server.alive) <= now.size
    assert server.attempting == 0


async def assert_all_slots_work(pool: Pool[Member], server: Server) -> None:
    """As many members as the pool's size can be had at once."""
    server.gone, server.errors = False, []
    size, ready = pool.statistics().size, trio.Event()
    has: set[int] = set()

    async def take() -> None:
        async with lent(pool) as member:
            has.add(member.number)
            if len(has) == size:
                ready.set()
            await ready.wait()

    async with trio.open_nursery() as nursery:
        for _ in range(size):
            nursery.start_soon(take)
    assert len(has) == size
    assert_at_rest(pool, server)
