"""Any filter finds what a plain reading of it says, on both kinds of database.

What there is comes out of random histories; what should be found is worked out in
Python from what `get_message` tells, and so shares nothing with the search.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from trioqueue import (
    Job,
    Message,
    MessageFilter,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    open_store,
)
from trioqueue.store.operations import selection

QUEUES: Final = ("a", "b", "c")
GRAVES: Final = {"a": "graves", "b": "graves", "c": "c-dlq"}
IDS: Final = ("m0", "m1", "m2", "m3")
TASKS: Final = ("send", "sender")
ERRORS: Final = (ValueError("Stra\u00dfe"), KeyError("x"), TimeoutError("valueerror"))
FATES: Final = ("wait", "later", "run", "complete", "cancel", "retry", "die", "twice")
VALUES: Final[tuple[Any, ...]] = (1, True, "1", [1, {"a": None}])


class Plan(NamedTuple):
    """A message, and what happens to it."""

    queue: str
    message_id: str
    payload: Any
    metadata: dict[str, Any]
    fate: str
    error: Exception
    wait: int


PLANS: Final = st.builds(
    Plan,
    st.sampled_from(QUEUES),
    st.sampled_from(IDS),
    st.one_of(
        st.sampled_from(TASKS),
        st.builds(lambda task: {"task": task, "args": []}, st.sampled_from(TASKS)),
        st.just({"task": 7}),
    ),
    st.dictionaries(st.sampled_from("kl"), st.sampled_from(VALUES), max_size=2),
    st.sampled_from(FATES),
    st.sampled_from(ERRORS),
    st.integers(0, 2),
)


def some(values: Any) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(values), max_size=3, unique=True)


WANTED: Final[dict[str, st.SearchStrategy[Any]]] = {
    "queues": some(QUEUES),
    "states": some(list(MessageState)),
    "task": st.sampled_from(TASKS),
    "error": st.sampled_from(["VALUE", "strasse", "x", "error", "slow"]),
    "since": st.integers(0, 7),
    "until": st.integers(8, 16),
    "ids": some((*IDS, "nobody")),
    "metadata": st.dictionaries(
        st.sampled_from("kl"), st.sampled_from(VALUES), max_size=1
    ),
    "reason": st.sampled_from(["max_attempts", "discarded", "no more"]),
    "dead_letters_under": st.sampled_from(["graves", "c-dlq", *QUEUES]),
}
# Filters ask for little: else next to nothing would ever be found.
FILTERS: Final = st.sets(st.sampled_from(list(WANTED)), min_size=1, max_size=3).flatmap(
    lambda names: st.fixed_dictionaries({name: WANTED[name] for name in sorted(names)})
)


async def claim(store: Store, plan: Plan) -> Job | None:
    """Take one message under a lease; whatever else is ready is left."""
    wanted = None
    for job in await store.claim(plan.queue, limit=100):
        if job.message_id == plan.message_id:
            wanted = job
        else:
            await store.release(job)
    return wanted


async def live(store: Store, plan: Plan) -> None:
    """Let a message have its fate."""
    if plan.fate == "cancel":
        await store.cancel(plan.queue, plan.message_id, reason="no more")
    if plan.fate in ("wait", "later", "cancel"):
        return
    job = await claim(store, plan)
    assert job is not None
    if plan.fate == "complete":
        await store.complete(job)
    elif plan.fate != "run":
        await store.fail(job, plan.error, final=plan.fate == "die")
    if plan.fate == "twice":
        again = await claim(store, plan)
        assert again is not None
        await store.fail(again, KeyError("slow"))


async def live_through(store: Store, plans: list[Plan]) -> list[tuple[str, str]]:
    """Let messages have their fates; return which there are, oldest posted first."""
    posted: dict[tuple[str, str], None] = {}
    for plan in plans:
        name = (plan.queue, plan.message_id)
        await trio.sleep(plan.wait)
        if name in posted:
            continue
        posted[name] = None
        await store.post(
            plan.queue,
            plan.payload,
            message_id=plan.message_id,
            metadata=plan.metadata,
            priority=4,
            delay_seconds=1000 if plan.fate == "later" else None,
        )
        await live(store, plan)
    return list(posted)


def same(one: Any, other: Any) -> bool:
    """Compare JSON values, where a truth is no number."""
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(same(*pair) for pair in pairs)
    return type(one) is type(other) and bool(one == other)


def fits(message: Message, wanted: MessageFilter) -> bool:
    """Say whether a message fits, point by point."""
    failed = [a for a in message.attempts if a.error_type or a.error_message]
    last = failed[-1:]
    dead = message.state is MessageState.ERRORED
    payload = message.payload
    under = (message.queue, GRAVES[message.queue])
    return all(
        (
            wanted.queues is None or message.queue in wanted.queues,
            wanted.states is None or message.state in wanted.states,
            wanted.ids is None or message.message_id in wanted.ids,
            wanted.task is None
            or (isinstance(payload, dict) and payload.get("task") == wanted.task),
            wanted.error is None
            or any(
                wanted.error.casefold() in (text or "").casefold()
                for attempt in last
                for text in (attempt.error_type, attempt.error_message)
            ),
            wanted.since is None or message.created_at >= wanted.since,
            wanted.until is None or message.created_at < wanted.until,
            all(
                key in message.metadata and same(message.metadata[key], value)
                for key, value in wanted.metadata.items()
            ),
            wanted.reason is None or (dead and message.reason == wanted.reason),
            wanted.dead_letters_under is None
            or (dead and wanted.dead_letters_under in under),
        )
    )


async def check(url: str, plans: list[Plan], filters: list[dict[str, Any]]) -> None:
    async with open_store(url) as store:
        began = store.now()
        for queue in QUEUES:
            options = QueueOptions(
                max_attempts=2,
                dead_letter_queue=GRAVES[queue],
                retry=RetryPolicy.fixed(0),
                retention=RetentionPolicy.keep_forever(),
            )
            await store.create_queue(queue, options)
        names = await live_through(store, plans)
        messages = [await store.get_message(*name) for name in names]
        for given in filters:
            wanted = MessageFilter(
                **given
                | {
                    name: began + timedelta(seconds=given[name])
                    for name in ("since", "until")
                    if name in given
                }
            )
            expected = [message for message in messages if fits(message, wanted)]
            await look(store, wanted, expected)


async def look(store: Store, wanted: MessageFilter, expected: list[Message]) -> None:
    """Find, count and select what fits; all must agree."""
    assert await store.find_messages(wanted) == expected
    page = await store.find_messages(wanted, limit=2)
    found = list(page)
    while page.next is not None:
        page = await store.find_messages(wanted, limit=2, after=page.next)
        found += page
    assert found == expected
    queues = sorted({message.queue for message in expected})
    counts = {
        queue: sum(message.queue == queue for message in expected) for queue in queues
    }
    assert await store.count_messages(wanted) == counts
    selected = await store.select_messages(wanted)
    assert (selected.total, dict(selected.counts)) == (len(expected), counts)
    asked = set(wanted.ids or ())
    assert selected.missing == len(asked - {m.message_id for m in expected})
    if (name := wanted.dead_letters_under) is not None:
        letters = await store.dead_letters(name, wanted=wanted)
        newest = sorted(letters, key=lambda each: each.died_at, reverse=True)
        assert [each.died_at for each in letters] == [each.died_at for each in newest]
        key = [(letter.queue, letter.message.message_id) for letter in letters]
        assert sorted(key) == sorted((m.queue, m.message_id) for m in expected)


@pytest.mark.parametrize("scan", [3, 2000])
def test_a_filter_finds_what_it_says(
    afresh: Callable[[], str], monkeypatch: pytest.MonkeyPatch, scan: int
) -> None:
    monkeypatch.setattr(selection, "SCAN_ROWS", scan)
    memory = afresh().startswith("sqlite")

    @settings(max_examples=60 if memory else 8)
    @given(
        st.lists(PLANS, min_size=8, max_size=14),
        st.lists(FILTERS, min_size=8, max_size=12),
    )
    def each(plans: list[Plan], filters: list[dict[str, Any]]) -> None:
        clock = MockClock(autojump_threshold=0)
        trio.run(check, afresh(), plans, filters, clock=clock)

    each()
