"""The SQL behind each query name: workers and their beats; a line, and what comes."""

from __future__ import annotations

from typing import Final

from trioqueue.store.operations.workers import WorkerRow

_WORKER: Final = ", ".join(WorkerRow._fields)

WORKER_STATEMENTS: Final = {
    "register_worker": """
        INSERT INTO tq_workers (
            worker_id, host, pid, version, queues, concurrency, running, started_at,
            beat_at, beat_interval, quiet_at, stopping
        ) VALUES (
            :worker_id, :host, :pid, :version, :queues, :concurrency, 0, :now, :now,
            :interval, :quiet_at, 0
        ) RETURNING registration
    """,
    "beat_worker": """
        UPDATE tq_workers
        SET beat_at = :now, running = :running, stopping = :stopping
        WHERE registration = :registration RETURNING quiet_at IS NOT NULL
    """,
    "deregister_worker": """
        DELETE FROM tq_workers WHERE registration = :registration
    """,
    "list_workers": f"""
        SELECT {_WORKER} FROM tq_workers ORDER BY worker_id, registration
    """,
    "workers_by_id": f"""
        SELECT {_WORKER} FROM tq_workers WHERE worker_id = :worker_id
        ORDER BY registration
    """,
    "set_quiet": """
        UPDATE tq_workers SET quiet_at = :quiet_at WHERE registration = :registration
    """,
    "forget_workers": """
        DELETE FROM tq_workers
        WHERE beat_at + :missed * coalesce(beat_interval, :silent) < :before
    """,
    "count_ahead": """
        SELECT count(*) FROM (
            SELECT 1 FROM tq_messages
            WHERE queue_id = :queue_id AND state = 1
              AND (claim_key, ready_seq) < (:key, :sequence)
            LIMIT :limit
        )
    """,
    "next_runs": """
        SELECT schedule_id, queue, next_at FROM (
            SELECT * FROM (
                SELECT schedule_id, queue, next_at FROM tq_schedules
                WHERE state = 0 AND kind = 'cron' AND next_at IS NOT NULL
                ORDER BY next_at LIMIT :limit
            )
            UNION ALL
            SELECT * FROM (
                SELECT schedule_id, queue, next_at FROM tq_schedules
                WHERE state = 0 AND kind = 'calendar' AND next_at IS NOT NULL
                ORDER BY next_at LIMIT :limit
            )
        )
        ORDER BY next_at, schedule_id LIMIT :limit
    """,
}
