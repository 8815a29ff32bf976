"""The SQL behind each query name: queues and live messages.

States are written as literals (0 INVISIBLE, 1 PENDING, 2 RUNNING) so that the partial
indexes match; where the planner, which has no statistics, would rather read all of a
queue, the index is named.  A parameter that is a list arrives as a JSON array;
``{rows}`` stands for the parameter rows of an `ExecuteMany`, many in one statement.
"""

from __future__ import annotations

from typing import Final

from trioqueue.store.operations.claim import ReadyRow
from trioqueue.store.operations.rows import HeldRow, LiveRow
from trioqueue.store.sqlite.copy_statements import COPY_STATEMENTS
from trioqueue.store.sqlite.history_statements import HISTORY_STATEMENTS
from trioqueue.store.sqlite.measure_statements import MEASURE_STATEMENTS
from trioqueue.store.sqlite.schedule_statements import SCHEDULE_STATEMENTS
from trioqueue.store.sqlite.schema_statements import SCHEMA_STATEMENTS
from trioqueue.store.sqlite.selection_statements import SELECTION_STATEMENTS
from trioqueue.store.sqlite.worker_statements import WORKER_STATEMENTS

_QUEUE: Final = (
    "queue_id, name, options, created_at, updated_at, paused_at, pause_reason, "
    "paused_by"
)
_LIVE: Final = ", ".join(LiveRow._fields)
_READY: Final = ", ".join(ReadyRow._fields)
_HELD: Final = ", ".join(HeldRow._fields)

_NO_ATTEMPT: Final = """
    attempt_id = NULL, token = NULL, started_at = NULL, lease_expires_at = NULL,
    heartbeat_expires_at = NULL, deadline = NULL, renewals = 0, attempt_lease = NULL
"""

_HELD_MESSAGES: Final = f"""
    SELECT {_HELD} FROM tq_messages
    WHERE id IN (SELECT value FROM json_each(:ids))
"""

QUEUE_STATEMENTS: Final = {
    "schema_version": "SELECT value FROM tq_meta WHERE key = 'schema_version'",
    "queues_by_name": f"""
        SELECT {_QUEUE} FROM tq_queues
        WHERE name IN (SELECT value FROM json_each(:names))
    """,
    "queues_by_id": f"""
        SELECT {_QUEUE} FROM tq_queues
        WHERE queue_id IN (SELECT value FROM json_each(:ids))
    """,
    "list_queues": f"""
        SELECT {_QUEUE} FROM tq_queues
        WHERE name > :after AND substr(name, 1, :length) = :prefix
        ORDER BY name LIMIT :limit
    """,
    "insert_queue": """
        INSERT INTO tq_queues (name, options, dead_letter_name, created_at, updated_at)
        VALUES (:name, :options, :dead_letter_name, :now, :now)
    """,
    "update_queue": """
        UPDATE tq_queues
        SET options = :options, dead_letter_name = :dead_letter_name, updated_at = :now
        WHERE queue_id = :queue_id
    """,
    "set_paused": """
        UPDATE tq_queues
        SET paused_at = :paused_at, pause_reason = :reason, paused_by = :by
        WHERE queue_id = :queue_id
    """,
    "queue_contents": """
        SELECT
            (SELECT count(*) FROM tq_messages WHERE queue_id = :queue_id),
            (SELECT count(*) FROM tq_history WHERE queue_id = :queue_id AND state = 5)
    """,
    "delete_queue": "DELETE FROM tq_queues WHERE queue_id = :queue_id",
    "delete_queue_messages": "DELETE FROM tq_messages WHERE queue_id = :queue_id",
    "delete_queue_history": "DELETE FROM tq_history WHERE queue_id = :queue_id",
    "delete_queue_attempts": """
        DELETE FROM tq_attempts WHERE message_row IN (
            SELECT id FROM tq_messages WHERE queue_id = :queue_id
            UNION ALL SELECT id FROM tq_history WHERE queue_id = :queue_id
        )
    """,
}

MESSAGE_STATEMENTS: Final = {
    "take_tickets": """
        UPDATE tq_counters SET value = value + :count WHERE name = 'ticket'
        RETURNING value
    """,
    "insert_messages": """
        INSERT INTO tq_messages (
            id, queue_id, message_id, state, priority, claim_key, ready_seq, due_at,
            created_at, scheduled_at, delay, max_attempts, lease, content_type,
            metadata, payload, schema_id, schema_version
        ) VALUES {rows}
    """,
    "live_by_message_id": f"""
        SELECT {_LIVE} FROM tq_messages
        WHERE queue_id = :queue_id
          AND message_id IN (SELECT value FROM json_each(:message_ids))
    """,
    "ready_messages": f"""
        SELECT {_READY} FROM tq_messages
        WHERE queue_id = :queue_id AND state = 1
        ORDER BY claim_key, ready_seq LIMIT :limit
    """,
    "claim_messages": """
        UPDATE tq_messages
        SET state = 2, attempts = attempts + 1, attempt_id = column1, token = column2,
            worker_id = column3, started_at = column4, lease_expires_at = column5,
            heartbeat_expires_at = column6, deadline = column7,
            attempt_lease = column8, renewals = 0
        FROM (VALUES {rows}) WHERE id = column9
    """,
    "held_messages": _HELD_MESSAGES,
    # One writer at a time: nobody else holds any.
    "held_and_free": _HELD_MESSAGES,
    # Whoever is stopped with the lock holds up all the others; nothing can end it.
    "end_stopped": "SELECT NULL, NULL WHERE :seen IS NULL AND :ids IS NULL",
    "renew_leases": """
        UPDATE tq_messages
        SET lease_expires_at = column1, heartbeat_expires_at = column2,
            deadline = column3, renewals = column4
        FROM (VALUES {rows}) WHERE id = column5
    """,
    "request_abort": """
        UPDATE tq_messages SET abort_requested_at = :now, abort_reason = :reason
        WHERE id = :id
    """,
    "make_ready": f"""
        UPDATE tq_messages
        SET state = 1, attempts = column1, claim_key = column2, ready_seq = column3,
            due_at = NULL, {_NO_ATTEMPT}
        FROM (VALUES {{rows}}) WHERE id = column4
    """,
    "make_invisible": f"""
        UPDATE tq_messages
        SET state = 0, attempts = column1, due_at = column2, claim_key = column3,
            {_NO_ATTEMPT}
        FROM (VALUES {{rows}}) WHERE id = column4
    """,
    "delete_messages": "DELETE FROM tq_messages WHERE id IN (VALUES {rows})",
    "due_messages": """
        SELECT m.id, q.name, m.priority, m.due_at
        FROM tq_messages AS m JOIN tq_queues AS q ON q.queue_id = m.queue_id
        WHERE m.state = 0 AND m.due_at <= :now
        ORDER BY m.due_at, m.queue_id, m.id LIMIT :limit
    """,
    "promote_messages": """
        UPDATE tq_messages
        SET state = 1, claim_key = column1, ready_seq = column2, due_at = NULL
        FROM (VALUES {rows}) WHERE id = column3 AND state = 0
    """,
    "next_due": "SELECT min(due_at) FROM tq_messages WHERE state = 0",
    "expired_messages": """
        SELECT m.id, q.name, m.message_id, m.attempt_id, m.deadline
        FROM tq_messages AS m JOIN tq_queues AS q ON q.queue_id = m.queue_id
        WHERE m.state = 2 AND m.deadline <= :now
          AND (:queue IS NULL OR q.name = :queue)
        ORDER BY m.deadline, m.queue_id, m.id LIMIT :limit
    """,
    "next_expiry": "SELECT min(deadline) FROM tq_messages WHERE state = 2",
    "peek_pending": f"""
        SELECT {_LIVE} FROM tq_messages
        WHERE queue_id = :queue_id AND state = 1
          AND claim_key >= :low_key AND claim_key < :high_key
          AND (:first IS NULL OR (claim_key, ready_seq) > (:first, :second))
        ORDER BY claim_key, ready_seq LIMIT :limit
    """,
    "peek_running": f"""
        SELECT {_LIVE} FROM tq_messages INDEXED BY tq_messages_leased
        WHERE queue_id = :queue_id AND state = 2 AND priority BETWEEN :low AND :high
          AND (:first IS NULL OR (deadline, id) > (:first, :second))
        ORDER BY deadline, id LIMIT :limit
    """,
    "peek_invisible": f"""
        SELECT {_LIVE} FROM tq_messages INDEXED BY tq_messages_due
        WHERE queue_id = :queue_id AND state = 0 AND priority BETWEEN :low AND :high
          AND (:first IS NULL OR (due_at, id) > (:first, :second))
        ORDER BY due_at, id LIMIT :limit
    """,
    "position_of": """
        SELECT state,
            CASE state WHEN 0 THEN due_at WHEN 1 THEN claim_key ELSE deadline END,
            CASE state WHEN 1 THEN ready_seq ELSE id END
        FROM tq_messages WHERE queue_id = :queue_id AND message_id = :message_id
        UNION ALL
        SELECT state, finished_at, id
        FROM tq_history WHERE queue_id = :queue_id AND message_id = :message_id
    """,
    "queues_with_ready": """
        SELECT name FROM tq_queues AS q
        WHERE name IN (SELECT value FROM json_each(:names)) AND paused_at IS NULL
          AND EXISTS (
              SELECT 1 FROM tq_messages AS m
              WHERE m.queue_id = q.queue_id AND m.state = 1
          )
    """,
    "is_live": """
        SELECT 1 FROM tq_messages AS m JOIN tq_queues AS q ON q.queue_id = m.queue_id
        WHERE q.name = :queue AND m.message_id = :message_id
    """,
    "count_states": """
        SELECT 0, count(*) FROM tq_messages INDEXED BY tq_messages_due
        WHERE state = 0 AND queue_id = :queue_id
        UNION ALL
        SELECT 1, count(*) FROM tq_messages INDEXED BY tq_messages_ready
        WHERE state = 1 AND queue_id = :queue_id
        UNION ALL
        SELECT 2, count(*) FROM tq_messages INDEXED BY tq_messages_leased
        WHERE state = 2 AND queue_id = :queue_id
        UNION ALL
        SELECT state, count(*) FROM tq_history
        WHERE queue_id = :queue_id GROUP BY state
    """,
    "queue_instants": """
        SELECT
            (SELECT min(deadline) FROM tq_messages INDEXED BY tq_messages_leased
             WHERE state = 2 AND queue_id = :queue_id),
            (SELECT min(due_at) FROM tq_messages INDEXED BY tq_messages_due
             WHERE state = 0 AND queue_id = :queue_id),
            -- The lowest key is of the highest priority; the oldest of each band
            -- is its first entry.
            (SELECT min(claim_key % 288230376151711744) FROM (
                SELECT (SELECT min(claim_key) FROM tq_messages
                        WHERE state = 1 AND queue_id = :queue_id
                          AND claim_key >= band.value * 288230376151711744
                          AND claim_key < (band.value + 1) * 288230376151711744
                       ) AS claim_key
                FROM json_each('[0,1,2,3,4]') AS band))
    """,
}

_ALIKE: Final = {
    # Here a transaction that writes is alone: what it has read stays as it is.
    "lock_live": MESSAGE_STATEMENTS["live_by_message_id"],
    "lock_finished": HISTORY_STATEMENTS["finished_by_message_id"],
    "lock_schedules": SCHEDULE_STATEMENTS["schedules_by_id"],
}

STATEMENTS: Final[dict[str, str]] = {
    **_ALIKE,
    **QUEUE_STATEMENTS,
    **MESSAGE_STATEMENTS,
    **HISTORY_STATEMENTS,
    **SCHEDULE_STATEMENTS,
    **COPY_STATEMENTS,
    **MEASURE_STATEMENTS,
    **SCHEMA_STATEMENTS,
    **WORKER_STATEMENTS,
    **SELECTION_STATEMENTS,
}
