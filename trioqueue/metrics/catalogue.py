"""Every metric, once: its name, type, labels and meaning.

What counts, what collects, the documentation, dashboards and tests all read this.
Names follow the conventions of Prometheus: base units, ``_total`` for counters, labels
whose values are few.  Series that are *counted* tell of this process alone; those that
are *sampled* tell of the whole database, as a `MetricsReporterService` last saw it;
those that are *shown* are looked up when somebody asks.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, final

import attrs

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Source: TypeAlias = Literal["counted", "sampled", "shown"]
Backend: TypeAlias = Literal["sqlite", "postgresql"]

QUEUES_SHOWN: Final = 500
"""So many queues have series of their own; the others are counted together ..."""
OTHER_QUEUES: Final = "(other)"
"""... under this name, which no queue can have."""
MICROS: Final = 1_000_000


@final
@attrs.frozen
class Metric:
    """One metric.

    Attributes:
        name: Its full name.
        kind: Its type.
        labels: The names of its labels; ``queue``, if there is one, comes first.
        help: What it means, in one sentence.
        source: Where its values come from.
        bounds: The upper bounds of a histogram's buckets, in its unit.
        scale: How many of what is counted make one unit: a million microseconds are a
            second.
        backend: The only kind of database that has it; None: all.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    source: Source = "counted"
    bounds: tuple[float, ...] = ()
    scale: int = 1
    backend: Backend | None = None

    @property
    def family(self) -> str:
        """Its name without the suffix that the text format adds to counters."""
        return self.name.removesuffix("_total") if self.kind == "counter" else self.name


CATALOGUE: Final[dict[str, Metric]] = {}
"""All metrics by name, in the order in which they are shown."""


def _add(metric: Metric) -> str:
    CATALOGUE[metric.name] = metric
    return metric.name


def _counter(name: str, text: str, *labels: str) -> str:
    return _add(Metric(f"trioqueue_{name}_total", "counter", text, labels))


def _seconds(name: str, text: str, *labels: str, bounds: tuple[float, ...]) -> str:
    name = f"trioqueue_{name}_seconds"
    return _add(Metric(name, "histogram", text, labels, bounds=bounds, scale=MICROS))


def _gauge(
    name: str,
    text: str,
    *labels: str,
    source: Source = "shown",
    backend: Backend | None = None,
) -> str:
    name = f"trioqueue_{name}"
    return _add(Metric(name, "gauge", text, labels, source, backend=backend))


_WAITS: Final = (0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200)
_RUNS: Final = (0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 1800)
_LAGS: Final = (0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 86400)
_QUICK: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 5, 30)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

# What happens to messages, in this process.
POSTED: Final = _counter(
    "messages_posted", "Messages stored, those of schedules included.", "queue"
)
DUPLICATES: Final = _counter(
    "messages_duplicate",
    "Posts that were already stored, with the same id and content.",
    "queue",
)
CLAIMED: Final = _counter(
    "messages_claimed", "Messages taken under a lease; each begins an attempt.", "queue"
)
CANCELED: Final = _counter(
    "messages_canceled",
    "Messages that ended CANCELED, while they waited or while they ran.",
    "queue",
)
ATTEMPTS: Final = _counter(
    "attempts",
    "Attempts that ended: completed, failed, released, canceled, lease_expired, "
    "heartbeat_expired or undecodable.",
    "queue",
    "outcome",
)
ERRORS: Final = _counter(
    "attempt_errors",
    "Attempts that went wrong: exception, execution_limit, lease_expired, "
    "heartbeat_expired or undecodable.",
    "queue",
    "kind",
)
WAITS: Final = _seconds(
    "message_wait",
    "How long messages were ready before they were claimed.",
    "queue",
    bounds=_WAITS,
)
RUNS: Final = _seconds(
    "attempt_run",
    "How long attempts ran, from the claim to their end, whatever it was.",
    "queue",
    bounds=_RUNS,
)
RENEWED: Final = _counter("leases_renewed", "Leases prolonged by heartbeats.", "queue")
LOST: Final = _counter(
    "leases_lost",
    "Words of attempts that were over already: heartbeats and ends that did not count.",
    "queue",
)
EXPIRED: Final = _counter(
    "leases_expired",
    "Attempts ended by the reclaim service, for want of a sign of life.",
    "queue",
)
DEAD_ADDED: Final = _counter(
    "dead_letters_added", "Messages that died, by reason.", "queue", "reason"
)
DEAD_REQUEUED: Final = _counter(
    "dead_letters_requeued",
    "Dead letters given a new life, by the queue they died in and why.",
    "queue",
    "reason",
)
DEAD_PURGED: Final = _counter(
    "dead_letters_purged",
    "Dead letters deleted by somebody, by the queue they died in and why.",
    "queue",
    "reason",
)

# Schedules and services, in this process.
SCHEDULE_RUNS: Final = _counter(
    "schedule_runs",
    "Runs of schedules that were posted: on_time, catch_up (after an outage) or "
    "manual.",
    "kind",
)
SCHEDULE_LAG: Final = _seconds(
    "schedule_lag",
    "How long after their time the runs of schedules were posted.",
    bounds=_LAGS,
)
ITERATIONS: Final = _counter(
    "service_iterations", "Cycles that services began.", "service"
)
FAILURES: Final = _counter(
    "service_failures", "Cycles that failed on the database.", "service"
)
PROCESSED: Final = _counter(
    "service_processed",
    "What services did: messages, runs, or queues looked at.",
    "service",
)
SERVICE_SECONDS: Final = _seconds(
    "service_cycle",
    "How long services took for what was due, failures included.",
    "service",
    bounds=_QUICK,
)

# The database, as this process uses it.
OPERATIONS: Final = _counter(
    "database_operations", "Operations done and committed, by name.", "operation"
)
TRANSACTIONS: Final = _seconds(
    "database_transaction",
    "How long transactions took: write, relaxed (may be lost if the server crashes) "
    "or read.",
    "kind",
    bounds=_QUICK,
)
GROUP_SIZES: Final = _add(
    Metric(
        "trioqueue_database_group_size",
        "histogram",
        "How many callers each writing transaction served.",
        bounds=_SIZES,
    )
)
BUSY: Final = _counter(
    "database_busy_retries",
    "How often work had to begin again because other transactions were in the way.",
)
CONNECTIONS_LOST: Final = _counter(
    "database_connections_lost", "Connections that were lost with work in them."
)
WAKEUPS: Final = _counter(
    "wakeups",
    "How news from the database came in: push (another process told) or poll (looked).",
    "kind",
)
POOL: Final = _gauge(
    "database_pool_connections",
    "Open connections of the pool: busy or idle.",
    "state",
    backend="postgresql",
)
POOL_SIZE: Final = _gauge(
    "database_pool_size",
    "How many connections the pool may have.",
    backend="postgresql",
)
POOL_WAITING: Final = _gauge(
    "database_pool_waiting",
    "Who waits for a connection of the pool now.",
    backend="postgresql",
)
FILE_BYTES: Final = _gauge(
    "database_file_bytes", "The size of the database file.", backend="sqlite"
)
WAL_BYTES: Final = _gauge(
    "database_wal_bytes", "The size of the write-ahead log.", backend="sqlite"
)

# The whole database, as last sampled.
MESSAGES: Final = _gauge(
    "messages", "Messages in each state.", "queue", "state", source="sampled"
)
OLDEST_READY: Final = _gauge(
    "oldest_ready_age_seconds",
    "For how long the oldest PENDING message has been ready; 0 where there is none.",
    "queue",
    source="sampled",
)
PAUSED: Final = _gauge(
    "queue_paused", "Whether the queue is paused: 1 or 0.", "queue", source="sampled"
)
DEAD_LETTERS: Final = _gauge(
    "dead_letters", "Dead letters kept.", "queue", source="sampled"
)
SCHEDULES: Final = _gauge(
    "schedules", "Schedules in each state.", "state", source="sampled"
)
NEXT_RUN: Final = _gauge(
    "schedule_next_run_timestamp_seconds",
    "When the next schedule is due, since 1970; missing where none is.",
    source="sampled",
)
WORKERS_ALIVE: Final = _gauge(
    "workers_alive", "Workers that have given a sign of life lately.", source="sampled"
)
OLDEST_TRANSACTION: Final = _gauge(
    "database_oldest_transaction_seconds",
    "The age of the oldest transaction open in the database, which holds up vacuum.",
    source="sampled",
    backend="postgresql",
)
DEAD_TUPLES: Final = _gauge(
    "database_dead_tuples",
    "Dead rows that wait for vacuum, as the server estimates.",
    "table",
    source="sampled",
    backend="postgresql",
)
LAST_REPORTED: Final = _gauge(
    "last_reported_timestamp_seconds",
    "When the database was last sampled, since 1970.",
    source="sampled",
)

# This process.
SERVICE_RUNNING: Final = _gauge(
    "service_running", "Whether a service of this process runs: 1 or 0.", "service"
)
WORKER_SLOTS: Final = _gauge(
    "worker_slots", "How many jobs the workers of this process may run at once."
)
WORKER_RUNNING: Final = _gauge(
    "worker_running_jobs", "How many handlers run in this process now."
)
BUILD_INFO: Final = _gauge(
    "build_info",
    "Always 1; the labels say what runs.",
    "version",
    "backend",
    "python",
)
