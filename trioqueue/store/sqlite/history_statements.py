"""The SQL behind each query name: finished messages, attempts, receipts."""

from __future__ import annotations

from typing import Final

from trioqueue.store.operations.rows import FinishedRow

_FINISHED: Final = ", ".join(FinishedRow._fields)


def _dead_letters(kind: str, column: str) -> dict[str, str]:
    """Write the statements that look at dead letters in one kind of scope.

    Each kind has an index of its own; one statement for both could use neither.
    """
    scope = f"state = 5 AND {column} = :scope"
    return {
        f"dead_letter_position_in_{kind}": f"""
            SELECT finished_at, id FROM tq_history
            WHERE {scope} AND message_id = :message_id
            ORDER BY finished_at, id LIMIT 1
        """,
        f"dead_letters_in_{kind}": f"""
            SELECT {_FINISHED} FROM tq_history
            WHERE {scope}
              AND (:reason IS NULL OR reason = :reason)
              AND (:before_at IS NULL OR (finished_at, id) < (:before_at, :before_id))
            ORDER BY finished_at DESC, id DESC LIMIT :limit
        """,
        f"oldest_dead_letters_in_{kind}": f"""
            SELECT {_FINISHED} FROM tq_history
            WHERE {scope} AND id <= :newest_id
              AND (:reason IS NULL OR reason = :reason)
            ORDER BY finished_at, id LIMIT :limit
        """,
        f"newest_dead_letter_in_{kind}": f"""
            SELECT max(id) FROM tq_history WHERE {scope}
        """,
        f"dead_letter_stats_in_{kind}": f"""
            SELECT reason, count(*), min(finished_at), max(finished_at) FROM tq_history
            WHERE {scope} GROUP BY reason ORDER BY reason
        """,
    }


HISTORY_STATEMENTS: Final = {
    "copy_to_history": """
        INSERT INTO tq_history (
            state, attempts, result, reason, finished_at, expires_at, dead_letter_name,
            id, queue_id, message_id, priority, created_at, scheduled_at, delay,
            max_attempts, worker_id, lease, content_type, metadata, schema_id,
            schema_version, payload
        )
        SELECT
            column1, column2, column3, column4, column5, column6, column7,
            id, queue_id, message_id, priority, created_at, scheduled_at, delay,
            max_attempts, worker_id, lease, content_type, metadata, schema_id,
            schema_version, payload
        FROM (VALUES {rows}) JOIN tq_messages ON id = column8
    """,
    "finished_by_message_id": f"""
        SELECT {_FINISHED} FROM tq_history
        WHERE queue_id = :queue_id
          AND message_id IN (SELECT value FROM json_each(:message_ids))
    """,
    "peek_finished": f"""
        SELECT {_FINISHED} FROM tq_history
        WHERE queue_id = :queue_id AND state = :state
          AND priority BETWEEN :low AND :high
          AND (:first IS NULL OR (finished_at, id) < (:first, :second))
        ORDER BY finished_at DESC, id DESC LIMIT :limit
    """,
    "delete_history": "DELETE FROM tq_history WHERE id IN (VALUES {rows})",
    "released_history": """
        SELECT id FROM tq_history
        WHERE expires_at IS NOT NULL AND expires_at <= :now
        ORDER BY expires_at LIMIT :limit
    """,
    "next_release": """
        SELECT min(expires_at) FROM tq_history WHERE expires_at IS NOT NULL
    """,
    "insert_attempts": """
        INSERT INTO tq_attempts (
            message_row, attempt_id, number, worker_id, started_at, ended_at, outcome,
            error_type, error_message, traceback
        ) VALUES {rows}
    """,
    "trim_attempts": """
        DELETE FROM tq_attempts WHERE (message_row, attempt_id) IN (
            SELECT message_row, attempt_id FROM (VALUES {rows})
            JOIN tq_attempts ON message_row = column1 AND number <= column2
        )
    """,
    "attempts_of": """
        SELECT number, worker_id, started_at, ended_at, outcome, error_type,
               error_message, traceback
        FROM tq_attempts WHERE message_row = :id ORDER BY attempt_id
    """,
    "delete_attempts": "DELETE FROM tq_attempts WHERE message_row IN (VALUES {rows})",
    "insert_receipts": """
        INSERT INTO tq_receipts (attempt_id, token, verb, digest, state, finished_at)
        VALUES {rows}
    """,
    "receipts": """
        SELECT attempt_id, token, verb, digest, state FROM tq_receipts
        WHERE attempt_id IN (SELECT value FROM json_each(:attempt_ids))
    """,
    "prune_receipts": """
        DELETE FROM tq_receipts
        WHERE finished_at <= :before AND attempt_id IN (
            SELECT attempt_id FROM tq_receipts ORDER BY attempt_id LIMIT 2048
        )
        RETURNING attempt_id
    """,
    "dead_letter_name_known": """
        SELECT 1 FROM tq_queues WHERE dead_letter_name = :name
        UNION ALL
        SELECT 1 FROM tq_history WHERE state = 5 AND dead_letter_name = :name
        LIMIT 1
    """,
    "dead_letter_by_name": f"""
        SELECT {_FINISHED} FROM tq_history
        WHERE state = 5 AND dead_letter_name = :name AND message_id = :message_id
        LIMIT 2
    """,
    **_dead_letters("name", "dead_letter_name"),
    **_dead_letters("queue", "queue_id"),
}
