"""A pool whose server is well: order, bound, cancellation, checks, closing."""

from __future__ import annotations

import math
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.postgres.pooling import (
    Member,
    Server,
    assert_all_slots_work,
    assert_at_rest,
    lent,
    virtual,
)
from tests.stepping import cancel_at
from trioqueue import StoreClosedError, StoreUnavailableError
from trioqueue.store.postgres.pool import Pool


async def keep(pool: Pool[Member], seconds: float, patience: float = 10.0) -> None:
    async with lent(pool, patience):
        await trio.sleep(seconds)


@virtual
async def test_borrowers_are_served_in_the_order_in_which_they_came() -> None:
    server = Server()
    pool, order = server.pool(2), list[int]()

    async def take(number: int) -> None:
        async with lent(pool):
            order.append(number)
            await trio.sleep(0.5 + 0.01 * number)

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(take, number)
            await wait_all_tasks_blocked()
        assert pool.statistics().waiting == 12
    # The first two connect side by side.
    assert sorted(order[:2]) == [0, 1]
    assert order[2:] == list(range(2, 12))
    assert len(server.members) == 2
    assert_at_rest(pool, server)


@virtual
async def test_who_comes_while_others_wait_does_not_overtake_them() -> None:
    server = Server()
    pool, order = server.pool(1), list[str]()

    async def take(name: str) -> None:
        async with lent(pool):
            order.append(name)

    async with trio.open_nursery() as nursery:
        async with lent(pool):
            nursery.start_soon(take, "waited")
            await wait_all_tasks_blocked()
        # The member is free, the first in the queue has not run yet.
        await take("came later")
    assert order == ["waited", "came later"]


@virtual
async def test_an_idle_member_is_used_before_another_is_opened() -> None:
    server = Server()
    pool = server.pool(5)
    for _ in range(3):
        await keep(pool, 0.1)
    assert len(server.members) == 1
    now = pool.statistics()
    assert (now.open, now.idle, now.connects, now.failures) == (1, 1, 1, 0)


@virtual
async def test_patience_is_bounded_and_the_error_says_why() -> None:
    server = Server()
    pool = server.pool(1)
    async with lent(pool):
        began = trio.current_time()
        with pytest.raises(StoreUnavailableError, match="all 1 connections"):
            await keep(pool, 0, patience=3)
        assert trio.current_time() - began == pytest.approx(3)
    assert pool.statistics().longest_wait_seconds == pytest.approx(3)
    # No patience is needed for what is free.
    await keep(pool, 0, patience=0)
    assert_at_rest(pool, server)


@virtual
async def test_a_member_that_breaks_is_killed_and_its_slot_is_free() -> None:
    server = Server()
    pool = server.pool(1)
    with pytest.raises(KeyError):
        async with lent(pool) as member:
            member.broken = True
            raise KeyError
    assert server.members[0].killed
    assert pool.statistics().discarded == 1
    async with lent(pool) as other:
        assert other is not server.members[0]


@virtual
async def test_an_exception_in_the_block_does_not_cost_a_good_member() -> None:
    server = Server()
    pool = server.pool(1)
    with pytest.raises(KeyError):
        async with lent(pool):
            raise KeyError
    async with lent(pool) as again:
        assert again is server.members[0]


@virtual
async def test_a_broken_member_hands_its_slot_to_who_waits() -> None:
    server = Server()
    pool = server.pool(1)
    async with trio.open_nursery() as nursery, lent(pool) as member:
        nursery.start_soon(keep, pool, 0)
        await wait_all_tasks_blocked()
        member.broken = True
    assert len(server.members) == 2
    assert_at_rest(pool, server)


@virtual
async def test_a_member_that_was_idle_for_long_is_checked_first() -> None:
    server = Server()
    pool = server.pool(1)
    await keep(pool, 0)
    await trio.sleep(29)
    async with lent(pool) as member:
        assert member.checks == 0
    await trio.sleep(31)
    async with lent(pool) as member:
        assert member.checks == 1


@virtual
async def test_a_member_that_fails_its_check_is_replaced() -> None:
    server = Server()
    pool = server.pool(1)
    async with lent(pool) as member:
        pass
    await trio.sleep(31)
    server.hangs_up = True
    async with lent(pool) as other:
        assert other is not member
    assert member.killed
    assert pool.statistics().discarded == 1


@virtual
async def test_a_member_whose_check_hangs_is_killed_after_five_seconds() -> None:
    server = Server()
    pool = server.pool(1)
    async with lent(pool) as member:
        pass
    await trio.sleep(31)
    server.check_time = math.inf
    began = trio.current_time()
    async with lent(pool) as other:
        assert other is not member
        assert trio.current_time() - began == pytest.approx(5, abs=0.1)
    assert member.killed


@virtual
async def test_one_broken_member_makes_the_idle_ones_suspect() -> None:
    server = Server()
    pool = server.pool(2)
    async with lent(pool) as one, lent(pool) as two:
        pass
    async with lent(pool) as used:
        used.broken = True
    other = two if used is one else one
    async with lent(pool) as checked:
        assert checked is other
        assert checked.checks == 1


@virtual
async def test_members_discarded_while_idle_are_replaced() -> None:
    server = Server()
    pool = server.pool(2)
    async with lent(pool), lent(pool):
        pass
    pool.discard_idle()
    assert not server.alive
    assert pool.statistics().discarded == 2
    await assert_all_slots_work(pool, server)


@virtual
async def test_upkeep_checks_idle_members_and_closes_those_nobody_needs() -> None:
    server = Server()
    pool = server.pool(4)
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        async with lent(pool), lent(pool), lent(pool):
            pass
        await trio.sleep(35)
        assert [member.checks for member in server.members] == [1, 1, 1]
        server.members[1].broken = True
        await trio.sleep(35)
        assert pool.statistics().open == 2
        await trio.sleep(300)
        assert pool.statistics().open == 1
        assert sum(member.closed for member in server.members) == 1
        (last,) = server.alive
        async with lent(pool) as member:
            assert member is last
        nursery.cancel_scope.cancel()
    assert_at_rest(pool, server)


@virtual
async def test_closing_refuses_who_waits_and_kills_what_comes_back() -> None:
    server = Server()
    pool, refused = server.pool(2), list[str]()

    async def wait() -> None:
        with pytest.raises(StoreClosedError) as caught:
            await keep(pool, 0)
        refused.append(str(caught.value))

    async with trio.open_nursery() as nursery:
        async with lent(pool) as out:
            async with lent(pool) as idle:
                pass
            server.connect_time = math.inf
            idle.broken = True
            nursery.start_soon(wait)  # finds the idle one broken, and connects
            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            assert server.attempting == 1
            await pool.aclose()
            assert out in server.alive
            await wait_all_tasks_blocked()
            assert refused == ["db: the store was closed meanwhile"] * 2
        assert out not in server.alive
    with pytest.raises(StoreClosedError):
        await keep(pool, 0)
    assert_at_rest(pool, server)


@virtual
async def test_closing_says_goodbye_but_not_for_long() -> None:
    server = Server()
    pool = server.pool(3)
    async with lent(pool), lent(pool), lent(pool):
        pass
    server.close_time = math.inf
    began = trio.current_time()
    await pool.aclose()
    assert trio.current_time() - began == pytest.approx(2)
    assert not server.alive


@virtual
async def test_closing_works_although_it_is_canceled() -> None:
    server = Server()
    pool = server.pool(2)
    async with lent(pool), lent(pool):
        pass
    with trio.CancelScope() as scope:
        scope.cancel()
        await pool.aclose()
    assert scope.cancelled_caught
    assert all(member.closed for member in server.members)
    assert not server.alive


@pytest.mark.parametrize("step", range(8))
@pytest.mark.parametrize("scene", ["connect", "idle", "stale", "broken", "queue"])
@virtual
async def test_canceled_at_any_step_it_leaks_nothing(scene: str, step: int) -> None:
    server = Server()
    pool = server.pool(1)
    if scene in ("stale", "broken", "idle"):
        await keep(pool, 0)
    if scene in ("stale", "broken"):
        await trio.sleep(31)
        server.gone = scene == "broken"
    async with trio.open_nursery() as nursery:
        if scene == "queue":
            nursery.start_soon(keep, pool, 1)
            await wait_all_tasks_blocked()
        nursery.start_soon(partial(keep_or_give_up, pool, step))
        await wait_all_tasks_blocked()
        nursery.start_soon(trio.sleep, 5)
    assert_at_rest(pool, server)
    await assert_all_slots_work(pool, server)


async def keep_or_give_up(pool: Pool[Member], step: int) -> None:
    with trio.move_on_after(3):
        await cancel_at(step, partial(keep, pool, 0.1))


@virtual
async def test_a_borrower_canceled_as_it_is_served_passes_the_member_on() -> None:
    server = Server()
    pool, served = server.pool(1), list[str]()

    async def take(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with lent(pool):
                served.append(name)

    first, second = trio.CancelScope(), trio.CancelScope()
    async with trio.open_nursery() as nursery:
        async with lent(pool):
            nursery.start_soon(take, "first", first)
            await wait_all_tasks_blocked()
            nursery.start_soon(take, "second", second)
            await wait_all_tasks_blocked()
        first.cancel()
    assert served == ["second"]
    assert_at_rest(pool, server)


@virtual
async def test_all_who_wait_can_be_canceled_at_once() -> None:
    server = Server()
    pool = server.pool(3)
    server.connect_time = 0.5
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(keep, pool, 1)
            await wait_all_tasks_blocked()
            assert pool.statistics().waiting == 20
            scope.cancel()
    assert_at_rest(pool, server)
    await assert_all_slots_work(pool, server)
