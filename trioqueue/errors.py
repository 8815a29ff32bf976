"""Every error that trioqueue raises, split by who must act.

`TrioQueueError` is the one base.  Below it: the caller sent something wrong
(`ValidationError`, `NotFoundError`, `ConflictError`, `IllegalStateError`), the
caller no longer holds what it acts on (`LeaseLostError`), the database needs
attention (`StoreUnavailableError`, `SchemaVersionError`), or the program uses a
store that it has closed (`StoreClosedError`).  Facts are attributes; texts say
what happened and what to do.

`Retry`, `Snooze` and `Discard` are not errors: a handler raises them to say how
its attempt ends.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, final

from trioqueue.issues import Issue as Issue  # noqa: PLC0414  public
from trioqueue.issues import ValidationIssue as ValidationIssue  # noqa: PLC0414  public
from trioqueue.issues import Violation as Violation  # noqa: PLC0414  public

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from trioqueue.model import Message, MessageState


class TrioQueueError(Exception):
    """Base of every error that trioqueue raises."""


class ValidationError(TrioQueueError, ValueError):
    """The input is wrong; nothing was stored.

    Attributes:
        issues: Every problem found, not only the first.
    """

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues: tuple[Issue, ...] = tuple(issues)
        super().__init__("; ".join(map(str, self.issues)))

    @classmethod
    def of(cls, field: str, message: str) -> ValidationError:
        """Make the error for a single issue."""
        return cls([Issue(field, message)])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.issues,)


class NotFoundError(TrioQueueError, LookupError):
    """What the call names does not exist."""


class QueueNotFoundError(NotFoundError):
    """There is no queue of this name.

    Attributes:
        queue: The name asked for.
    """

    def __init__(self, queue: str) -> None:
        self.queue = queue
        super().__init__(
            f"queue {queue!r} does not exist; create it with create_queue({queue!r})"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.queue,)


class MessageNotFoundError(NotFoundError):
    """There is no such message: never posted, or deleted by its retention.

    Attributes:
        queue: The queue asked.
        message_id: The id asked for.
    """

    def __init__(self, queue: str, message_id: str, hint: str = "") -> None:
        self.queue = queue
        self.message_id = message_id
        self.hint = hint
        text = f"message {message_id!r} is not in queue {queue!r}"
        super().__init__(
            f"{text}; {hint or 'it was never posted, or its retention has deleted it'}"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.queue, self.message_id, self.hint)


class ScheduleNotFoundError(NotFoundError):
    """There is no schedule of this id.

    Attributes:
        schedule_id: The id asked for.
    """

    def __init__(self, schedule_id: str) -> None:
        self.schedule_id = schedule_id
        super().__init__(
            f"schedule {schedule_id!r} does not exist; create it with create_schedule"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.schedule_id,)


class BusinessCalendarNotFoundError(NotFoundError):
    """There is no business calendar of this id.

    Attributes:
        calendar_id: The id asked for.
    """

    def __init__(self, calendar_id: str) -> None:
        self.calendar_id = calendar_id
        super().__init__(
            f"business calendar {calendar_id!r} does not exist; "
            "store it with put_business_calendar"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.calendar_id,)


class WorkerNotFoundError(NotFoundError):
    """No worker of this id is alive.

    Attributes:
        worker_id: The id asked for.
    """

    def __init__(self, worker_id: str) -> None:
        self.worker_id = worker_id
        super().__init__(
            f"no worker {worker_id!r} is alive; list_workers tells which are"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.worker_id,)


class SchemaNotFoundError(NotFoundError):
    """There is no schema of this id or version.

    Attributes:
        schema_id: The id asked for.
        version: The version asked for (None: the latest active one).
    """

    def __init__(self, schema_id: str, version: int | None = None) -> None:
        self.schema_id = schema_id
        self.version = version
        which = "active version" if version is None else f"version {version}"
        super().__init__(
            f"schema {schema_id!r} has no {which}; register it with register_schema"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.schema_id, self.version)


class ConflictError(TrioQueueError):
    """The name is taken by something else."""


class DuplicateMessageError(ConflictError):
    """The queue holds another message under this id.

    Posting the *same* content again is not an error: it returns what is stored.

    Attributes:
        queue: The queue.
        message_id: The id.
        differences: The fields in which the two messages differ.
    """

    def __init__(
        self, queue: str, message_id: str, differences: Sequence[str] = ()
    ) -> None:
        self.queue = queue
        self.message_id = message_id
        self.differences = tuple(differences)
        which = f" (it differs in {', '.join(differences)})" if differences else ""
        super().__init__(
            f"queue {queue!r} already has a message {message_id!r} with other "
            f"content{which}; choose another message_id, or post the same content"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.queue, self.message_id, self.differences)


class QueueExistsError(ConflictError):
    """A queue of this name exists with other options.

    Attributes:
        queue: The name.
    """

    def __init__(self, queue: str) -> None:
        self.queue = queue
        super().__init__(
            f"queue {queue!r} exists with other options; "
            "use update_queue to change them, or another name"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.queue,)


class ScheduleExistsError(ConflictError):
    """A schedule of this id exists with other settings.

    Attributes:
        schedule_id: The id.
        differences: The settings in which the two differ.
    """

    def __init__(self, schedule_id: str, differences: Sequence[str] = ()) -> None:
        self.schedule_id = schedule_id
        self.differences = tuple(differences)
        which = f" (it differs in {', '.join(differences)})" if differences else ""
        super().__init__(
            f"schedule {schedule_id!r} exists with other settings{which}; "
            "use update_schedule to change them, or another id"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.schedule_id, self.differences)


class IllegalStateError(TrioQueueError):
    """The verb does not apply in the state the thing is in; nothing changed.

    Attributes:
        state: The state it is in (None where the thing has no message state).
    """

    def __init__(self, message: str, state: MessageState | None = None) -> None:
        self.state = state
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.state)


class LeaseLostError(TrioQueueError):
    """The attempt is over, so its holder's word no longer counts; nothing changed.

    Attributes:
        reason: ``lease_expired`` or ``heartbeat_expired`` (a deadline has passed),
            ``superseded`` (the message was given back, or to another attempt),
            ``finished`` (this attempt has already ended in another way),
            ``aborted`` (somebody canceled the message while it ran).
    """

    def __init__(self, queue: str, message_id: str, reason: str) -> None:
        self.queue = queue
        self.message_id = message_id
        self.reason = reason
        super().__init__(
            f"the lease on message {message_id!r} of queue {queue!r} is lost "
            f"({reason}); stop working on it, another attempt may own it"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.queue, self.message_id, self.reason)


class StoreUnavailableError(TrioQueueError):
    """The database cannot do the work now: locked, full, read-only, unreachable."""


class SchemaVersionError(TrioQueueError):
    """The database was made by another version of trioqueue.

    Attributes:
        found: The schema version in the database.
        known: The newest version this trioqueue knows.
    """

    def __init__(self, message: str, *, found: int, known: int) -> None:
        self.found = found
        self.known = known
        super().__init__(message)

    def __reduce__(self) -> tuple[object, ...]:
        maker = partial(type(self), found=self.found, known=self.known)
        return maker, (self.args[0],)


class StoreClosedError(TrioQueueError):
    """The store was closed; use it inside its ``async with open_store(...)`` block."""


class MessageFailedError(TrioQueueError):
    """A message that somebody waits for ended without a result.

    Attributes:
        message: The message as it ended: its state, reason and attempts.
    """

    def __init__(self, message: Message) -> None:
        self.message = message
        last = next((a for a in reversed(message.attempts) if a.error_type), None)
        cause = f": {last.error_type}: {last.error_message}" if last else ""
        super().__init__(
            f"message {message.message_id!r} of queue {message.queue!r} ended "
            f"{message.state.name} ({message.reason}){cause}"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message,)


class ExecutionLimitError(TrioQueueError, TimeoutError):
    """A handler ran longer than its lease policy's ``execution_limit_seconds``."""


class HandlerSignal(Exception):
    """Base of what a handler raises to decide how its attempt ends."""


@final
class Retry(HandlerSignal):
    """Fail this attempt and try again, after a delay of the handler's choosing.

    Args:
        in_seconds: The delay; None leaves it to the retry policy.
        reason: A text kept with the attempt.
    """

    def __init__(
        self, *, in_seconds: float | timedelta | None = None, reason: str = ""
    ) -> None:
        self.in_seconds = in_seconds
        self.reason = reason
        super().__init__(reason or "the handler asked for a retry")

    def __reduce__(self) -> tuple[object, ...]:
        maker = partial(Retry, in_seconds=self.in_seconds, reason=self.reason)
        return maker, ()


@final
class Snooze(HandlerSignal):
    """Come back later without using up an attempt.

    Args:
        in_seconds: How much later.
    """

    def __init__(self, *, in_seconds: float | timedelta) -> None:
        self.in_seconds = in_seconds
        super().__init__(f"the handler snoozes for {in_seconds}")

    def __reduce__(self) -> tuple[object, ...]:
        return partial(Snooze, in_seconds=self.in_seconds), ()


@final
class Discard(HandlerSignal):
    """Give the message up for good: it becomes a dead letter, reason ``discarded``.

    Args:
        reason: Why, kept with the attempt.
    """

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        super().__init__(reason or "the handler discarded the message")
