"""What log records of jobs carry, and how to write it as JSON.

Everything trioqueue logs goes to loggers below ``trioqueue``, by the standard library's
`logging`, and is configured like any other.  Records about a job have the attributes
`FACTS`; `JobFilter` gives them to what handlers log as well.  Payloads and results are
never logged.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, final

from trioqueue.current import current_job
from trioqueue.tracing import trace_id_of

if TYPE_CHECKING:
    from trioqueue.model.message import Job

FACTS: Final = (
    "queue",
    "message_id",
    "attempt",
    "worker",
    "schedule",
    "service",
    "trace_id",
)
"""Attributes of log records, where they apply."""

SCHEDULE_KEY: Final = "trioqueue.schedule"
_PLAIN: Final = frozenset(
    (*vars(logging.makeLogRecord({})), "message", "asctime", "taskName")
)


def job_facts(job: Job) -> dict[str, Any]:
    """Return what a log record says about a job; for the argument ``extra``."""
    message = job.message
    facts: dict[str, Any] = {
        "queue": message.queue,
        "message_id": message.message_id,
        "attempt": job.attempt,
        "worker": job.worker_id,
    }
    if message.metadata:
        schedule = message.metadata.get(SCHEDULE_KEY)
        if isinstance(schedule, str):
            facts["schedule"] = schedule
        trace_id = trace_id_of(message.metadata)
        if trace_id is not None:
            facts["trace_id"] = trace_id
    return facts


@final
class JobFilter(logging.Filter):
    """Adds to each record what it does not say about the job it was logged in.

    Add it to a handler, so that it sees the records of every logger::

        handler = logging.StreamHandler()
        handler.addFilter(trioqueue.logs.JobFilter())
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the facts; let every record pass."""
        job = current_job()
        if job is not None and not hasattr(record, "message_id"):
            for name, value in job_facts(job).items():
                if not hasattr(record, name):
                    setattr(record, name, value)
        return True


@final
class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object on one line.

    ``time`` (UTC), ``level``, ``logger`` and ``message`` are always there; whatever was
    given as ``extra`` stands beside them, and ``exception`` and ``stack`` where there
    is one.  What JSON does not know is written as its ``repr``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        moment = datetime.fromtimestamp(record.created, UTC)
        facts: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _PLAIN and value is not None:
                facts.setdefault(name, value)
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            facts["stack"] = self.formatStack(record.stack_info)
        # Only ASCII: a line stays a line whatever separators a text holds.
        return json.dumps(facts, default=repr)


@final
class TextFormatter(logging.Formatter):
    """Writes a record for people, the facts that its text does not say behind it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's
        """Write the line."""
        line = super().formatMessage(record)
        if record.name.partition(".")[0] == "trioqueue":
            return line  # these texts name what they speak of
        facts = [
            f"{name}={value}"
            for name in FACTS
            if (value := getattr(record, name, None)) is not None
        ]
        return f"{line} [{' '.join(facts)}]" if facts else line
