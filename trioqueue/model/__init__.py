"""The nouns of trioqueue, as frozen records.

`spans` reads what callers write; `queue`, `lease_policy` and `retry_policy` hold
what a queue is told to do (`options_codec` checks and stores it); `message` holds
messages and jobs, `schedule` schedules and their runs.
"""

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
