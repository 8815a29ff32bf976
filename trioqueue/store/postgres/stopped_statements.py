"""The SQL behind each query name: clients that were stopped in a transaction.

``idle_in_transaction_session_timeout`` counts from the end of a pipeline.  In the
middle of one, where the client has sent a part or does not read the answer, the server
has no limit that leaves long transactions alone.  But another client may end it.
"""

from __future__ import annotations

from typing import Final

SILENT_SECONDS: Final = 2
"""How long a client that others wait for may be silent before it is suspected.

Who comes a second later and finds it silent still ends it: in all that is less than a
transaction between two requests is given.
"""
SPARE_SECONDS: Final = 4
"""How much longer than any client of ours waits for an answer the others may be silent.

Over a slow line a large request may well take its time.
"""

STOPPED_STATEMENTS: Final = {
    # The server notes when it began with the latest part of a request; it still waits
    # with the same one.  Its own transaction number is what a row is locked with.  The
    # look at the locks is made for those only that all the rest is true of.
    "end_stopped": f"""
        SELECT name, CASE
            WHEN name = ANY(:seen::text[]) THEN pg_terminate_backend(pid) ELSE false
        END
        FROM (
            SELECT a.pid, a.pid || '/' || extract(epoch FROM a.state_change) AS name
            FROM pg_stat_activity AS a
            WHERE a.datname = current_database() AND a.usename = current_user
              AND a.pid <> pg_backend_pid() AND a.backend_xid IS NOT NULL
              AND a.state = 'active' AND a.wait_event IN ('ClientRead', 'ClientWrite')
              AND a.query !~* '^\\s*copy\\M'
              AND clock_timestamp() - a.state_change > CASE
                  WHEN a.backend_xid IN (
                      SELECT m.xmax FROM tq_messages AS m
                      WHERE m.id = ANY(:ids::int8[])
                  ) THEN interval '{SILENT_SECONDS} s'
                  ELSE interval '{SPARE_SECONDS} s'
                       + current_setting('statement_timeout')::interval
              END
              AND (
                  SELECT true FROM pg_locks AS l
                  WHERE l.pid = a.pid AND l.database = a.datid AND l.granted
                    AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
                    AND l.relation IN (
                        'tq_messages'::regclass, 'tq_history'::regclass,
                        'tq_queues'::regclass, 'tq_schedules'::regclass,
                        'tq_business_calendars'::regclass
                    )
                  LIMIT 1
              )
            OFFSET 0
        ) AS stopped
    """,
}
