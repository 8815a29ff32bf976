"""The SQL behind each query name: what metrics want to know of the whole database."""

from __future__ import annotations

from typing import Final

_BAND: Final = 1 << 58

MEASURE_STATEMENTS: Final = {
    # The lowest key is of the highest priority; the oldest of each band is its first
    # entry.
    "measure_queues": f"""
        SELECT q.queue_id, q.name, q.paused_at, (
            SELECT min(first.claim_key % {_BAND}) FROM (
                SELECT (SELECT claim_key FROM tq_messages
                        WHERE state = 1 AND queue_id = q.queue_id
                          AND claim_key >= band.number * {_BAND}
                          AND claim_key < (band.number + 1) * {_BAND}
                        ORDER BY claim_key, ready_seq LIMIT 1
                       ) AS claim_key
                FROM generate_series(0, 4) AS band(number)
            ) AS first
        ) FROM tq_queues AS q
    """,
    "measure_messages": """
        SELECT queue_id, 0, count(*) FROM tq_messages WHERE state = 0 GROUP BY queue_id
        UNION ALL
        SELECT queue_id, 1, count(*) FROM tq_messages WHERE state = 1 GROUP BY queue_id
        UNION ALL
        SELECT queue_id, 2, count(*) FROM tq_messages WHERE state = 2 GROUP BY queue_id
        UNION ALL
        -- All of them: it is what the index says of itself.
        SELECT queue_id, state, count(*) FROM tq_history
        WHERE state >= 3 GROUP BY queue_id, state
    """,
    "measure_schedules": """
        SELECT state, count(*), min(CASE state WHEN 0 THEN next_at END)
        FROM tq_schedules GROUP BY state
    """,
    # What other roles do is hidden from a role without the right to read statistics.
    "measure_health": """
        SELECT (1000000 * coalesce(
            max(extract(epoch FROM clock_timestamp() - xact_start)), 0
        ))::int8
        FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend'
          AND pid <> pg_backend_pid()
    """,
    "measure_dead_tuples": """
        SELECT name, pg_stat_get_dead_tuples(name::regclass) FROM (VALUES
            ('tq_messages'), ('tq_history'), ('tq_attempts'), ('tq_receipts')
        ) AS measured(name)
    """,
}
