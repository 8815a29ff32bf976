"""A durable message queue for Trio, in SQLite or PostgreSQL.

Where things are, from the top down (imports point down this list, never up):

- `cli`: the ``trioqueue`` command
- `app`, `task`, `declared`: `App`, typed tasks, their schedules; what most use
- `running`: an app's services and worker, until a signal; `logs`
- `worker`: claims messages and runs handlers, each in its own cancel scope
- `services`: the background loops, and all of them in one nursery
- `metrics`: what is counted and sampled, for Prometheus, and health
- `testing`: virtual time, fixtures
- `store`: `open_store` and `Store`; operations without I/O, and round them SQLite
  and PostgreSQL
- `schedules`: `Cron` and `Calendar`, when something runs, as pure values
- `schema`, `validators`: what payloads must look like
- `policies`: the rules, as pure functions
- `model`, `clock`, `errors`, `issues`: the nouns, the time, what goes wrong

Names are imported when they are first used, so that ``import trioqueue``, and
the command's ``--help``, cost next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue._lazy import lazy_names

if TYPE_CHECKING:
    from trioqueue.app import App as App
    from trioqueue.clock import Clock as Clock
    from trioqueue.clock import TrioClock as TrioClock
    from trioqueue.clock import WallClock as WallClock
    from trioqueue.current import current_job as current_job
    from trioqueue.errors import (
        BusinessCalendarNotFoundError as BusinessCalendarNotFoundError,
    )
    from trioqueue.errors import ConflictError as ConflictError
    from trioqueue.errors import Discard as Discard
    from trioqueue.errors import DuplicateMessageError as DuplicateMessageError
    from trioqueue.errors import ExecutionLimitError as ExecutionLimitError
    from trioqueue.errors import HandlerSignal as HandlerSignal
    from trioqueue.errors import IllegalStateError as IllegalStateError
    from trioqueue.errors import Issue as Issue
    from trioqueue.errors import LeaseLostError as LeaseLostError
    from trioqueue.errors import MessageFailedError as MessageFailedError
    from trioqueue.errors import MessageNotFoundError as MessageNotFoundError
    from trioqueue.errors import NotFoundError as NotFoundError
    from trioqueue.errors import QueueExistsError as QueueExistsError
    from trioqueue.errors import QueueNotFoundError as QueueNotFoundError
    from trioqueue.errors import Retry as Retry
    from trioqueue.errors import ScheduleExistsError as ScheduleExistsError
    from trioqueue.errors import ScheduleNotFoundError as ScheduleNotFoundError
    from trioqueue.errors import SchemaNotFoundError as SchemaNotFoundError
    from trioqueue.errors import SchemaVersionError as SchemaVersionError
    from trioqueue.errors import Snooze as Snooze
    from trioqueue.errors import StoreClosedError as StoreClosedError
    from trioqueue.errors import StoreUnavailableError as StoreUnavailableError
    from trioqueue.errors import TrioQueueError as TrioQueueError
    from trioqueue.errors import ValidationError as ValidationError
    from trioqueue.errors import ValidationIssue as ValidationIssue
    from trioqueue.errors import Violation as Violation
    from trioqueue.errors import WorkerNotFoundError as WorkerNotFoundError
    from trioqueue.model import AttemptRecord as AttemptRecord
    from trioqueue.model import BulkMode as BulkMode
    from trioqueue.model import BulkReport as BulkReport
    from trioqueue.model import DeadLetter as DeadLetter
    from trioqueue.model import DeadLetterStats as DeadLetterStats
    from trioqueue.model import ExpiredMessage as ExpiredMessage
    from trioqueue.model import Explanation as Explanation
    from trioqueue.model import Fairness as Fairness
    from trioqueue.model import Job as Job
    from trioqueue.model import Lease as Lease
    from trioqueue.model import LeasePolicy as LeasePolicy
    from trioqueue.model import Message as Message
    from trioqueue.model import MessageFilter as MessageFilter
    from trioqueue.model import MessagePage as MessagePage
    from trioqueue.model import MessageSelection as MessageSelection
    from trioqueue.model import MessageState as MessageState
    from trioqueue.model import Misfire as Misfire
    from trioqueue.model import NewMessage as NewMessage
    from trioqueue.model import NextRun as NextRun
    from trioqueue.model import Overview as Overview
    from trioqueue.model import PostOutcome as PostOutcome
    from trioqueue.model import PostResult as PostResult
    from trioqueue.model import Queue as Queue
    from trioqueue.model import QueueOptions as QueueOptions
    from trioqueue.model import QueueOverview as QueueOverview
    from trioqueue.model import QueueState as QueueState
    from trioqueue.model import QueueType as QueueType
    from trioqueue.model import Reason as Reason
    from trioqueue.model import ReasonKind as ReasonKind
    from trioqueue.model import RetentionPolicy as RetentionPolicy
    from trioqueue.model import RetryPolicy as RetryPolicy
    from trioqueue.model import Schedule as Schedule
    from trioqueue.model import ScheduleRun as ScheduleRun
    from trioqueue.model import ScheduleState as ScheduleState
    from trioqueue.model import SchemaVersion as SchemaVersion
    from trioqueue.model import WorkerInfo as WorkerInfo
    from trioqueue.running import HowEnded as HowEnded
    from trioqueue.running import RunEnd as RunEnd
    from trioqueue.schedules.calendar import Calendar as Calendar
    from trioqueue.schedules.cron import Cron as Cron
    from trioqueue.services import open_services as open_services
    from trioqueue.store import Store as Store
    from trioqueue.store import open_store as open_store
    from trioqueue.store.copying import CopyReport as CopyReport
    from trioqueue.store.copying import copy_store as copy_store
    from trioqueue.store.copying import plan_copy as plan_copy
    from trioqueue.store.exporting import export_store as export_store
    from trioqueue.store.importing import import_store as import_store
    from trioqueue.store.importing import plan_import as plan_import
    from trioqueue.store.importing import read_export as read_export
    from trioqueue.store.transaction_methods import JobTransaction as JobTransaction
    from trioqueue.task import TaskHandle as TaskHandle
    from trioqueue.validators import validator as validator
    from trioqueue.worker import Worker as Worker
    from trioqueue.worker import WorkerStatistics as WorkerStatistics

_HOMES: Final = {
    "trioqueue.app": ("App",),
    "trioqueue.clock": (
        "Clock",
        "TrioClock",
        "WallClock",
    ),
    "trioqueue.current": ("current_job",),
    "trioqueue.errors": (
        "BusinessCalendarNotFoundError",
        "ConflictError",
        "Discard",
        "DuplicateMessageError",
        "ExecutionLimitError",
        "HandlerSignal",
        "IllegalStateError",
        "Issue",
        "LeaseLostError",
        "MessageFailedError",
        "MessageNotFoundError",
        "NotFoundError",
        "QueueExistsError",
        "QueueNotFoundError",
        "Retry",
        "ScheduleExistsError",
        "ScheduleNotFoundError",
        "SchemaNotFoundError",
        "SchemaVersionError",
        "Snooze",
        "StoreClosedError",
        "StoreUnavailableError",
        "TrioQueueError",
        "ValidationError",
        "ValidationIssue",
        "Violation",
        "WorkerNotFoundError",
    ),
    "trioqueue.model": (
        "AttemptRecord",
        "BulkMode",
        "BulkReport",
        "DeadLetter",
        "DeadLetterStats",
        "ExpiredMessage",
        "Explanation",
        "Fairness",
        "Job",
        "Lease",
        "LeasePolicy",
        "Message",
        "MessageFilter",
        "MessagePage",
        "MessageSelection",
        "MessageState",
        "Misfire",
        "NewMessage",
        "NextRun",
        "Overview",
        "PostOutcome",
        "PostResult",
        "Queue",
        "QueueOptions",
        "QueueOverview",
        "QueueState",
        "QueueType",
        "Reason",
        "ReasonKind",
        "RetentionPolicy",
        "RetryPolicy",
        "Schedule",
        "ScheduleRun",
        "ScheduleState",
        "SchemaVersion",
        "WorkerInfo",
    ),
    "trioqueue.running": ("HowEnded", "RunEnd"),
    "trioqueue.schedules.calendar": ("Calendar",),
    "trioqueue.schedules.cron": ("Cron",),
    "trioqueue.services": ("open_services",),
    "trioqueue.store": (
        "Store",
        "open_store",
    ),
    "trioqueue.store.copying": (
        "CopyReport",
        "copy_store",
        "plan_copy",
    ),
    "trioqueue.store.exporting": ("export_store",),
    "trioqueue.store.importing": ("import_store", "plan_import", "read_export"),
    "trioqueue.store.transaction_methods": ("JobTransaction",),
    "trioqueue.task": ("TaskHandle",),
    "trioqueue.validators": ("validator",),
    "trioqueue.worker": (
        "Worker",
        "WorkerStatistics",
    ),
}
"""Where each public name lives; a test compares it with the imports above."""

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
