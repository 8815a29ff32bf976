"""The plans of finding messages in SQLite look at bounded parts of 100,000 rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from trioqueue.store.sqlite.connection import (
    Connection,
    open_connection,
    prepare_database,
)
from trioqueue.store.sqlite.selection_statements import SELECTION_STATEMENTS

LIVE, DONE = "SEARCH tq_messages USING ", "SEARCH tq_history USING "
BY_ROW: Final = "INTEGER PRIMARY KEY (rowid=?)"
SPAN: Final = "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"

# For each statement, the steps that read tables.
EXPECTED: Final[dict[str, list[str]]] = {
    "every_queue": ["SCAN tq_queues"],
    "live_span_end": [f"{LIVE}{SPAN}"],
    "finished_span_end": [f"{DONE}{SPAN}"],
    "live_span": [f"{LIVE}{SPAN}"],
    "finished_span": [f"{DONE}{SPAN}"],
    "live_named": [f"{LIVE}INDEX tq_messages_ids (queue_id=? AND message_id=?)"],
    "finished_named": [f"{DONE}INDEX tq_history_ids (queue_id=? AND message_id=?)"],
    "metadata_of": [f"{LIVE}{BY_ROW}", f"{DONE}{BY_ROW}"],
    "payloads_of": [f"{LIVE}{BY_ROW}", f"{DONE}{BY_ROW}"],
    "states_of": [f"{LIVE}{BY_ROW}", f"{DONE}{BY_ROW}"],
    "last_errors_of": [
        "SEARCH a USING PRIMARY KEY (message_row=? AND attempt_id=?)",
        "SEARCH tq_attempts USING PRIMARY KEY (message_row=?)",
    ],
    "attempts_of_rows": ["SEARCH tq_attempts USING PRIMARY KEY (message_row=?)"],
    "live_by_row": [f"{LIVE}{BY_ROW}"],
    "finished_by_row": [f"{DONE}{BY_ROW}"],
    "lock_finished_rows": [f"{DONE}{BY_ROW}"],
    "lock_kept_rows": [f"{DONE}{BY_ROW}"],
    "dead_span_in_name": [
        f"{DONE}INDEX tq_history_dead (dead_letter_name=? AND finished_at<?)"
    ],
    "dead_span_in_queue": [
        f"{DONE}INDEX tq_history_order (queue_id=? AND state=? AND finished_at<?)"
    ],
}


def fill(connection: Connection, rows: int) -> None:
    """Put in many rows of each table, in ten queues."""
    raw = connection.raw
    numbers = [{"n": n} for n in range(rows)]
    raw.execute("BEGIN")
    for queue in range(1, 11):
        raw.execute(
            "INSERT INTO tq_queues (queue_id, name, options, dead_letter_name,"
            " created_at, updated_at) VALUES (?, ?, '{}', ?, 0, 0)",
            (queue, f"q{queue}", f"q{queue}-dlq"),
        )
    raw.executemany(
        "INSERT INTO tq_messages (id, queue_id, message_id, state, priority, claim_key,"
        " ready_seq, due_at, deadline, created_at, max_attempts, content_type, payload)"
        " VALUES (2 * :n, 1 + :n % 10, :n, :n % 3, 2, :n, :n, :n, :n, :n, 3,"
        " 'text/plain', x'')",
        numbers,
    )
    raw.executemany(
        "INSERT INTO tq_history (id, queue_id, message_id, state, priority, created_at,"
        " max_attempts, attempts, content_type, finished_at, dead_letter_name, payload)"
        " VALUES (2 * :n + 1, 1 + :n % 10, 'd' || :n, 3 + :n % 3, 2, :n, 3, 1,"
        " 'text/plain', :n, 'q' || (1 + :n % 10) || '-dlq', x'00')",
        numbers,
    )
    raw.executemany(
        "INSERT INTO tq_attempts (message_row, attempt_id, number, started_at,"
        " ended_at, outcome) VALUES (:n, :n, 1, 0, 0, 'failed')",
        numbers,
    )
    raw.execute("COMMIT")


@pytest.fixture(scope="module", params=[0, 100_000, "analyzed"])
def database(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """An empty database, a large one, and a large one that somebody analyzed."""
    connection = open_connection(":memory:")
    prepare_database(connection, migrate=True, pause=lambda _: None)
    if request.param:
        fill(connection, 100_000)
    if request.param == "analyzed":
        connection.raw.execute("ANALYZE")
    yield connection
    connection.close()


class _Anything(dict[str, Any]):
    """Any parameter that a statement asks for."""

    def __missing__(self, name: str) -> Any:
        return "[1, 2]" if name.endswith("s") else 1


def plan(connection: Connection, name: str) -> list[str]:
    """Return the steps of a statement; an index that covers it is as good.

    Some versions of SQLite compare rows in the index, others their first columns.
    """
    sql = f"EXPLAIN QUERY PLAN {SELECTION_STATEMENTS[name]}"
    rows = connection.raw.execute(sql, _Anything()).fetchall()
    return [
        row[3]
        .replace("COVERING ", "")
        .replace("(finished_at,id)<(?,?)", "finished_at<?")
        for row in rows
    ]


@pytest.mark.parametrize("name", EXPECTED)
def test_it_goes_by_numbers_or_names_and_sorts_no_table(
    database: Connection, name: str
) -> None:
    steps = plan(database, name)
    tables = [step for step in steps if "tq_" in step or step.startswith("SEARCH a ")]
    expected = EXPECTED[name]
    if name == "every_queue":
        assert tables[0].startswith(expected[0])
    else:
        assert tables == expected
    if not name.startswith("attempts_of"):
        assert not any("TEMP B-TREE FOR ORDER" in step for step in steps), steps


def test_the_extent_is_read_at_the_ends(database: Connection) -> None:
    steps = [step for step in plan(database, "row_extent") if "tq_" in step]
    assert len(steps) == 4
    assert all(step.startswith("SEARCH tq_") for step in steps), steps


def test_each_statement_has_its_plan() -> None:
    assert SELECTION_STATEMENTS.keys() - EXPECTED.keys() == {"row_extent"}
