"""The SQL behind each query name: finished messages, attempts, receipts."""

from __future__ import annotations

from typing import Final

from trioqueue.store.operations.rows import FinishedRow

_FINISHED: Final = ", ".join(FinishedRow._fields)
_LAST: Final = 2**63 - 1


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
              AND (:reason::text IS NULL OR reason = :reason)
              AND (finished_at, id) < (
                  coalesce(:before_at::int8, {_LAST}),
                  coalesce(:before_id::int8, {_LAST})
              )
            ORDER BY finished_at DESC, id DESC LIMIT :limit
        """,
        f"oldest_dead_letters_in_{kind}": f"""
            SELECT {_FINISHED} FROM tq_history
            WHERE {scope} AND id + 0 <= :newest_id
              AND (:reason::text IS NULL OR reason = :reason)
            ORDER BY finished_at, id LIMIT :limit FOR UPDATE SKIP LOCKED
        """,
        # Not simply max(id): the primary key, read backwards, would pass by every
        # newer row of others.
        f"newest_dead_letter_in_{kind}": f"""
            SELECT max(id + 0) FROM tq_history WHERE {scope}
        """,
        f"dead_letter_stats_in_{kind}": f"""
            SELECT reason, count(*), min(finished_at + 0), max(finished_at + 0)
            FROM tq_history WHERE {scope} GROUP BY reason ORDER BY reason
        """,
    }


def _finished_by_message_id(more: str = "") -> str:
    return f"""
        SELECT {_FINISHED} FROM tq_history
        WHERE queue_id = :queue_id AND message_id = ANY(:message_ids::text[]) {more}
    """


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
        FROM {rows} CROSS JOIN LATERAL (
            SELECT * FROM tq_messages WHERE id = column8 OFFSET 0
        ) AS m
    """,
    "finished_by_message_id": _finished_by_message_id(),
    "lock_finished": _finished_by_message_id("ORDER BY id + 0 FOR UPDATE"),
    "peek_finished": f"""
        SELECT {_FINISHED} FROM tq_history
        WHERE queue_id = :queue_id AND state = :state AND state >= 3
          AND priority BETWEEN :low AND :high
          AND (finished_at, id) < (
              coalesce(:first::int8, {_LAST}), coalesce(:second::int8, {_LAST})
          )
        ORDER BY finished_at DESC, id DESC LIMIT :limit
    """,
    "delete_history": "DELETE FROM tq_history WHERE id = ANY({ids})",
    "released_history": """
        SELECT id FROM tq_history
        WHERE expires_at IS NOT NULL AND expires_at <= :now
        ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
    """,
    "next_release": """
        SELECT min(expires_at) FROM tq_history WHERE expires_at IS NOT NULL
    """,
    "insert_attempts": """
        INSERT INTO tq_attempts (
            message_row, attempt_id, number, worker_id, started_at, ended_at, outcome,
            error_type, error_message, traceback
        ) SELECT * FROM {rows}
    """,
    "trim_attempts": """
        DELETE FROM tq_attempts USING {rows}
        WHERE message_row = ANY({array1}) AND message_row = column1
          AND number <= column2
    """,
    "attempts_of": """
        SELECT number, worker_id, started_at, ended_at, outcome, error_type,
               error_message, traceback
        FROM tq_attempts WHERE message_row = :id ORDER BY attempt_id
    """,
    "delete_attempts": "DELETE FROM tq_attempts WHERE message_row = ANY({ids})",
    "insert_receipts": """
        INSERT INTO tq_receipts (attempt_id, token, verb, digest, state, finished_at)
        SELECT * FROM {rows}
    """,
    "receipts": """
        SELECT attempt_id, token, verb, digest, state FROM tq_receipts
        WHERE attempt_id = ANY(:attempt_ids::int8[])
    """,
    # The oldest are looked at, so that it costs little if none of them is old enough.
    "prune_receipts": """
        DELETE FROM tq_receipts WHERE attempt_id = ANY(ARRAY(
            SELECT attempt_id FROM tq_receipts
            WHERE finished_at <= :before AND attempt_id = ANY(ARRAY(
                SELECT attempt_id FROM tq_receipts ORDER BY attempt_id LIMIT 2048
            ))
            FOR UPDATE SKIP LOCKED
        ))
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
        LIMIT 2 FOR UPDATE
    """,
    **_dead_letters("name", "dead_letter_name"),
    **_dead_letters("queue", "queue_id"),
}

HISTORY_MANY: Final = {
    "copy_to_history": (
        *("int2", "int8", "bytea", "text", "int8", "int8", "text", "int8"),
    ),
    "delete_history": ("int8",),
    "insert_attempts": (
        *("int8", "int8", "int8", "text", "int8", "int8", "text", "text", "text"),
        "text",
    ),
    "trim_attempts": ("int8", "int8"),
    "delete_attempts": ("int8",),
    "insert_receipts": ("int8", "int8", "text", "int8", "int2", "int8"),
}
