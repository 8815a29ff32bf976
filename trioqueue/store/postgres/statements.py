"""The SQL behind each query name: queues and live messages.

Written so that the plan is right whatever the planner believes.  States are literals
(0 INVISIBLE, 1 PENDING, 2 RUNNING), for only so do the partial indexes match a generic
plan; sub-selects with a LIMIT of their own keep joins away from the order of an index;
``queue_id + 0`` keeps an index out that would read all of a queue.

``:name`` is a parameter, an array where the operation passes a list.  A statement for
many rows gets one array for each column, whose types are in `MANY_TYPES`; ``{rows}``
stands for them as a table, ``{ids}`` for the only one, ``{array4}`` for the fourth.
Names of tables are qualified with the schema when a statement is compiled.
"""

from __future__ import annotations

from typing import Final

from trioqueue.store.operations.claim import ReadyRow
from trioqueue.store.operations.rows import HeldRow, LiveRow
from trioqueue.store.postgres.copy_statements import COPY_MANY, COPY_STATEMENTS
from trioqueue.store.postgres.history_statements import HISTORY_MANY, HISTORY_STATEMENTS
from trioqueue.store.postgres.measure_statements import MEASURE_STATEMENTS
from trioqueue.store.postgres.schedule_statements import (
    SCHEDULE_MANY,
    SCHEDULE_STATEMENTS,
)
from trioqueue.store.postgres.schema_statements import SCHEMA_STATEMENTS
from trioqueue.store.postgres.selection_statements import SELECTION_STATEMENTS
from trioqueue.store.postgres.stopped_statements import STOPPED_STATEMENTS
from trioqueue.store.postgres.worker_statements import WORKER_STATEMENTS

SESSION_SETTINGS: Final = {
    # On an empty table that has been analyzed a sequential scan costs nothing, and a
    # prepared statement would go on with it when a million rows have come.
    "enable_seqscan": "off",
    # A bitmap has no order: a claim would sort all that is ready.
    "enable_bitmapscan": "off",
    "jit": "off",
}
"""What our sessions set, because no way of writing a statement does it."""

_BAND: Final = 1 << 58
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


def _ready_band(band: int) -> str:
    """Select what is ready of one priority, in the order of claims."""
    inner = ", ".join(dict.fromkeys((*ReadyRow._fields, "claim_key", "ready_seq")))
    return f"""
        SELECT * FROM (
            SELECT {inner} FROM tq_messages
            WHERE queue_id = :queue_id AND state = 1
              AND claim_key >= :low_{band} AND claim_key < {(band + 1) * _BAND}
            ORDER BY claim_key, ready_seq LIMIT :limit FOR UPDATE SKIP LOCKED
        ) AS band_{band}
    """


# An Append runs its arms one after the other, and stops when the limit is reached:
# nothing is locked that is not returned.
_READY_BANDS: Final = " UNION ALL ".join(map(_ready_band, range(5)))


def _live_by_message_id(more: str = "") -> str:
    return f"""
        SELECT {_LIVE} FROM tq_messages
        WHERE queue_id = :queue_id AND message_id = ANY(:message_ids::text[]) {more}
    """


QUEUE_STATEMENTS: Final = {
    "schema_version": "SELECT value FROM tq_meta WHERE key = 'schema_version'",
    "queues_by_name": f"""
        SELECT {_QUEUE} FROM tq_queues WHERE name = ANY(:names::text[])
    """,
    "queues_by_id": f"""
        SELECT {_QUEUE} FROM tq_queues WHERE queue_id = ANY(:ids::int8[])
    """,
    "list_queues": f"""
        SELECT {_QUEUE} FROM tq_queues
        WHERE name > :after AND substr(name, 1, :length::int4) = :prefix::text
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
        SELECT nextval('tq_tickets') FROM generate_series(1, :count::int4)
    """,
    "insert_messages": """
        INSERT INTO tq_messages (
            id, queue_id, message_id, state, priority, claim_key, ready_seq, due_at,
            created_at, scheduled_at, delay, max_attempts, lease, content_type,
            metadata, payload, schema_id, schema_version
        ) SELECT * FROM {rows}
    """,
    "live_by_message_id": _live_by_message_id(),
    "lock_live": _live_by_message_id("ORDER BY id + 0 FOR UPDATE"),
    "ready_messages": f"""
        SELECT {_READY} FROM (
            SELECT * FROM ({_READY_BANDS}) AS bands LIMIT :limit
        ) AS chosen
        ORDER BY claim_key, ready_seq
    """,
    "claim_messages": """
        UPDATE tq_messages
        SET state = 2, attempts = attempts + 1, attempt_id = column1, token = column2,
            worker_id = column3, started_at = column4, lease_expires_at = column5,
            heartbeat_expires_at = column6, deadline = column7,
            attempt_lease = column8, renewals = 0
        FROM {rows} WHERE id = ANY({array9}) AND id = column9
    """,
    "held_messages": f"""
        SELECT {_HELD} FROM tq_messages WHERE id = ANY(:ids::int8[])
        ORDER BY id FOR UPDATE
    """,
    # Whoever holds one may have been stopped, and must not keep the others from being
    # taken back.
    "held_and_free": f"""
        SELECT {_HELD} FROM tq_messages WHERE id = ANY(:ids::int8[])
        ORDER BY id FOR UPDATE SKIP LOCKED
    """,
    "renew_leases": """
        UPDATE tq_messages
        SET lease_expires_at = column1, heartbeat_expires_at = column2,
            deadline = column3, renewals = column4
        FROM {rows} WHERE id = ANY({array5}) AND id = column5
    """,
    "request_abort": """
        UPDATE tq_messages SET abort_requested_at = :now, abort_reason = :reason
        WHERE id = :id
    """,
    "make_ready": f"""
        UPDATE tq_messages
        SET state = 1, attempts = column1, claim_key = column2, ready_seq = column3,
            due_at = NULL, {_NO_ATTEMPT}
        FROM {{rows}} WHERE id = ANY({{array4}}) AND id = column4
    """,
    "make_invisible": f"""
        UPDATE tq_messages
        SET state = 0, attempts = column1, due_at = column2, claim_key = column3,
            {_NO_ATTEMPT}
        FROM {{rows}} WHERE id = ANY({{array4}}) AND id = column4
    """,
    "delete_messages": "DELETE FROM tq_messages WHERE id = ANY({ids})",
    "due_messages": """
        SELECT m.id, q.name, m.priority, m.due_at
        FROM (
            SELECT id, queue_id, priority, due_at FROM tq_messages
            WHERE state = 0 AND due_at <= :now
            ORDER BY due_at, queue_id, id LIMIT :limit FOR UPDATE SKIP LOCKED
        ) AS m JOIN tq_queues AS q ON q.queue_id = m.queue_id
        ORDER BY m.due_at, m.queue_id, m.id
    """,
    # The rows have been locked as INVISIBLE ones by `due_messages`.
    "promote_messages": """
        UPDATE tq_messages
        SET state = 1, claim_key = column1, ready_seq = column2, due_at = NULL
        FROM {rows} WHERE id = ANY({array3}) AND id = column3
    """,
    "next_due": "SELECT min(due_at) FROM tq_messages WHERE state = 0",
    "expired_messages": """
        SELECT m.id, q.name, m.message_id, m.attempt_id, m.deadline
        FROM (
            SELECT id, queue_id, message_id, attempt_id, deadline FROM tq_messages
            WHERE state = 2 AND deadline <= :now
              AND (:queue::text IS NULL OR queue_id + 0 = (
                  SELECT queue_id FROM tq_queues WHERE name = :queue
              ))
            ORDER BY deadline, queue_id, id LIMIT :limit
        ) AS m JOIN tq_queues AS q ON q.queue_id = m.queue_id
        ORDER BY m.deadline, m.queue_id, m.id
    """,
    "next_expiry": "SELECT min(deadline) FROM tq_messages WHERE state = 2",
    "peek_pending": f"""
        SELECT {_LIVE} FROM tq_messages
        WHERE queue_id = :queue_id AND state = 1
          AND claim_key >= :low_key AND claim_key < :high_key
          AND (claim_key, ready_seq)
              > (coalesce(:first::int8, -1), coalesce(:second::int8, -1))
        ORDER BY claim_key, ready_seq LIMIT :limit
    """,
    "peek_running": f"""
        SELECT {_LIVE} FROM tq_messages
        WHERE queue_id + 0 = :queue_id AND state = 2
          AND priority BETWEEN :low AND :high
          AND (deadline, id)
              > (coalesce(:first::int8, -1), coalesce(:second::int8, -1))
        ORDER BY deadline, id LIMIT :limit
    """,
    "peek_invisible": f"""
        SELECT {_LIVE} FROM tq_messages
        WHERE queue_id + 0 = :queue_id AND state = 0
          AND priority BETWEEN :low AND :high
          AND (due_at, id)
              > (coalesce(:first::int8, -1), coalesce(:second::int8, -1))
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
        WHERE name = ANY(:names::text[]) AND paused_at IS NULL
          AND (
              SELECT true FROM tq_messages AS m
              WHERE m.queue_id = q.queue_id AND m.state = 1
              ORDER BY m.claim_key, m.ready_seq LIMIT 1
          )
    """,
    "is_live": """
        SELECT 1 FROM tq_messages
        WHERE queue_id = (SELECT queue_id FROM tq_queues WHERE name = :queue)
          AND message_id = :message_id
    """,
    "count_states": """
        SELECT 0, count(*) FROM tq_messages
        WHERE state = 0 AND queue_id + 0 = :queue_id
        UNION ALL
        SELECT 1, count(*) FROM tq_messages
        WHERE state = 1 AND queue_id = :queue_id
        UNION ALL
        SELECT 2, count(*) FROM tq_messages
        WHERE state = 2 AND queue_id + 0 = :queue_id
        UNION ALL
        SELECT finished.state, (
            SELECT count(*) FROM tq_history
            WHERE queue_id = :queue_id AND state = finished.state AND state >= 3
        ) FROM generate_series(3, 5) AS finished(state)
    """,
    "queue_instants": f"""
        SELECT
            (SELECT min(deadline) FROM tq_messages
             WHERE state = 2 AND queue_id + 0 = :queue_id),
            (SELECT min(due_at) FROM tq_messages
             WHERE state = 0 AND queue_id + 0 = :queue_id),
            -- The lowest key is of the highest priority; the oldest of each band
            -- is its first entry.
            (SELECT min(first.claim_key % {_BAND}) FROM (
                SELECT (SELECT claim_key FROM tq_messages
                        WHERE state = 1 AND queue_id = :queue_id
                          AND claim_key >= band.number * {_BAND}
                          AND claim_key < (band.number + 1) * {_BAND}
                        ORDER BY claim_key, ready_seq LIMIT 1
                       ) AS claim_key
                FROM generate_series(0, 4) AS band(number)
             ) AS first)
    """,
}

STATEMENTS: Final[dict[str, str]] = {
    **QUEUE_STATEMENTS,
    **MESSAGE_STATEMENTS,
    **HISTORY_STATEMENTS,
    **SCHEDULE_STATEMENTS,
    **COPY_STATEMENTS,
    **MEASURE_STATEMENTS,
    **SCHEMA_STATEMENTS,
    **WORKER_STATEMENTS,
    **SELECTION_STATEMENTS,
    **STOPPED_STATEMENTS,
}

MANY_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "insert_messages": (
        *("int8", "int8", "text", "int2", "int2", "int8", "int8", "int8", "int8"),
        *("int8", "int8", "int8", "text", "text", "text", "bytea", "text", "int8"),
    ),
    "claim_messages": (
        *("int8", "int8", "text", "int8", "int8", "int8", "int8", "text", "int8"),
    ),
    "renew_leases": ("int8",) * 5,
    "make_ready": ("int8",) * 4,
    "make_invisible": ("int8",) * 4,
    "delete_messages": ("int8",),
    "promote_messages": ("int8",) * 3,
    **HISTORY_MANY,
    **SCHEDULE_MANY,
    **COPY_MANY,
}
"""The SQL types of the columns of a parameter row, for statements that take many."""
