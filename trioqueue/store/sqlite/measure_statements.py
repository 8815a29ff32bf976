"""The SQL behind each query name: what metrics want to know of the whole database."""

from __future__ import annotations

from typing import Final

_BAND: Final = 1 << 58

MEASURE_STATEMENTS: Final = {
    # The lowest key is of the highest priority; the oldest of each band is its first
    # entry.
    "measure_queues": f"""
        SELECT q.queue_id, q.name, q.paused_at, (
            SELECT min(claim_key % {_BAND}) FROM (
                SELECT (SELECT min(claim_key)
                        FROM tq_messages INDEXED BY tq_messages_ready
                        WHERE state = 1 AND queue_id = q.queue_id
                          AND claim_key >= band.value * {_BAND}
                          AND claim_key < (band.value + 1) * {_BAND}
                       ) AS claim_key
                FROM json_each('[0,1,2,3,4]') AS band)
        ) FROM tq_queues AS q
    """,
    "measure_messages": """
        SELECT queue_id, 0, count(*) FROM tq_messages INDEXED BY tq_messages_due
        WHERE state = 0 GROUP BY queue_id
        UNION ALL
        SELECT queue_id, 1, count(*) FROM tq_messages INDEXED BY tq_messages_ready
        WHERE state = 1 GROUP BY queue_id
        UNION ALL
        SELECT queue_id, 2, count(*) FROM tq_messages INDEXED BY tq_messages_leased
        WHERE state = 2 GROUP BY queue_id
        UNION ALL
        SELECT queue_id, state, count(*) FROM tq_history GROUP BY queue_id, state
    """,
    "measure_schedules": """
        SELECT state, count(*), min(CASE state WHEN 0 THEN next_at END)
        FROM tq_schedules GROUP BY state
    """,
    # Transactions here hold up nobody for long, and nothing waits for vacuum.
    "measure_health": "SELECT NULL",
    "measure_dead_tuples": "SELECT 'tq_messages', 0 WHERE FALSE",
}
