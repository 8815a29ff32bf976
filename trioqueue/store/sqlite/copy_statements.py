"""The SQL behind each query name: moving everything to another store.

Pages go by the numbers of rows, which `copying` keeps in order.
"""

from __future__ import annotations

from typing import Final

from trioqueue.store.operations.copy_rows import (
    CopiedCalendar,
    CopiedFinished,
    CopiedLive,
    CopiedQueue,
    CopiedRun,
    CopiedSchedule,
    CopiedSchema,
)

_QUEUE: Final = ", ".join(CopiedQueue._fields)
_LIVE: Final = ", ".join(CopiedLive._fields)
_FINISHED: Final = ", ".join(CopiedFinished._fields)
_SCHEDULE: Final = ", ".join(CopiedSchedule._fields)
_RUN: Final = ", ".join(CopiedRun._fields)
_CALENDAR: Final = ", ".join(CopiedCalendar._fields)
_SCHEMA: Final = ", ".join(CopiedSchema._fields)

_ATTEMPT: Final = """
    message_row, attempt_id, number, worker_id, started_at, ended_at, outcome,
    error_type, error_message, traceback
"""


def _without_first(columns: str) -> str:
    """Leave out the row's own number, which the target draws."""
    return columns.partition(", ")[2]


SOURCE_STATEMENTS: Final = {
    "copy_extent": """
        SELECT
            (SELECT value FROM tq_counters WHERE name = 'ticket'),
            (SELECT min(id) FROM tq_messages),
            (SELECT min(id) FROM tq_history)
    """,
    "copy_live_sums": """
        SELECT count(*), coalesce(sum(state), 0), coalesce(sum(attempts), 0),
               coalesce(sum(renewals), 0), count(abort_requested_at)
        FROM tq_messages
    """,
    "copy_other_sums": """
        SELECT
            (SELECT count(*) FROM tq_history),
            (SELECT count(*) FROM tq_attempts),
            (SELECT count(*) FROM tq_schedule_runs),
            (SELECT max(run) FROM tq_schedule_runs)
    """,
    "copy_queues": f"SELECT {_QUEUE} FROM tq_queues ORDER BY queue_id",
    "copy_calendars": f"""
        SELECT {_CALENDAR} FROM tq_business_calendars ORDER BY calendar_id
    """,
    "copy_schemas": f"SELECT {_SCHEMA} FROM tq_schemas ORDER BY schema_id, version",
    "copy_schemas_of_queue": """
        SELECT DISTINCT schema_id FROM tq_messages
        WHERE queue_id = :queue_id AND schema_id IS NOT NULL
        UNION SELECT schema_id FROM tq_history
        WHERE queue_id = :queue_id AND schema_id IS NOT NULL
    """,
    "copy_schedule_states": """
        SELECT schedule_row, schedule_id, version, state, reason
        FROM tq_schedules ORDER BY schedule_row
    """,
    "copy_live_sizes": """
        SELECT id, length(payload) FROM tq_messages
        WHERE id > :after ORDER BY id LIMIT :limit
    """,
    "copy_live": f"""
        SELECT {_LIVE} FROM tq_messages WHERE id > :after AND id <= :last ORDER BY id
    """,
    "copy_live_attempts": f"""
        SELECT {_ATTEMPT} FROM tq_attempts WHERE message_row IN (
            SELECT id FROM tq_messages WHERE id > :after AND id <= :last
        )
    """,
    "copy_finished_sizes": """
        SELECT id, length(payload) + coalesce(length(result), 0) FROM tq_history
        WHERE id > :after ORDER BY id LIMIT :limit
    """,
    "copy_finished": f"""
        SELECT {_FINISHED} FROM tq_history
        WHERE id > :after AND id <= :last ORDER BY id
    """,
    "copy_finished_attempts": f"""
        SELECT {_ATTEMPT} FROM tq_attempts WHERE message_row IN (
            SELECT id FROM tq_history WHERE id > :after AND id <= :last
        )
    """,
    "copy_first_of_queue": """
        SELECT
            (SELECT min(id) FROM tq_messages WHERE queue_id = :queue_id),
            (SELECT min(id) FROM tq_history WHERE queue_id = :queue_id)
    """,
    "copy_schedules": f"""
        SELECT {_SCHEDULE} FROM tq_schedules
        WHERE schedule_row > :after ORDER BY schedule_row LIMIT :limit
    """,
    "copy_runs": f"""
        SELECT {_RUN} FROM tq_schedule_runs
        WHERE run > :after ORDER BY run LIMIT :limit
    """,
    "copy_kept": """
        SELECT
            (SELECT count(*) FROM tq_messages WHERE id > :first AND id <= :last)
            + (SELECT count(*) FROM tq_history WHERE id > :first AND id <= :last
               AND (expires_at IS NULL OR expires_at > :horizon))
    """,
}

TARGET_STATEMENTS: Final = {
    "copy_mark": "SELECT value FROM tq_meta WHERE key = :key",
    "copy_mark_seen": "SELECT value FROM tq_meta WHERE key = :key",
    "copy_insert_mark": """
        INSERT INTO tq_meta (key, value) VALUES (:key, :value)
        ON CONFLICT (key) DO NOTHING
    """,
    "copy_update_mark": "UPDATE tq_meta SET value = :value WHERE key = :key",
    "copy_delete_mark": "DELETE FROM tq_meta WHERE key = :key",
    "copy_reserve": """
        UPDATE tq_counters SET value = value + :span WHERE name = 'ticket'
        RETURNING value - :span
    """,
    "copy_insert_queues": f"""
        INSERT INTO tq_queues ({_without_first(_QUEUE)}) VALUES {{rows}}
    """,
    "copy_insert_calendars": f"""
        INSERT INTO tq_business_calendars ({_CALENDAR}) VALUES {{rows}}
    """,
    "copy_insert_schemas": f"INSERT INTO tq_schemas ({_SCHEMA}) VALUES {{rows}}",
    "copy_insert_live": f"INSERT INTO tq_messages ({_LIVE}) VALUES {{rows}}",
    "copy_insert_finished": f"INSERT INTO tq_history ({_FINISHED}) VALUES {{rows}}",
    "copy_insert_schedules": f"""
        INSERT INTO tq_schedules ({_without_first(_SCHEDULE)}) VALUES {{rows}}
    """,
    "copy_open_queues": """
        UPDATE tq_queues SET paused_at = column1, pause_reason = column2
        FROM (VALUES {rows}) WHERE name = column3
    """,
    "copy_open_schedules": """
        UPDATE tq_schedules SET state = column1, reason = column2
        FROM (VALUES {rows}) WHERE schedule_id = column3
    """,
    "copy_foreign": """
        SELECT 1 FROM tq_messages
        WHERE queue_id = :queue_id AND (id <= :first OR id > :last)
        UNION ALL
        SELECT 1 FROM tq_history
        WHERE queue_id = :queue_id AND (id <= :first OR id > :last)
        LIMIT 1
    """,
    "copy_live_ids": """
        SELECT id FROM tq_messages WHERE queue_id = :queue_id LIMIT :limit
    """,
    "copy_finished_ids": """
        SELECT id FROM tq_history WHERE queue_id = :queue_id LIMIT :limit
    """,
}

COPY_STATEMENTS: Final = {**SOURCE_STATEMENTS, **TARGET_STATEMENTS}
