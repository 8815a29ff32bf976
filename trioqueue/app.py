"""Apps and typed tasks: what most programs use.

::

    app = trioqueue.App()

    @app.task(queue="emails", max_attempts=5)
    async def send_email(to: str, subject: str = "hi") -> int: ...

    async with app.open("sqlite:///jobs.db"):
        handle = await send_email.enqueue("a@example.org")   # typed like the function
        print(await handle.wait())

and, in another process, ``trioqueue worker module:app`` or ``await app.run(...)``.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Final,
    ParamSpec,
    Protocol,
    TypeVar,
    final,
    overload,
)

import trio

from trioqueue.declared import DeclaredSchedules, TaskT
from trioqueue.dispatch import Dispatcher
from trioqueue.errors import TrioQueueError, ValidationError
from trioqueue.model.options_codec import option_issues
from trioqueue.model.queue import QueueOptions, RetentionPolicy
from trioqueue.model.schedule import Misfire
from trioqueue.running import run_app
from trioqueue.store import open_store
from trioqueue.store.base import check_queue_name
from trioqueue.task import (
    AsyncTask,
    JobTask,
    PlainJobTask,
    PlainTask,
    Task,
)
from trioqueue.task_making import make_task
from trioqueue.worker import DEFAULT_CONCURRENCY, DEFAULT_GRACE_SECONDS

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        Mapping,
        Sequence,
    )
    from datetime import datetime

    from trioqueue.handlers import Handler
    from trioqueue.model.lease_policy import LeasePolicy
    from trioqueue.model.message import Job
    from trioqueue.model.retry_policy import RetryPolicy
    from trioqueue.model.schedule import Schedule
    from trioqueue.model.spans import Seconds
    from trioqueue.running import RunEnd
    from trioqueue.schedules.when import When
    from trioqueue.store import Store
    from trioqueue.worker import Worker

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_QUEUE: Final = "default"
DEFAULT_THREADS: Final = 40
TASK_QUEUE_OPTIONS: Final = QueueOptions(retention=RetentionPolicy.keep(3600))
"""What a task's queue gets unless the app says otherwise: results stay for an hour."""


@final
class App:
    """Tasks, the queues they use, and the store they are enqueued in.

    Args:
        queues: Options of queues that need other than the default; they are created,
            or updated, when the app opens.
        threads: The most plain functions that run in threads at once.

    Raises:
        ValidationError: A queue's name or options are wrong.
    """

    def __init__(
        self,
        *,
        queues: Mapping[str, QueueOptions] | None = None,
        threads: int = DEFAULT_THREADS,
    ) -> None:
        self._queues = dict(queues or {})
        for name, options in self._queues.items():
            check_queue_name(name, "queues")
            if issues := option_issues(options):
                raise ValidationError(issues)
        self._tasks: dict[str, Task[Any, Any]] = {}
        self._schedules = DeclaredSchedules()
        self._limiter = trio.CapacityLimiter(threads)
        self._store: Store | None = None

    # An awaitable is a value too, so the overloads overlap; the first match wins.
    @overload
    def task(  # type: ignore[overload-overlap]  # see above
        self, function: Callable[Concatenate[Job, P], Awaitable[R]], /
    ) -> JobTask[P, R]: ...

    @overload
    def task(  # type: ignore[overload-overlap]  # see above
        self, function: Callable[P, Awaitable[R]], /
    ) -> AsyncTask[P, R]: ...

    @overload
    def task(
        self, function: Callable[Concatenate[Job, P], R], /
    ) -> PlainJobTask[P, R]: ...

    @overload
    def task(self, function: Callable[P, R], /) -> PlainTask[P, R]: ...

    @overload
    def task(
        self,
        function: None = None,
        /,
        *,
        queue: str = ...,
        name: str | None = ...,
        max_attempts: int | None = ...,
        retry: RetryPolicy | None = ...,
        priority: int | None = ...,
        lease: LeasePolicy | None = ...,
        flavor: str | None = ...,
    ) -> _Decorator: ...

    def task(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        queue: str = DEFAULT_QUEUE,
        name: str | None = None,
        max_attempts: int | None = None,
        retry: RetryPolicy | None = None,
        priority: int | None = None,
        lease: LeasePolicy | None = None,
        flavor: str | None = None,
    ) -> Any:
        """Register a function as a task; it can still be called directly.

        An ``async def`` runs as a Trio task, a plain ``def`` in a thread (under a mock
        clock inline, so that virtual time is exact).  A first parameter annotated `Job`
        receives the job and is no argument of ``enqueue``.

        Args:
            function: The function, when used without parentheses.
            queue: The queue that it is enqueued in.
            name: The name kept in messages (default: the function's).
            max_attempts: How often it may be tried (default: the queue's).
            retry: How long a failed message waits (default: the queue's policy).
            priority: 0 to 4, higher first (2).
            lease: Lease terms of its own.
            flavor: None; ``"asyncio"`` is not available yet.

        Raises:
            ValidationError: A setting is wrong, or the name is taken.
        """

        def register(function: Callable[..., Any]) -> Task[Any, Any]:
            task = make_task(
                self,
                function,
                queue=queue,
                name=name,
                max_attempts=max_attempts,
                retry=retry,
                priority=priority,
                lease=lease,
                flavor=flavor,
            )
            if task.name in self._tasks:
                raise ValidationError.of(
                    "name", f"there is a task {task.name!r} already; give it another"
                )
            self._tasks[task.name] = task
            return task

        return register if function is None else register(function)

    def schedule(
        self,
        when: When,
        *,
        id: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        misfire: Misfire = Misfire.coalesce(),
        jitter_seconds: Seconds = 0,
        max_messages: int | None = None,
        start_at: datetime | None = None,
        end_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Callable[[TaskT], TaskT]:
        """Declare that a task runs on a schedule; write it above ``@app.task``.

        Whenever the app opens, its store gets the schedules that it lacks, and those
        that differ are updated.  None is deleted: another deployment may have declared
        it.  What runs is a message like any other, posted by the services.

        Args:
            when: A `Cron` or a `Calendar`.
            id: The schedule's id (default: the task's name).
            args: What the task is called with.
            kwargs: The same, by name.
            misfire: What becomes of missed runs.
            jitter_seconds: Spread the runs over so long.
            max_messages: Run so often at most.
            start_at: No run before this instant.
            end_at: No run after it.
            metadata: Kept with each message.

        Raises:
            ValidationError: A setting is wrong, or the id is taken.
        """
        return self._schedules.decorator(
            when,
            id=id,
            args=args,
            kwargs=kwargs,
            misfire=misfire,
            jitter_seconds=jitter_seconds,
            max_messages=max_messages,
            start_at=start_at,
            end_at=end_at,
            metadata=metadata,
        )

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """The schedules that it declares, by id."""
        return {schedule.id: schedule for schedule in self._schedules}

    @property
    def tasks(self) -> Mapping[str, Task[Any, Any]]:
        """Its tasks by name."""
        return dict(self._tasks)

    @property
    def queues(self) -> list[str]:
        """The queues that it declares or whose tasks it has."""
        return sorted({*self._queues, *(task.queue for task in self._tasks.values())})

    @property
    def limiter(self) -> trio.CapacityLimiter:
        """What bounds the threads of plain functions."""
        return self._limiter

    @property
    def store(self) -> Store:
        """The store it is open on.

        Raises:
            TrioQueueError: It is not open.
        """
        if self._store is None:
            message = "the app is not open; enqueue inside `async with app.open(url):`"
            raise TrioQueueError(message)
        return self._store

    def handlers(self) -> Mapping[str, Handler]:
        """Return a handler for each queue that has tasks; for `Worker`."""
        return {
            queue: Dispatcher(self, queue)
            for queue in sorted({task.queue for task in self._tasks.values()})
        }

    @asynccontextmanager
    async def open(self, url: str, **options: Any) -> AsyncIterator[Store]:
        """Open the app's store for the length of an ``async with`` block.

        Its queues and schedules exist afterwards.

        Args:
            url: The store's address.
            options: Whatever else `open_store` takes.
        """
        async with open_store(url, **options) as store, self.use(store):
            yield store

    @asynccontextmanager
    async def use(self, store: Store) -> AsyncIterator[None]:
        """Use a store that is open already, for the length of the block."""
        if self._store is not None:
            message = f"the app is open on {self._store.url} already"
            raise TrioQueueError(message)
        self._store = store
        try:
            await self.declare()
            yield
        finally:
            self._store = None

    async def declare(self) -> None:
        """Create the app's queues and schedules; update what the app says otherwise."""
        for name in self.queues:
            await self._declare_queue(name)
        await self._schedules.synchronize(self.store)

    async def _declare_queue(self, name: str) -> None:
        wanted = self._queues.get(name)
        existing = await self.store.list_queues(name, limit=1)
        if not existing or existing[0].name != name:
            await self.store.create_queue(name, wanted or TASK_QUEUE_OPTIONS)
        elif wanted is not None and existing[0].options != wanted:
            await self.store.update_queue(name, wanted)

    async def run(  # noqa: ASYNC128  its runner reports
        self,
        url: str,
        *,
        queues: Iterable[str] | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        grace_seconds: Seconds = DEFAULT_GRACE_SECONDS,
        drain: bool = False,
        max_jobs: int | None = None,
        metrics: str | None = None,
        task_status: trio.TaskStatus[Worker] = trio.TASK_STATUS_IGNORED,
    ) -> RunEnd:
        """Run the services and a worker in one nursery, until canceled or signaled.

        SIGINT and SIGTERM stop it gracefully: no more claims, jobs in hand may finish
        for the grace; a second signal cuts them off, and a third has its ordinary
        effect.  Jobs that are cut off go back to their queues, attempts refunded.

        Args:
            url: The store's address.
            queues: Only these queues (default: all that have tasks).
            concurrency: The most jobs at once.
            grace_seconds: How long jobs may take to finish after a signal.
            drain: End as soon as nothing is ready; what is due later stays.
            max_jobs: End after so many jobs (None: never).
            metrics: Where to serve metrics and health, ``127.0.0.1:9464`` for example
                (None: nowhere); see `trioqueue.metrics.serve_metrics`.
            task_status: Reports the worker, once it runs.

        Returns:
            How it ended.
        """
        return await run_app(
            self,
            url,
            queues=queues,
            concurrency=concurrency,
            grace_seconds=grace_seconds,
            drain=drain,
            max_jobs=max_jobs,
            metrics=metrics,
            task_status=task_status,
        )


class _Decorator(Protocol):
    """What ``@app.task(...)`` returns: typed by the function it decorates."""

    # They overlap as those of `App.task` do.
    @overload
    def __call__(  # type: ignore[overload-overlap]  # see above
        self, function: Callable[Concatenate[Job, P], Awaitable[R]]
    ) -> JobTask[P, R]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]  # see above
        self, function: Callable[P, Awaitable[R]]
    ) -> AsyncTask[P, R]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[Job, P], R]
    ) -> PlainJobTask[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R]) -> PlainTask[P, R]: ...
