"""A pool whose server is away: shared back-off, patience, what is not waited out."""

from __future__ import annotations

import math
from itertools import pairwise

import psycopg
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.postgres.pooling import (
    CONNECT_TIME,
    Member,
    Server,
    assert_all_slots_work,
    assert_at_rest,
    lent,
    virtual,
)
from trioqueue import SchemaVersionError, StoreUnavailableError, ValidationError
from trioqueue.store.postgres.faults import translate
from trioqueue.store.postgres.pool import CHECK_SECONDS, TRUST_SECONDS, Pool


async def use(pool: Pool[Member], patience: float = 10.0, seconds: float = 0) -> None:
    async with lent(pool, patience):
        await trio.sleep(seconds)


@virtual
async def test_five_failures_and_then_it_works() -> None:
    server = Server()
    pool = server.pool(2)
    server.errors = [StoreUnavailableError("not yet") for _ in range(5)]
    await use(pool)
    now = pool.statistics()
    assert (now.failures, now.connects, now.open) == (5, 1, 1)
    await assert_all_slots_work(pool, server)


@virtual
async def test_pauses_grow_are_capped_and_jittered() -> None:
    server = Server()
    pool = server.pool(1)
    server.gone = True
    with pytest.raises(StoreUnavailableError):
        await use(pool, patience=60)
    pauses = [b - a - CONNECT_TIME for a, b in pairwise(server.attempts)]
    for number, pause in enumerate(pauses):
        full = min(1.0, 0.05 * 2**number)
        assert full / 2 - 1e-6 <= pause <= full + 1e-6
    late = {round(pause, 6) for pause in pauses[6:]}
    assert len(late) > 20
    assert max(late) - min(late) > 0.2


@virtual
async def test_one_silent_check_is_enough_to_give_up_all_idle_members() -> None:
    """Checked one after the other, they would use up what patience there is."""
    server = Server()
    pool = server.pool(8)
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(use, pool, 10.0, 1.0)
    assert pool.statistics().idle == 8
    await trio.sleep(TRUST_SECONDS + 1)
    server.check_time = math.inf
    began = trio.current_time()
    await use(pool)
    assert trio.current_time() - began == pytest.approx(CHECK_SECONDS + CONNECT_TIME)
    assert pool.statistics().discarded == 8
    assert pool.statistics().open == 1
    server.check_time = 0.001
    await assert_all_slots_work(pool, server)


@virtual
async def test_all_who_wait_share_one_back_off() -> None:
    server = Server()
    pool, served = server.pool(4), list[int]()
    server.gone = True

    async def take(number: int) -> None:
        async with lent(pool, 60):
            served.append(number)
            await trio.sleep(0.1)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(take, number)
            await wait_all_tasks_blocked()
        await trio.sleep(0.02)
        server.most_attempting = 0
        await trio.sleep(20)
        assert server.most_attempting == 1
        assert len(server.attempts) < 4 + 5 + 2 * 20
        server.gone = False
    assert sorted(served) == list(range(20))
    assert served[0] == 0
    assert_at_rest(pool, server)


@virtual
async def test_a_burst_of_failures_at_once_lengthens_the_pause_once() -> None:
    server = Server()
    pool = server.pool(8)
    server.errors = [StoreUnavailableError("gone") for _ in range(8)]
    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(use, pool)
        await trio.sleep(2 * CONNECT_TIME + 0.05 + 1e-6)
        assert pool.statistics().connects >= 1


@virtual
async def test_after_patience_the_last_reason_is_told() -> None:
    server = Server()
    pool = server.pool(1)
    server.gone = True
    began = trio.current_time()
    with pytest.raises(
        StoreUnavailableError, match=r"refused .tried for 10 s"
    ) as caught:
        await use(pool)
    assert trio.current_time() - began == pytest.approx(10)
    assert isinstance(caught.value.__cause__, StoreUnavailableError)
    assert_at_rest(pool, server)


@virtual
async def test_what_does_not_pass_by_itself_is_raised_at_once() -> None:
    refused = psycopg.OperationalError("connection failed: no password supplied")
    wrong_password = translate(refused, "db")
    wrong_password.__cause__ = refused
    errors = [
        wrong_password,
        SchemaVersionError("newer", found=2, known=1),
        ValidationError.of("url", "wrong"),
        ZeroDivisionError(),
    ]
    for error in errors:
        server = Server()
        pool = server.pool(1)
        server.errors = [error]
        with pytest.raises(type(error)) as caught:
            await use(pool)
        assert caught.value is error
        assert len(server.attempts) == 1
        await assert_all_slots_work(pool, server)


@virtual
async def test_a_member_that_comes_back_during_an_outage_goes_to_the_first() -> None:
    server = Server()
    pool, order = server.pool(3), list[int]()

    async def take(number: int) -> None:
        async with lent(pool):
            order.append(number)
            await trio.sleep(0.5)

    async with trio.open_nursery() as nursery, lent(pool):
        server.gone = True
        for number in range(4):
            nursery.start_soon(take, number)
            await wait_all_tasks_blocked()
        await trio.sleep(4.3)
        assert not order
    assert sorted(order) == [0, 1, 2, 3]
    # Who is trying to connect at that moment may be overtaken, nobody else.
    assert [number for number in order if number] == [1, 2, 3]
    assert len(server.alive) == 1


@virtual
async def test_an_attempt_that_hangs_is_given_up_after_ten_seconds() -> None:
    server = Server()
    pool = server.pool(1)
    server.connect_time = math.inf
    async with trio.open_nursery() as nursery:
        nursery.start_soon(use, pool, 60)
        await trio.sleep(9.9)
        assert server.attempting == 1
        server.connect_time = CONNECT_TIME
    assert trio.current_time() < 10.2
    assert pool.statistics().failures == 1
    assert_at_rest(pool, server)


@pytest.mark.parametrize("patience", [0.5, 3.0, 10.0])
@virtual
async def test_a_server_that_never_answers_is_named_as_the_reason(
    patience: float,
) -> None:
    server = Server()
    pool = server.pool(2)
    server.connect_time = math.inf
    with pytest.raises(StoreUnavailableError, match="not answer"):
        await use(pool, patience)
    assert_at_rest(pool, server)
    server.connect_time = CONNECT_TIME
    await assert_all_slots_work(pool, server)


@virtual
async def test_who_gives_up_leaves_the_next_attempt_to_the_others() -> None:
    server = Server()
    pool = server.pool(1)
    server.gone = True

    async def give_up() -> None:
        with trio.move_on_after(2.5):
            await use(pool)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(give_up)
        await wait_all_tasks_blocked()
        nursery.start_soon(use, pool)
        await trio.sleep(2.6)
        tried = len(server.attempts)
        await trio.sleep(1.1)
        assert len(server.attempts) > tried
        server.gone = False
    assert_at_rest(pool, server)


@virtual
async def test_an_outage_that_nobody_waits_for_is_over_when_somebody_comes() -> None:
    server = Server()
    pool = server.pool(2)
    server.gone = True
    with pytest.raises(StoreUnavailableError):
        await use(pool, 5)
    server.gone = False
    await trio.sleep(1)
    began = trio.current_time()
    await use(pool)
    assert trio.current_time() - began <= CONNECT_TIME + 1e-6
    await assert_all_slots_work(pool, server)
