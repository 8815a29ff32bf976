"""The background loops: each does all that is due, then sleeps until more is.

`base` is what they share, `group` runs them in one nursery; each has a file of its own.
"""

from trioqueue.services.base import Service as Service
from trioqueue.services.base import ServiceStatistics as ServiceStatistics
from trioqueue.services.calendar import CalendarService as CalendarService
from trioqueue.services.cleanup import CleanupService as CleanupService
from trioqueue.services.cron import CronProcessorService as CronProcessorService
from trioqueue.services.group import Services as Services
from trioqueue.services.group import open_services as open_services
from trioqueue.services.metrics_reporter import (
    MetricsReporterService as MetricsReporterService,
)
from trioqueue.services.reclaim import ReclaimableBackend as ReclaimableBackend
from trioqueue.services.reclaim import ReclaimService as ReclaimService
from trioqueue.services.scheduler import SchedulerService as SchedulerService
