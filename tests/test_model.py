"""The store against the reference, step by step, in virtual time."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tests.reference import RUNNING, SECOND, Entry, Reference, Refused
from tests.stepping import VirtualRun
from trioqueue import (
    Job,
    LeasePolicy,
    Message,
    MessageNotFoundError,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
)
from trioqueue.model.spans import instant_to_micros

QUEUE = "jobs"
NAMES = [f"m{n}" for n in range(6)]
IDS = st.sampled_from(NAMES)
PICKS = st.integers(0, 100)
MOSTLY = st.sampled_from([True, True, True, False])
RETENTIONS = {
    0: RetentionPolicy.delete(),
    30: RetentionPolicy.keep(30),
    None: RetentionPolicy.keep_forever(),
}


class StoreMachine(RuleBasedStateMachine):
    """Every verb, right and wrong, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.run = VirtualRun()
        self.store: Store = self.run.store
        self.jobs: list[Job] = []
        self.last_attempt_id = 0

    def job(self, pick: int, current: bool) -> Job:
        """Choose a job: one that is still held, if there is any, or any at all."""
        held = [j for j in self.jobs if self.reference.held(j.attempt_id)]
        jobs = held if current and held else self.jobs
        return jobs[pick % len(jobs)]

    def name(self, pick: int, entries: list[Entry]) -> str:
        """Choose the id of one of the entries, if there is any, or any id at all."""
        names = [entry.message_id for entry in entries] or NAMES
        return names[pick % len(names)]

    def teardown(self) -> None:
        self.run.close()

    @initialize(
        retry=st.sampled_from([0, 5]),
        beat=st.sampled_from([None, 4]),
        max_attempts=st.sampled_from([1, 1, 2, 3]),
        keep=st.sampled_from([0, 30, None]),
    )
    def create(
        self, retry: int, beat: int | None, max_attempts: int, keep: int | None
    ) -> None:
        options = QueueOptions(
            retry=RetryPolicy.fixed(retry),
            lease=LeasePolicy(10, heartbeat_seconds=beat),
            max_attempts=max_attempts,
            retention=RETENTIONS[keep],
        )
        self.options = options
        self.reference = Reference(
            retry=retry * SECOND,
            lease=10 * SECOND,
            beat=beat and beat * SECOND,
            max_attempts=max_attempts,
            keep=keep and keep * SECOND,
        )
        for store in (self.store, self.run.other):
            self.run.call(store.create_queue, QUEUE, options)
        self.tick()

    def tick(self) -> None:
        self.reference.now = self.store.clock.now_us()

    @rule(
        message_id=IDS,
        payload=st.sampled_from([1, 2]),
        priority=st.sampled_from([0, 2, 2, 4]),
        delay=st.sampled_from([None, None, 0, 3]),
        max_attempts=st.sampled_from([None, None, 1, -1]),
    )
    def post(
        self,
        message_id: str,
        payload: int,
        priority: int,
        delay: int | None,
        max_attempts: int | None,
    ) -> None:
        expected = self.reference.post(
            message_id, payload, priority, delay, max_attempts
        )
        got = self.run.answer(
            self.store.post,
            QUEUE,
            payload,
            message_id=message_id,
            priority=priority,
            delay_seconds=delay,
            max_attempts=max_attempts,
        )
        if isinstance(expected, Refused):
            assert got.kind == expected.kind
        else:
            assert (got.message_id, got.state) == (message_id, expected.state)

    @rule(payload=st.sampled_from([1, 2]), count=st.integers(1, 4))
    def post_without_ids(self, payload: int, count: int) -> None:
        for _ in range(count):
            self.post_without_an_id(payload)

    def post_without_an_id(self, payload: int) -> None:
        message = self.run.call(self.store.post, QUEUE, payload)
        assert message.message_id not in self.reference.entries
        self.reference.post(message.message_id, payload, 2, None, None)

    @rule(limit=st.integers(1, 4), stock=MOSTLY)
    def claim(self, limit: int, stock: bool) -> None:
        if stock and len(self.reference.ready()) < limit:
            self.post_without_an_id(1)
        entries = self.reference.claim(limit)
        jobs = self.run.call(self.store.claim, QUEUE, limit=limit)
        assert [job.message_id for job in jobs] == [e.message_id for e in entries]
        for job, entry in zip(jobs, entries, strict=True):
            assert job.attempt == entry.attempts
            assert job.attempt_id > self.last_attempt_id
            assert micros(job.lease.deadline) == entry.deadline
            self.last_attempt_id = entry.attempt_id = job.attempt_id
        self.jobs += jobs

    @precondition(lambda self: self.jobs)
    @rule(pick=PICKS, current=MOSTLY, result=st.sampled_from([None, None, 1]))
    def complete(self, pick: int, current: bool, result: Any) -> None:
        job = self.job(pick, current)
        expected = self.reference.end(job.attempt_id, "complete", result=result)
        got = self.run.answer(self.store.complete, job, result)
        assert got == (expected if isinstance(expected, Refused) else None)

    @precondition(lambda self: self.jobs)
    @rule(
        pick=PICKS,
        current=MOSTLY,
        delay=st.sampled_from([None, None, 0, 3]),
        final=st.booleans(),
    )
    def fail(self, pick: int, current: bool, delay: int | None, final: bool) -> None:
        job = self.job(pick, current)
        expected = self.reference.end(job.attempt_id, "fail", delay=delay, final=final)
        fail = self.store.fail
        got = self.run.answer(fail, job, "no", retry_in_seconds=delay, final=final)
        assert got == expected

    @precondition(lambda self: self.jobs)
    @rule(pick=PICKS, current=MOSTLY, delay=st.sampled_from([None, 3]))
    def release(self, pick: int, current: bool, delay: int | None) -> None:
        job = self.job(pick, current)
        expected = self.reference.end(job.attempt_id, "release", delay=delay)
        got = self.run.answer(self.store.release, job, delay_seconds=delay)
        assert got == expected

    @precondition(lambda self: self.jobs)
    @rule(pick=PICKS, current=MOSTLY)
    def heartbeat(self, pick: int, current: bool) -> None:
        job = self.job(pick, current)
        expected = self.reference.heartbeat(job.attempt_id)
        got = self.run.answer(self.store.heartbeat, job)
        if not isinstance(got, Refused):
            entry = self.reference.held(job.attempt_id)
            assert entry is not None
            assert got.abort_requested == entry.abort
            got = micros(got.expires_at)
        assert got == expected

    @precondition(lambda self: self.jobs)
    @rule(
        pick=PICKS,
        current=MOSTLY,
        verb=st.sampled_from(["complete", "release", "heartbeat"]),
    )
    def forge(self, pick: int, current: bool, verb: str) -> None:
        """Only who was given the token may speak for an attempt."""
        job = self.job(pick, current)
        for forged in (
            attrs.evolve(job, token=job.token ^ 1),
            attrs.evolve(job, attempt_id=job.attempt_id + 1),
            attrs.evolve(job, row_id=job.row_id + 1),
        ):
            got = self.run.answer(getattr(self.store, verb), forged)
            if forged.row_id == job.row_id or verb == "heartbeat":
                assert got == Refused("LeaseLostError", "superseded")
            else:
                # The attempt is the holder's own, so its last answer may be repeated.
                assert got is None or isinstance(got, (Refused, MessageState))

    @rule(verb=st.sampled_from(["complete", "fail", "release", "heartbeat"]))
    def confuse_stores(self, verb: str) -> None:
        """A job of another database means nothing here, its numbers notwithstanding."""
        other = self.run.other
        self.run.call(other.post, QUEUE, "foreign")
        (job,) = self.run.call(other.claim, QUEUE)
        arguments = [job, "no"] if verb == "fail" else [job]
        got = self.run.answer(getattr(self.store, verb), *arguments)
        assert got == Refused("LeaseLostError", "superseded")

    @rule(
        pick=PICKS,
        there=MOSTLY,
        reason=st.sampled_from([None, "changed my mind"]),
        abort=st.booleans(),
    )
    def cancel(self, pick: int, there: bool, reason: str | None, abort: bool) -> None:
        known = list(self.reference.entries.values())
        self.cancel_one(self.name(pick, known if there else []), reason, abort)

    @precondition(lambda self: self.reference.among(RUNNING))
    @rule(pick=PICKS, reason=st.sampled_from([None, "changed my mind"]))
    def abort(self, pick: int, reason: str | None) -> None:
        name = self.name(pick, self.reference.among(RUNNING))
        self.cancel_one(name, reason, abort=True)

    def cancel_one(self, message_id: str, reason: str | None, abort: bool) -> None:
        expected = self.reference.cancel(message_id, reason, abort=abort)
        cancel = self.store.cancel
        got = self.run.answer(cancel, QUEUE, message_id, reason=reason, abort=abort)
        if isinstance(got, Message):
            got = got.state
        assert getattr(got, "kind", got) == getattr(expected, "kind", expected)

    @rule(seconds=st.sampled_from([0.000001, 1, 1, 3, 5, 10, 40]))
    def let_time_pass(self, seconds: float) -> None:
        self.run.clock.jump(seconds)
        self.tick()

    @rule()
    def promote(self) -> None:
        assert (
            self.run.call(self.store.promote_due_messages) == self.reference.promote()
        )

    @rule()
    def reclaim(self) -> None:
        found = self.run.call(self.store.find_expired_messages)
        ended = self.run.call(self.store.reclaim_expired_messages, found)
        assert ended == len(found) == self.reference.reclaim()
        assert self.run.call(self.store.reclaim_expired_messages, found) == 0

    @rule()
    def clean_up(self) -> None:
        assert self.run.call(self.store.clean_up_batch) == self.reference.clean_up()

    @precondition(lambda self: self.reference.dead())
    @rule(pick=PICKS, dead=MOSTLY)
    def requeue(self, pick: int, dead: bool) -> None:
        message_id = self.name(pick, self.reference.dead() if dead else [])
        expected = self.reference.revive(message_id)
        got = self.run.answer(self.store.requeue, QUEUE, message_id)
        got = got.state if isinstance(got, Message) else got
        assert getattr(got, "kind", got) == getattr(expected, "kind", expected)

    @precondition(lambda self: self.reference.dead())
    @rule(
        reason=st.sampled_from([None, None, "max_attempts", "discarded"]),
        spread=st.sampled_from([0, 0, 10]),
    )
    def requeue_all(self, reason: str | None, spread: int) -> None:
        expected = self.reference.revive_all(reason, spread)
        requeue_all = self.store.requeue_all
        got = self.run.call(requeue_all, QUEUE, reason=reason, spread_seconds=spread)
        assert got == expected

    @precondition(lambda self: self.reference.dead())
    @rule(pick=PICKS, dead=MOSTLY)
    def delete_dead_letter(self, pick: int, dead: bool) -> None:
        message_id = self.name(pick, self.reference.dead() if dead else [])
        expected = self.reference.delete_dead(message_id)
        got = self.run.answer(self.store.delete_dead_letter, QUEUE, message_id)
        assert getattr(got, "kind", got) == getattr(expected, "kind", expected)

    @precondition(lambda self: len(self.reference.dead()) > 1)
    @rule()
    def purge(self) -> None:
        expected = self.reference.drop(self.reference.dead())
        assert self.run.call(self.store.purge_dead_letters, QUEUE) == expected

    @precondition(lambda self: not self.reference.paused)
    @rule()
    def pause(self) -> None:
        self.reference.paused = True
        self.run.call(self.store.pause_queue, QUEUE)

    @precondition(lambda self: self.reference.paused)
    @rule()
    def resume(self) -> None:
        self.reference.paused = False
        self.run.call(self.store.resume_queue, QUEUE)

    @invariant()
    def the_store_agrees(self) -> None:
        self.run.call(self._compare)

    async def _compare(self) -> None:
        store, reference = self.store, self.reference
        state = await store.queue_state(QUEUE)
        assert state.counts == reference.counts()
        assert state.paused == reference.paused
        assert state.oldest_ready_seconds == reference.oldest_ready_seconds()
        earliest = state.earliest_deadline
        assert (earliest and micros(earliest)) == reference.earliest_deadline()
        assert state.dead_letters == len(reference.dead())
        pending = await store.peek(QUEUE, limit=1000, states=[MessageState.PENDING])
        assert names(pending) == names(reference.ready())
        dead = await store.dead_letters(QUEUE, limit=1000)
        assert names(d.message for d in dead) == names(reference.dead())
        assert [d.reason for d in dead] == [e.reason for e in reference.dead()]
        for message_id in {*reference.entries, "m0", "m1"}:
            entry = reference.entries.get(message_id)
            try:
                message = await store.get_message(QUEUE, message_id)
            except MessageNotFoundError:
                assert entry is None
            else:
                assert entry is not None
                agree(message, entry)


def agree(message: Message, entry: Entry) -> None:
    assert message.state is entry.state
    assert (message.attempt, message.reason) == (entry.attempts, entry.reason)
    running: list[str | None] = [None] if entry.state is RUNNING else []
    assert [a.outcome for a in message.attempts] == [*entry.outcomes, *running]
    if message.lease is not None:
        assert micros(message.lease.deadline) == entry.deadline
        assert message.lease.abort_requested == entry.abort


def names(things: Any) -> list[str]:
    return [thing.message_id for thing in things]


def micros(instant: Any) -> int:
    return instant_to_micros(instant, "instant")


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=150, stateful_step_count=60)
