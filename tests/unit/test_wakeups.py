"""Wake-ups are never lost: announced before, during or after the look."""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trioqueue.store.operations.core import CLEANUP, SCHEDULER, Effects
from trioqueue.store.wakeups import Alarm, ReadySignal, WakeUps, join_hub, leave_hub


def ready(*queues: str) -> Effects:
    effects = Effects()
    effects.ready.update(queues)
    return effects


def waiting(hub: WakeUps) -> bool:
    """Ask afresh: type checkers believe that a property stays what it was."""
    return hub.anybody_waits


async def test_what_is_announced_between_the_look_and_the_wait_is_not_missed(
    autojump_clock: MockClock,
) -> None:
    hub, signal = WakeUps(), ReadySignal(["a", "b"])
    hub.add_signal(signal)
    signal.clear()
    await trio.lowlevel.checkpoint()  # the look finds nothing
    hub.announce(ready("b"))
    with trio.fail_after(1):
        await signal.wait()


async def test_what_is_announced_during_the_wait_ends_it(
    autojump_clock: MockClock,
) -> None:
    hub, signal = WakeUps(), ReadySignal(["a"])
    hub.add_signal(signal)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(signal.wait)
        await wait_all_tasks_blocked()
        assert signal.waiting
        assert hub.anybody_waits
        hub.announce(ready("other"))
        await wait_all_tasks_blocked()
        assert hub.anybody_waits
        hub.announce(ready("a"))
    assert not waiting(hub)


async def test_a_producer_and_a_consumer_never_both_wait(
    autojump_clock: MockClock,
) -> None:
    """Whatever the interleaving, each item put is seen."""
    for before_look, before_wait in itertools.product(range(3), repeat=2):
        hub, signal, items = WakeUps(), ReadySignal(["q"]), [0]
        items.clear()
        hub.add_signal(signal)
        taken: list[int] = []

        async def consume(
            pauses: tuple[int, int] = (before_look, before_wait),
            signal: ReadySignal = signal,
            items: list[int] = items,
            taken: list[int] = taken,
        ) -> None:
            while len(taken) < 20:
                signal.clear()
                for _ in range(pauses[0]):
                    await trio.lowlevel.checkpoint()
                if items:
                    taken.append(items.pop(0))
                    continue
                for _ in range(pauses[1]):
                    await trio.lowlevel.checkpoint()
                await signal.wait()

        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(consume)
                for item in range(20):
                    items.append(item)
                    hub.announce(ready("q"))
                    for _ in range(item % 4):
                        await trio.lowlevel.checkpoint()
        assert taken == list(range(20))


async def test_a_canceled_wait_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    hub, signal = WakeUps(), ReadySignal(["a", "b"])
    hub.add_signal(signal)
    with trio.move_on_after(1):
        await signal.wait()
    assert not hub.anybody_waits
    hub.remove_signal(signal)
    hub.announce(ready("a", "b"))
    assert not hub.ready_signals
    assert not hub._by_queue


async def test_an_alarm_rings_for_the_earliest_only(autojump_clock: MockClock) -> None:
    alarm = Alarm(SCHEDULER)
    alarm.plan(100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alarm.wait)
        await wait_all_tasks_blocked()
        alarm.announce(100)
        alarm.announce(500)
        await wait_all_tasks_blocked()
        assert alarm.waiting
        alarm.announce(99)
    assert alarm.earliest == 99


async def test_an_alarm_set_before_the_wait_rings_once(
    autojump_clock: MockClock,
) -> None:
    alarm = Alarm(SCHEDULER)
    alarm.clear()
    alarm.announce(7)
    with trio.fail_after(1):
        await alarm.wait()
    with trio.move_on_after(1) as scope:
        await alarm.wait()
    assert scope.cancelled_caught
    assert alarm.earliest == 7
    alarm.clear()
    assert alarm.earliest == math.inf


async def test_each_service_hears_of_its_own_work(autojump_clock: MockClock) -> None:
    hub = WakeUps()
    scheduler, cleanup = Alarm(SCHEDULER), Alarm(CLEANUP)
    hub.alarms.update({scheduler, cleanup})
    effects = Effects()
    for instant in (9, 5, 7):
        effects.add_due(SCHEDULER, instant)
    hub.announce(effects)
    assert (scheduler.earliest, cleanup.earliest) == (5, math.inf)


async def test_everybody_who_waits_for_a_message_to_finish_is_woken(
    autojump_clock: MockClock,
) -> None:
    hub = WakeUps()
    effects = Effects()
    effects.finished.append(("q", "m"))
    with (
        hub.listen_for_end(("q", "m")) as one,
        hub.listen_for_end(("q", "m")) as other,
        hub.listen_for_end(("q", "another")) as unconcerned,
    ):
        assert hub.anybody_waits
        hub.announce(effects)
        assert one.is_set()
        assert other.is_set()
        assert not unconcerned.is_set()
    assert hub.wanted()[2] == []
    assert not waiting(hub)
    hub.announce(effects)


def test_those_who_hold_jobs_hear_of_aborts_while_they_listen() -> None:
    class Listener:
        heard: list[tuple[str, str]]

        def __init__(self) -> None:
            self.heard = []

        def on_abort(self, queue: str, message_id: str) -> None:
            self.heard.append((queue, message_id))

    async def main() -> None:
        hub, listener = WakeUps(), Listener()
        effects = Effects()
        effects.aborts.append(("q", "m"))
        with hub.listen_for_abort(listener):
            hub.announce(effects)
        hub.announce(effects)
        assert listener.heard == [("q", "m")]

    trio.run(main)


async def test_a_closing_store_wakes_everybody_to_look_again(
    autojump_clock: MockClock,
) -> None:
    hub, signal, alarm = WakeUps(), ReadySignal(["q"]), Alarm(SCHEDULER)
    hub.add_signal(signal)
    hub.alarms.add(alarm)
    with hub.listen_for_end(("q", "m")) as finished:
        async with trio.open_nursery() as nursery:
            waits: list[Callable[[], Awaitable[None]]] = [
                signal.wait,
                alarm.wait,
                finished.wait,
            ]
            for wait in waits:
                nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            hub.announce_closing()


async def test_stores_on_one_file_share_their_wake_ups_and_leave_none_behind() -> None:
    one, other, elsewhere = join_hub("/a"), join_hub("/a"), join_hub("/b")
    memory = [join_hub(None), join_hub(None)]
    assert one is other
    assert len({id(hub) for hub in (one, elsewhere, *memory)}) == 4
    leave_hub("/a")
    assert join_hub("/a") is one
    for key in ("/a", "/a", "/b", None):
        leave_hub(key)
    fresh = join_hub("/a")
    assert fresh is not one
    leave_hub("/a")


def test_each_trio_run_has_wake_ups_of_its_own() -> None:
    hubs = []

    async def main() -> None:
        hubs.append(join_hub("/a"))

    trio.run(main)
    trio.run(main)
    assert hubs[0] is not hubs[1]


def test_effects_of_several_transactions_merge() -> None:
    one, other = ready("a"), ready("b")
    one.add_due(SCHEDULER, 5)
    other.add_due(SCHEDULER, 3)
    other.add_due(CLEANUP, 9)
    other.finished.append(("q", "m"))
    other.aborts.append(("q", "n"))
    one.merge(other)
    assert one.ready == {"a", "b"}
    assert one.due == {SCHEDULER: 3, CLEANUP: 9}
    assert (one.finished, one.aborts) == ([("q", "m")], [("q", "n")])


@pytest.mark.parametrize("instant", [None, 50, 150])
def test_planning_never_rings_and_keeps_the_earliest(instant: int | None) -> None:
    alarm = Alarm(SCHEDULER)
    alarm.plan(100)
    alarm.plan(instant)
    assert alarm.earliest == min(100, instant or 100)
    assert not alarm._event.is_set()
