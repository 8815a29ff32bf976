"""Tasks: functions that can be called, or enqueued to be called by a worker."""

from __future__ import annotations

import functools
import inspect
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    ParamSpec,
    Protocol,
    TypeVar,
    final,
)

import attrs
import trio

from trioqueue.errors import (
    Discard,
    MessageFailedError,
    QueueNotFoundError,
    ValidationError,
)
from trioqueue.model.lease_policy import LeasePolicy
from trioqueue.model.message import Job, MessageState
from trioqueue.model.retry_policy import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from trioqueue.model.message import Message
    from trioqueue.model.spans import Seconds
    from trioqueue.store import Store

P = ParamSpec("P")
R = TypeVar("R")


class TaskOwner(Protocol):
    """What a task needs of its app."""

    @property
    def store(self) -> Store:
        """The store to enqueue in."""
        ...

    @property
    def limiter(self) -> trio.CapacityLimiter:
        """What bounds the threads of plain functions."""
        ...

    async def declare(self) -> None:
        """Create the queues of tasks that were registered late."""
        ...


@final
@attrs.frozen
class TaskHandle(Generic[R]):
    """A task that has been enqueued.

    Attributes:
        store: Where.
        message: The message as it was posted.
    """

    store: Store = attrs.field(repr=False)
    message: Message

    @property
    def message_id(self) -> str:
        """The message's id."""
        return self.message.message_id

    @property
    def queue(self) -> str:
        """The queue it is in."""
        return self.message.queue

    async def wait(self) -> R:
        """Wait until the task has finished; return its result.

        Bound the wait with a cancel scope; the task itself is not affected.

        Raises:
            MessageFailedError: It became a dead letter, or was canceled.
            MessageNotFoundError: It has finished and its queue keeps nothing.
        """
        message = await self.store.wait_finished(self.queue, self.message_id)
        if message.state is not MessageState.COMPLETED:
            raise MessageFailedError(message)
        result: R = message.result
        return result


@final
@attrs.frozen(kw_only=True)
class TaskOptions:
    """How one call of a task is enqueued; None leaves it to the task."""

    message_id: str | None = None
    priority: int | None = None
    delay_seconds: Seconds | None = None
    scheduled_time: datetime | None = None
    max_attempts: int | None = None
    lease: LeasePolicy | None = None
    metadata: Mapping[str, Any] | None = None


@final
class TaskWithOptions(Generic[P, R]):
    """A task together with how it is to be enqueued; made by ``task.options(...)``."""

    def __init__(self, task: Task[P, R], options: TaskOptions) -> None:
        self._task = task
        self._options = options

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[R]:
        """Enqueue a call of the task with these options."""
        return await self._task.enqueue_with(self._options, args, kwargs)


class Task(Generic[P, R]):
    """A function registered on an app.

    Attributes:
        name: What messages call it by.
        queue: The queue it is enqueued in.
        retry: How long its failed messages wait, if not by the queue's policy.
    """

    def __init__(
        self,
        app: TaskOwner,
        function: Callable[..., Any],
        settings: Settings,
        signature: inspect.Signature,
    ) -> None:
        self._app = app
        self._function = function
        self._settings = settings
        self._signature = signature
        self.name = settings.name
        self.queue = settings.queue
        self.retry = settings.retry
        self.__wrapped__ = function
        self.__doc__ = function.__doc__
        self.__name__ = settings.name

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskHandle[R]:
        """Store a call of the task; a worker will make it.

        Returns:
            A handle to wait for the result with.

        Raises:
            ValidationError: The arguments do not fit, or cannot be written as JSON.
            TrioQueueError: The app is not open.
        """
        return await self.enqueue_with(TaskOptions(), args, kwargs)

    def options(
        self,
        *,
        message_id: str | None = None,
        priority: int | None = None,
        delay_seconds: Seconds | None = None,
        scheduled_time: datetime | None = None,
        max_attempts: int | None = None,
        lease: LeasePolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> TaskWithOptions[P, R]:
        """Say how a call is enqueued: ``task.options(delay_seconds=5).enqueue()``.

        The arguments are those of ``Store.post``.
        """
        options = TaskOptions(
            message_id=message_id,
            priority=priority,
            delay_seconds=delay_seconds,
            scheduled_time=scheduled_time,
            max_attempts=max_attempts,
            lease=lease,
            metadata=metadata,
        )
        return TaskWithOptions(self, options)

    async def enqueue_with(
        self, options: TaskOptions, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> TaskHandle[R]:
        """Store a call of the task with options."""
        call = self.call_document(args, kwargs)
        own = self._settings
        store = self._app.store
        post = functools.partial(
            store.post,
            self.queue,
            call,
            message_id=options.message_id,
            priority=_first(options.priority, own.priority),
            delay_seconds=options.delay_seconds,
            scheduled_time=options.scheduled_time,
            max_attempts=_first(options.max_attempts, own.max_attempts),
            lease=_first(options.lease, own.lease),
            metadata=options.metadata,
        )
        try:
            return TaskHandle(store, await post())
        except QueueNotFoundError:
            # The task was registered after the app was opened.
            pass
        await self._app.declare()
        return TaskHandle(store, await post())

    def call_document(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the payload of a message that calls the task.

        Raises:
            ValidationError: The arguments do not fit.
        """
        problem = self._misfit(args, kwargs)
        if problem is not None:
            raise ValidationError.of("arguments", f"of task {self.name!r}: {problem}")
        return {"task": self.name, "args": list(args), "kwargs": dict(kwargs)}

    def message_settings(self) -> dict[str, Any]:
        """Return how the task wants its messages to be, beside their content."""
        own = self._settings
        return {
            "priority": own.priority,
            "max_attempts": own.max_attempts,
            "lease": own.lease,
        }

    def _misfit(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            return str(error)
        return None

    async def run(
        self, job: Job, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Run the function for a job, in its own way; for workers.

        Raises:
            Discard: The arguments do not fit the function (any more).
        """
        problem = self._misfit(args, kwargs)
        if problem is not None:
            message = f"the arguments do not fit task {self.name!r}: {problem}"
            raise Discard(message)
        own = self._settings
        call = functools.partial(
            self._function, *([job] if own.takes_job else []), *args, **kwargs
        )
        if own.is_async:
            return await call()
        if self._app.store.clock.is_virtual:
            # A thread would look like idleness, and virtual time would leap.
            await trio.lowlevel.checkpoint()
            return call()
        # Abandoned when canceled: a thread cannot be stopped, and the worker must not
        # wait for it past its grace.  What it still says is fenced off.
        return await trio.to_thread.run_sync(
            call, abandon_on_cancel=True, limiter=self._app.limiter
        )

    def __repr__(self) -> str:
        return f"<task {self.name} on queue {self.queue}>"


@final
class AsyncTask(Task[P, R]):
    """A task made of an async function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Call the function directly."""
        awaitable: Awaitable[R] = self._function(*args, **kwargs)
        return awaitable


@final
class JobTask(Task[P, R]):
    """A task made of an async function whose first parameter is the job."""

    def __call__(self, job: Job, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Call the function directly, with a job of the caller's."""
        awaitable: Awaitable[R] = self._function(job, *args, **kwargs)
        return awaitable


@final
class PlainTask(Task[P, R]):
    """A task made of a plain function; workers run it in a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function directly."""
        value: R = self._function(*args, **kwargs)
        return value


@final
class PlainJobTask(Task[P, R]):
    """A task made of a plain function whose first parameter is the job."""

    def __call__(self, job: Job, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function directly, with a job of the caller's."""
        value: R = self._function(job, *args, **kwargs)
        return value


@attrs.frozen(kw_only=True)
class Settings:
    """What ``@app.task`` was told, and what it found out about the function."""

    name: str
    queue: str
    max_attempts: int | None
    retry: RetryPolicy | None
    priority: int | None
    lease: LeasePolicy | None
    is_async: bool
    takes_job: bool


def _first(preferred: Any, otherwise: Any) -> Any:
    return otherwise if preferred is None else preferred
