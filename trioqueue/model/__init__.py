"""The nouns of trioqueue, as frozen records.

`spans` reads what callers write; `queue`, `lease_policy` and `retry_policy` hold
what a queue is told to do (`options_codec` checks and stores it); `message` holds
messages and jobs, `schedule` schedules and their runs, `worker_info` who runs jobs,
`schema` what payloads look like, `explanation` why a message does not run, `overview`
everything at a glance.
"""

from trioqueue.model.bulk import BulkReport as BulkReport
from trioqueue.model.bulk import MessagePage as MessagePage
from trioqueue.model.bulk import MessageSelection as MessageSelection
from trioqueue.model.explanation import Explanation as Explanation
from trioqueue.model.explanation import Reason as Reason
from trioqueue.model.explanation import ReasonKind as ReasonKind
from trioqueue.model.lease_policy import LeasePolicy as LeasePolicy
from trioqueue.model.message import AttemptRecord as AttemptRecord
from trioqueue.model.message import BulkMode as BulkMode
from trioqueue.model.message import DeadLetter as DeadLetter
from trioqueue.model.message import DeadLetterStats as DeadLetterStats
from trioqueue.model.message import ExpiredMessage as ExpiredMessage
from trioqueue.model.message import Job as Job
from trioqueue.model.message import Lease as Lease
from trioqueue.model.message import Message as Message
from trioqueue.model.message import MessageState as MessageState
from trioqueue.model.message import NewMessage as NewMessage
from trioqueue.model.message import PostOutcome as PostOutcome
from trioqueue.model.message import PostResult as PostResult
from trioqueue.model.message_filter import MessageFilter as MessageFilter
from trioqueue.model.overview import NextRun as NextRun
from trioqueue.model.overview import Overview as Overview
from trioqueue.model.overview import QueueOverview as QueueOverview
from trioqueue.model.queue import Fairness as Fairness
from trioqueue.model.queue import Queue as Queue
from trioqueue.model.queue import QueueOptions as QueueOptions
from trioqueue.model.queue import QueueState as QueueState
from trioqueue.model.queue import QueueType as QueueType
from trioqueue.model.queue import RetentionPolicy as RetentionPolicy
from trioqueue.model.retry_policy import RetryPolicy as RetryPolicy
from trioqueue.model.schedule import Misfire as Misfire
from trioqueue.model.schedule import Schedule as Schedule
from trioqueue.model.schedule import ScheduleRun as ScheduleRun
from trioqueue.model.schedule import ScheduleState as ScheduleState
from trioqueue.model.schema import SchemaVersion as SchemaVersion
from trioqueue.model.worker_info import WorkerInfo as WorkerInfo
