"""The SQL behind each query name: moving everything to another store.

Pages go by the numbers of rows, which `copying` keeps in order.  The mark is locked by
whoever writes, so that two copies into one schema do not write at once.
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
)

_SMALL: Final = frozenset(("state", "priority"))
_BYTES: Final = frozenset(("payload", "result"))
_TEXTS: Final = frozenset(
    (
        *("abort_reason", "attempt_lease", "calendar_id", "content_type"),
        *("dead_letter_name", "document", "kind", "lease", "message_id", "metadata"),
        *("misfire", "name", "options", "pause_reason", "queue", "reason", "rule"),
        *("paused_by", "schedule_id", "schema_id", "worker_id"),
    )
)

_ATTEMPT: Final = """
    message_row, attempt_id, number, worker_id, started_at, ended_at, outcome,
    error_type, error_message, traceback
"""
_SLACK: Final = 1 << 32
"""So many numbers others may draw while a copy reserves its own."""


def _columns(fields: tuple[str, ...]) -> str:
    return ", ".join(fields)


def _types(fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_type, fields))


def _type(field: str) -> str:
    if field in _SMALL:
        return "int2"
    if field in _BYTES:
        return "bytea"
    return "text" if field in _TEXTS else "int8"


_QUEUE: Final = CopiedQueue._fields
_SCHEDULE: Final = CopiedSchedule._fields

SOURCE_STATEMENTS: Final = {
    "copy_extent": """
        SELECT
            coalesce(pg_sequence_last_value('tq_tickets'::regclass), 0),
            (SELECT min(id) FROM tq_messages),
            (SELECT min(id) FROM tq_history)
    """,
    "copy_live_sums": """
        SELECT count(*), coalesce(sum(state), 0)::int8,
               coalesce(sum(attempts), 0)::int8, coalesce(sum(renewals), 0)::int8,
               count(abort_requested_at)
        FROM tq_messages
    """,
    "copy_other_sums": """
        SELECT
            (SELECT count(*) FROM tq_history),
            (SELECT count(*) FROM tq_attempts),
            (SELECT count(*) FROM tq_schedule_runs),
            (SELECT max(run) FROM tq_schedule_runs)
    """,
    "copy_queues": f"SELECT {_columns(_QUEUE)} FROM tq_queues ORDER BY queue_id",
    "copy_calendars": f"""
        SELECT {_columns(CopiedCalendar._fields)} FROM tq_business_calendars
        ORDER BY calendar_id
    """,
    "copy_schemas": """
        SELECT schema_id, version, document, description, active::int4, created_at
        FROM tq_schemas ORDER BY schema_id, version
    """,
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
        SELECT id, octet_length(payload) FROM tq_messages
        WHERE id > :after ORDER BY id LIMIT :limit
    """,
    "copy_live": f"""
        SELECT {_columns(CopiedLive._fields)} FROM tq_messages
        WHERE id > :after AND id <= :last ORDER BY id
    """,
    "copy_live_attempts": f"""
        SELECT {_ATTEMPT} FROM tq_attempts WHERE message_row IN (
            SELECT id FROM tq_messages WHERE id > :after AND id <= :last
        )
    """,
    "copy_finished_sizes": """
        SELECT id, octet_length(payload) + coalesce(octet_length(result), 0)
        FROM tq_history WHERE id > :after ORDER BY id LIMIT :limit
    """,
    "copy_finished": f"""
        SELECT {_columns(CopiedFinished._fields)} FROM tq_history
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
        SELECT {_columns(_SCHEDULE)} FROM tq_schedules
        WHERE schedule_row > :after ORDER BY schedule_row LIMIT :limit
    """,
    "copy_runs": f"""
        SELECT {_columns(CopiedRun._fields)} FROM tq_schedule_runs
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
    "copy_mark": "SELECT value FROM tq_meta WHERE key = :key FOR UPDATE",
    "copy_mark_seen": "SELECT value FROM tq_meta WHERE key = :key",
    "copy_insert_mark": """
        INSERT INTO tq_meta (key, value) VALUES (:key, :value)
        ON CONFLICT (key) DO NOTHING
    """,
    "copy_update_mark": "UPDATE tq_meta SET value = :value WHERE key = :key",
    "copy_delete_mark": "DELETE FROM tq_meta WHERE key = :key",
    "copy_reserve": f"""
        SELECT setval('tq_tickets', nextval('tq_tickets') + {_SLACK} + :span::int8)
            - :span::int8
    """,
    "copy_insert_queues": f"""
        INSERT INTO tq_queues ({_columns(_QUEUE[1:])}) SELECT * FROM {{rows}}
    """,
    "copy_insert_calendars": f"""
        INSERT INTO tq_business_calendars ({_columns(CopiedCalendar._fields)})
        SELECT * FROM {{rows}}
    """,
    "copy_insert_schemas": """
        INSERT INTO tq_schemas (
            schema_id, version, document, description, active, created_at
        ) SELECT column1, column2, column3, column4, column5 <> 0, column6 FROM {rows}
    """,
    "copy_insert_live": f"""
        INSERT INTO tq_messages ({_columns(CopiedLive._fields)}) SELECT * FROM {{rows}}
    """,
    "copy_insert_finished": f"""
        INSERT INTO tq_history ({_columns(CopiedFinished._fields)})
        SELECT * FROM {{rows}}
    """,
    "copy_insert_schedules": f"""
        INSERT INTO tq_schedules ({_columns(_SCHEDULE[1:])}) SELECT * FROM {{rows}}
    """,
    "copy_open_queues": """
        UPDATE tq_queues SET paused_at = column1, pause_reason = column2
        FROM {rows} WHERE name = column3
    """,
    "copy_open_schedules": """
        UPDATE tq_schedules SET state = column1, reason = column2
        FROM {rows} WHERE schedule_id = column3
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

COPY_MANY: Final = {
    "copy_insert_queues": _types(_QUEUE[1:]),
    "copy_insert_calendars": _types(CopiedCalendar._fields),
    "copy_insert_schemas": ("text", "int8", "text", "text", "int4", "int8"),
    "copy_insert_live": _types(CopiedLive._fields),
    "copy_insert_finished": _types(CopiedFinished._fields),
    "copy_insert_schedules": _types(_SCHEDULE[1:]),
    "copy_open_queues": ("int8", "text", "text"),
    "copy_open_schedules": ("int2", "text", "text"),
}
