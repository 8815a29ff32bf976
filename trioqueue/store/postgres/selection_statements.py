"""The SQL behind each query name: messages of all queues, found by what they are.

Spans go by the numbers of rows, so that each statement looks at a bounded part of a
table, and never at a payload.  ``queue_id + 0`` keeps indexes out that would sort.
"""

from __future__ import annotations

from typing import Final

from trioqueue.store.operations.rows import FinishedRow, LiveRow

_LIVE: Final = ", ".join(LiveRow._fields)
_FINISHED: Final = ", ".join(FinishedRow._fields)
_FOUND: Final = "id, queue_id, message_id, state, octet_length(payload)"
_DEAD: Final = f"{_FOUND}, created_at, reason, finished_at"

_FITS: Final = """
    state + 0 = ANY(:states::int4[])
    AND created_at >= :since AND created_at < :until
"""
_SPAN: Final = f"""
    id > :after AND id <= :last AND {_FITS}
    AND (:queue_ids::int8[] IS NULL OR queue_id + 0 = ANY(:queue_ids::int8[]))
"""
_NAMED: Final = f"""
    queue_id = ANY(:queue_ids::int8[]) AND message_id = ANY(:message_ids::text[])
    AND {_FITS}
"""
_DIED: Final = """
    (:reason::text IS NULL OR reason = :reason)
    AND (:dead_name::text IS NULL OR dead_letter_name || '' = :dead_name)
"""
_IN_IDS: Final = "id = ANY(:ids::int8[])"


def _dead_span(kind: str, column: str) -> dict[str, str]:
    return {
        f"dead_span_in_{kind}": f"""
            SELECT {_DEAD} FROM tq_history
            WHERE state = 5 AND {column} = :scope
              AND (finished_at, id) < (:before_at, :before_id)
            ORDER BY finished_at DESC, id DESC LIMIT :limit
        """,
    }


SELECTION_STATEMENTS: Final = {
    "every_queue": "SELECT queue_id FROM tq_queues",
    "row_extent": """
        SELECT
            (SELECT min(id) FROM tq_messages), (SELECT max(id) FROM tq_messages),
            (SELECT min(id) FROM tq_history), (SELECT max(id) FROM tq_history)
    """,
    "live_span_end": """
        SELECT id FROM tq_messages WHERE id > :after AND id <= :newest
        ORDER BY id LIMIT 1 OFFSET :skip
    """,
    "finished_span_end": """
        SELECT id FROM tq_history WHERE id > :after AND id <= :newest
        ORDER BY id LIMIT 1 OFFSET :skip
    """,
    "live_span": f"SELECT {_FOUND} FROM tq_messages WHERE {_SPAN} ORDER BY id",
    "finished_span": f"""
        SELECT {_FOUND} FROM tq_history WHERE {_SPAN} AND {_DIED} ORDER BY id
    """,
    "live_named": f"SELECT {_FOUND} FROM tq_messages WHERE {_NAMED}",
    "finished_named": f"SELECT {_FOUND} FROM tq_history WHERE {_NAMED} AND {_DIED}",
    "metadata_of": f"""
        SELECT id, metadata FROM tq_messages WHERE {_IN_IDS}
        UNION ALL
        SELECT id, metadata FROM tq_history WHERE {_IN_IDS}
    """,
    "payloads_of": f"""
        SELECT id, content_type, payload FROM tq_messages WHERE {_IN_IDS}
        UNION ALL
        SELECT id, content_type, payload FROM tq_history WHERE {_IN_IDS}
    """,
    "last_errors_of": """
        SELECT wanted.id, a.error_type, a.error_message
        FROM unnest(:ids::int8[]) AS wanted(id) CROSS JOIN LATERAL (
            SELECT error_type, error_message FROM tq_attempts
            WHERE message_row = wanted.id
              AND (error_type IS NOT NULL OR error_message IS NOT NULL)
            ORDER BY attempt_id DESC LIMIT 1
        ) AS a
    """,
    "attempts_of_rows": """
        SELECT message_row, number, worker_id, started_at, ended_at, outcome,
               error_type, error_message, traceback
        FROM tq_attempts WHERE message_row = ANY(:ids::int8[])
        ORDER BY message_row, attempt_id
    """,
    "live_by_row": f"SELECT {_LIVE} FROM tq_messages WHERE {_IN_IDS}",
    "finished_by_row": f"SELECT {_FINISHED} FROM tq_history WHERE {_IN_IDS}",
    "lock_finished_rows": f"""
        SELECT {_FINISHED} FROM tq_history WHERE {_IN_IDS} ORDER BY id FOR UPDATE
    """,
    "lock_kept_rows": f"""
        SELECT id, queue_id, state, reason FROM tq_history WHERE {_IN_IDS}
        ORDER BY id FOR UPDATE
    """,
    "states_of": f"""
        SELECT id, state FROM tq_messages WHERE {_IN_IDS}
        UNION ALL
        SELECT id, state FROM tq_history WHERE {_IN_IDS}
    """,
    **_dead_span("name", "dead_letter_name"),
    **_dead_span("queue", "queue_id"),
}
