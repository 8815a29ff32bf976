"""The SQL behind each query name: schedules, their runs, business calendars.

States are written as literals (0 SCHEDULED) so that the partial index matches.
"""

from __future__ import annotations

from typing import Final

from trioqueue.store.operations.schedule_rows import ScheduleRow

_SCHEDULE: Final = ", ".join(ScheduleRow._fields)


def _schedules_by_id(more: str = "") -> str:
    return f"""
        SELECT {_SCHEDULE} FROM tq_schedules
        WHERE schedule_id = ANY(:schedule_ids::text[]) {more}
    """


SCHEDULE_STATEMENTS: Final = {
    "schedules_by_id": _schedules_by_id(),
    "lock_schedules": _schedules_by_id("ORDER BY schedule_row + 0 FOR UPDATE"),
    "list_schedules": f"""
        SELECT {_SCHEDULE} FROM tq_schedules
        WHERE schedule_id > :after
          -- '~' sorts after every character that an id may have.
          AND schedule_id >= :prefix::text AND schedule_id < :prefix::text || '~'
          AND (:state::int2 IS NULL OR state = :state::int2)
        ORDER BY schedule_id LIMIT :limit
    """,
    "insert_schedule": """
        INSERT INTO tq_schedules (
            schedule_id, queue, kind, rule, calendar_id, payload, content_type,
            metadata, priority, max_attempts, lease, misfire, jitter, max_messages,
            start_at, end_at, state, next_at, next_nominal, cursor, run_count,
            revision, version, created_at, updated_at
        ) VALUES (
            :schedule_id, :queue, :kind, :rule, :calendar_id, :payload, :content_type,
            :metadata, :priority, :max_attempts, :lease, :misfire, :jitter,
            :max_messages, :start_at, :end_at, 0, :next_at, :next_nominal, :cursor, 0,
            1, 1, :now, :now
        )
    """,
    "update_schedule": """
        UPDATE tq_schedules
        SET queue = :queue, kind = :kind, rule = :rule, calendar_id = :calendar_id,
            payload = :payload, content_type = :content_type, metadata = :metadata,
            priority = :priority, max_attempts = :max_attempts, lease = :lease,
            misfire = :misfire, jitter = :jitter,
            max_messages = :max_messages, start_at = :start_at, end_at = :end_at,
            state = :state, reason = :reason, next_at = :next_at,
            next_nominal = :next_nominal, cursor = :cursor, revision = revision + 1,
            version = version + 1, updated_at = :now
        WHERE schedule_row = :schedule_row
    """,
    "set_schedule_state": """
        UPDATE tq_schedules
        SET state = :state, reason = :reason, next_at = :next_at,
            next_nominal = :next_nominal, version = version + 1
        WHERE schedule_row = :schedule_row
    """,
    "delete_schedule": "DELETE FROM tq_schedules WHERE schedule_row = :schedule_row",
    "delete_schedule_runs": """
        DELETE FROM tq_schedule_runs WHERE schedule_row = :schedule_row
    """,
    "queue_schedules": """
        SELECT schedule_id FROM tq_schedules
        WHERE queue = :queue AND state <> 2 ORDER BY schedule_id
    """,
    "next_schedule": """
        SELECT min(next_at) FROM tq_schedules WHERE state = 0 AND kind = :kind
    """,
    "due_schedules": f"""
        SELECT {_SCHEDULE} FROM tq_schedules
        WHERE state = 0 AND kind = :kind AND next_at <= :now
        ORDER BY next_at, schedule_row LIMIT :limit
    """,
    "schedule_versions": """
        SELECT schedule_row, version FROM tq_schedules
        WHERE schedule_row = ANY(:schedule_rows::int8[])
        ORDER BY schedule_row FOR UPDATE SKIP LOCKED
    """,
    "advance_schedules": """
        UPDATE tq_schedules
        SET state = column1, reason = column2, next_at = column3,
            next_nominal = column4, cursor = column5, last_at = column6,
            run_count = column7, version = version + 1
        FROM {rows} WHERE schedule_row = ANY({array8}) AND schedule_row = column8
    """,
    "known_runs": """
        SELECT schedule_row, message_id FROM tq_schedule_runs
        WHERE message_id = ANY(:message_ids::text[])
    """,
    "insert_schedule_runs": """
        INSERT INTO tq_schedule_runs (
            schedule_row, message_id, occurrence, posted_at, kind, merged
        ) SELECT * FROM {rows}
    """,
    "prune_schedule_runs": """
        DELETE FROM tq_schedule_runs
        WHERE schedule_row = :schedule_row AND run <= (
            SELECT run FROM tq_schedule_runs WHERE schedule_row = :schedule_row
            ORDER BY run DESC LIMIT 1 OFFSET :kept
        )
    """,
    "schedule_run_position": """
        SELECT run FROM tq_schedule_runs
        WHERE message_id = :message_id AND schedule_row = :schedule_row
    """,
    "schedule_history": """
        SELECT occurrence, message_id, posted_at, kind, merged FROM tq_schedule_runs
        WHERE schedule_row = :schedule_row
          AND run < coalesce(:before::int8, 9223372036854775807)
        ORDER BY run DESC LIMIT :limit
    """,
    "business_calendars_by_id": """
        SELECT calendar_id, document FROM tq_business_calendars
        WHERE calendar_id = ANY(:calendar_ids::text[])
    """,
    "list_business_calendars": """
        SELECT calendar_id, document FROM tq_business_calendars
        WHERE calendar_id > :after ORDER BY calendar_id LIMIT :limit
    """,
    "put_business_calendar": """
        INSERT INTO tq_business_calendars AS known (
            calendar_id, document, revision, created_at, updated_at
        ) VALUES (:calendar_id, :document, 1, :now, :now)
        ON CONFLICT (calendar_id) DO UPDATE
        SET document = excluded.document, revision = known.revision + 1,
            updated_at = excluded.updated_at
    """,
    "delete_business_calendar": """
        DELETE FROM tq_business_calendars WHERE calendar_id = :calendar_id
    """,
    "schedules_of_calendar": f"""
        SELECT {_SCHEDULE} FROM tq_schedules
        WHERE calendar_id = :calendar_id ORDER BY schedule_id FOR UPDATE
    """,
}

SCHEDULE_MANY: Final = {
    "advance_schedules": (
        *("int2", "text", "int8", "int8", "int8", "int8", "int8", "int8"),
    ),
    "insert_schedule_runs": ("int8", "text", "int8", "int8", "text", "int8"),
}
