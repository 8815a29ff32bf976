"""The story of the demo: post, work, lose a worker, recover, check.

Everything runs in one nursery, round which the store and its services are open: the
worker processes, the ear for Ctrl-C, and the story itself.  Whatever ends it ends all.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Final, final

import trio

import trioqueue
from trioqueue.cli.demonstration import interruption
from trioqueue.cli.demonstration.accident import kill_one, messages_of, recovery_of
from trioqueue.cli.demonstration.audit import audit
from trioqueue.cli.demonstration.crew import Crew
from trioqueue.cli.demonstration.plan import QUEUE
from trioqueue.cli.demonstration.report import Report
from trioqueue.metrics.serving import open_metrics
from trioqueue.model.message import LIVE_STATES
from trioqueue.services import MetricsReporterService

if TYPE_CHECKING:
    from datetime import datetime

    from trioqueue.cli.demonstration.accident import Accident, Recovery
    from trioqueue.cli.demonstration.plan import Plan
    from trioqueue.cli.demonstration.progress import Progress

OPTIONS: Final = trioqueue.QueueOptions(
    # Workers prolong their leases while they live; a dead one's end this soon.
    lease=trioqueue.LeasePolicy(base_seconds=2.5),
    retry=trioqueue.RetryPolicy.fixed(0.1),
    max_attempts=5,
    retention=trioqueue.RetentionPolicy.keep_forever(),
)
BATCH: Final = 500
LOOK_SECONDS: Final = 0.02
SAMPLE_SECONDS: Final = 0.5
"""How often the queue is counted for those who look at the metrics: it is soon over."""
SHOWN_DEAD: Final = 5


async def demonstrate(plan: Plan, progress: Progress) -> Report:
    """Run the demo.

    Raises:
        Failure: It was interrupted, or a worker ended that should not have; perhaps in
            an `ExceptionGroup`.
    """
    started = trio.current_time()
    async with (
        trioqueue.open_store(plan.url) as store,
        trioqueue.open_services(store) as services,
        open_metrics(plan.metrics, store, services=services) as urls,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(interruption.run)
        if urls:
            sampler = MetricsReporterService(store, interval_seconds=SAMPLE_SECONDS)
            await nursery.start(sampler.run)
            progress.say(f"metrics at {urls[0]}/metrics, health at {urls[0]}/readyz")
        story = Story(plan, progress, store, Crew(nursery, plan), nursery)
        post_seconds = await story.post()
        run_started = await story.begin()
        accident = await story.watch()
        recovery = await story.end()
        found = await audit(store, plan.posts, plan.directory)
        nursery.cancel_scope.cancel(reason="the demo is over")
    run_ended = found.last_first_try or run_started
    return Report(
        plan,
        found,
        accident,
        recovery,
        post_seconds,
        (run_ended - run_started).total_seconds(),
        trio.current_time() - started,
    )


@final
class Story:
    """The chapters, in order."""

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        store: trioqueue.Store,
        crew: Crew,
        nursery: trio.Nursery,
    ) -> None:
        self._plan = plan
        self._progress = progress
        self._store = store
        self._crew = crew
        self._nursery = nursery
        self._accident: Accident | None = None
        self._reclaimed = False
        self._replaced = trio.Event()

    async def post(self) -> float:
        """Post a message for each file; return how many seconds that took."""
        await self._store.create_queue(QUEUE, OPTIONS)
        # Nothing is claimed yet, so that all workers begin together.
        await self._store.pause_queue(QUEUE, "until every worker is ready")
        began = trio.current_time()
        messages = iter(
            trioqueue.NewMessage(payload, message_id=message_id)
            for message_id, payload in self._plan.posts.items()
        )
        while batch := list(itertools.islice(messages, BATCH)):
            await self._store.post_many(QUEUE, batch)
        seconds = trio.current_time() - began
        self._progress.say(
            f"{len(self._plan.posts):,} messages posted, one for each file below "
            f"{self._plan.root}"
        )
        return seconds

    async def begin(self) -> datetime:
        """Start the workers and let them begin; return when that was."""
        await self._crew.start_all()
        for worker in sorted(self._crew.workers, key=lambda one: one.number):
            self._progress.say(worker.introduce())
        now = self._store.now()
        await self._store.resume_queue(QUEUE)
        return now

    async def watch(self) -> Accident | None:
        """Watch until every message is done; half-way, kill a worker."""
        total = len(self._plan.posts)
        while True:
            state = await self._store.queue_state(QUEUE)
            left = sum(state.counts[kind] for kind in LIVE_STATES)
            self._progress.show(total - left)
            if self._accident is None:
                if left and total - left >= total // 2:
                    await self._have_accident()
            elif not self._reclaimed:
                await self._follow_up(self._accident)
            if not left:
                return self._accident
            await trio.sleep(LOOK_SECONDS)

    async def _have_accident(self) -> None:
        accident = await kill_one(self._store, self._crew)
        if accident is None:
            return  # none holds anything just now: the next look will do
        self._accident = accident
        how = "with SIGKILL " if os.name == "posix" else ""
        self._progress.say(
            f"worker {accident.number} (pid {accident.pid}) killed {how}while it held "
            f"{_messages(len(accident.held))}; back once the lease ends"
        )
        # Beside the watch: starting a process takes a moment.
        self._nursery.start_soon(self._replace, accident)

    async def _replace(self, accident: Accident) -> None:
        worker = await self._crew.start()
        why = f" in place of worker {accident.number}"
        self._progress.say(worker.introduce(why))
        self._replaced.set()

    async def _follow_up(self, accident: Accident) -> None:
        """Tell when the messages of the killed worker have been taken back."""
        if await messages_of(self._store, accident.number):
            return
        self._reclaimed = True
        recovery = await recovery_of(self._store, accident)
        after = "" if recovery.seconds is None else f" after {recovery.seconds:.1f} s"
        self._progress.say(f"{_messages(recovery.reclaimed)} reclaimed{after}")

    async def end(self) -> Recovery | None:
        """Let the workers stop; tell, and return, how it went on after the accident."""
        recovery = None
        if self._accident is not None:
            await self._replaced.wait()
            recovery = await recovery_of(self._store, self._accident)
            self._progress.say(f"run again by {_workers(recovery.run_again_by)}")
        for letter in await self._store.dead_letters(QUEUE, limit=SHOWN_DEAD):
            why = (
                letter.attempts[-1].error_message if letter.attempts else letter.reason
            )
            self._progress.say(f"dead: {letter.message.message_id}: {why}")
        await self._crew.stop()
        self._progress.say("checking every result")
        return recovery


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


def _workers(numbers: tuple[int, ...]) -> str:
    if not numbers:
        return "nobody"
    *most, last = map(str, numbers)
    return f"workers {', '.join(most)} and {last}" if most else f"worker {last}"
