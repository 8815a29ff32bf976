"""The SQL room: every query has its statement, and hot statements their plans."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trioqueue.store.operations
from trioqueue import TrioQueueError
from trioqueue.store.sqlite.connection import (
    Connection,
    _many,
    open_connection,
    prepare_database,
)
from trioqueue.store.sqlite.statements import STATEMENTS

QUERIES = {"Fetch", "Execute", "ExecuteMany"}
OPERATIONS = Path(trioqueue.store.operations.__file__).parent
MODULES = sorted(OPERATIONS.glob("*.py"))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Find where queries are made: the maker's name and the query's."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id in QUERIES:
            yield function.id, node.args[0]
        elif isinstance(function, ast.Attribute) and function.attr == "fetch":
            yield "scope", node.args[0]


def names_in(module: Path) -> tuple[set[str], bool]:
    """Return the query names a module writes out, and whether it works some out."""
    names: set[str] = set()
    worked_out = False
    for maker, name in calls(ast.parse(module.read_text())):
        if not isinstance(name, ast.Constant):
            worked_out = True
        elif maker == "scope":
            names |= {f"{name.value!s}_in_{kind}" for kind in ("name", "queue")}
        else:
            names.add(str(name.value))
    return names, worked_out


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_query_that_an_operation_names_has_its_statement(module: Path) -> None:
    names, _ = names_in(module)
    assert names <= STATEMENTS.keys()


def test_every_statement_is_used_by_an_operation() -> None:
    used: set[str] = set()
    for module in MODULES:
        names, worked_out = names_in(module)
        used |= names
        if worked_out:  # names in a tuple or a dict beside the call
            used |= {
                node.value
                for node in ast.walk(ast.parse(module.read_text()))
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    assert STATEMENTS.keys() <= used


def fill(connection: Connection) -> None:
    """Put in enough, unevenly enough, that a planner could be led astray."""
    raw = connection.raw
    raw.execute("BEGIN")
    for queue in range(1, 4):
        raw.execute(
            "INSERT INTO tq_queues VALUES (?, ?, '{}', ?, 0, 0, NULL, NULL, NULL)",
            (queue, f"q{queue}", f"q{queue}-dlq"),
        )
    raw.executemany(
        "INSERT INTO tq_messages (id, queue_id, message_id, state, priority, claim_key,"
        " ready_seq, due_at, deadline, created_at, max_attempts, content_type, payload)"
        " VALUES (:n, 1 + :n % 3, :n, :s, 2, :n, :n, :n, :n, 0, 3, 'text/plain', x'')",
        [{"n": n, "s": (0, 1, 1, 2)[n % 4]} for n in range(3000)],
    )
    raw.executemany(
        "INSERT INTO tq_history (id, queue_id, message_id, state, priority, created_at,"
        " max_attempts, attempts, content_type, finished_at, expires_at,"
        " dead_letter_name, payload) VALUES (:n, 1 + :n % 3, :n, :s, 2, 0, 3, 1,"
        " 'text/plain', :n, :e, :d, x'00')",
        [
            {
                "n": n,
                "s": 3 + n % 3,
                "e": n if n % 2 else None,
                "d": "q1-dlq" if n % 3 == 2 else None,
            }
            for n in range(10_000, 13_000)
        ],
    )
    raw.executemany(
        "INSERT INTO tq_receipts VALUES (?, 0, 'complete', 0, 3, ?)",
        [(n, n) for n in range(3000)],
    )
    raw.executemany(
        "INSERT INTO tq_schedules (schedule_row, schedule_id, queue, kind, rule,"
        " calendar_id, payload, content_type, misfire, jitter, state, next_at,"
        " next_nominal, cursor, run_count, revision, version, created_at, updated_at)"
        " VALUES (:n, 's' || :n, 'q1', :k, '{}', :c, x'', 'text/plain', '{}', 0, :s,"
        " :n, :n, 0, 0, 1, 1, 0, 0)",
        [
            {
                "n": n,
                "k": ("cron", "calendar")[n % 2],
                "c": f"c{n % 5}" if n % 2 else None,
                "s": n % 4,
            }
            for n in range(3000)
        ],
    )
    raw.executemany(
        "INSERT INTO tq_schedule_runs VALUES (:n, :n % 100, 'm' || :n, :n, :n,"
        " 'on_time', 0)",
        [{"n": n} for n in range(10_000)],
    )
    raw.executemany(
        "INSERT INTO tq_business_calendars VALUES (:n, '{}', 1, 0, 0)",
        [{"n": f"c{n}"} for n in range(5)],
    )
    raw.execute("COMMIT")


@pytest.fixture(scope="module", params=["new", "full", "analyzed"])
def database(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A database without statistics, as ours are, and one that somebody analyzed."""
    connection = open_connection(":memory:")
    prepare_database(connection, migrate=True, pause=lambda _: None)
    if request.param != "new":
        fill(connection)
    if request.param == "analyzed":
        connection.raw.execute("ANALYZE")
    yield connection
    connection.close()


class _Anything(dict[str, Any]):
    """Any parameter that a statement asks for."""

    def __missing__(self, name: str) -> Any:
        return "[1, 2]" if name.endswith("s") and name != "address" else 1


def columns_of(sql: str) -> int:
    """How many columns the parameter rows of a statement have."""
    named = [int(number) for number in re.findall(r"column(\d+)", sql)]
    if named:
        return max(named)
    inserted = re.search(r"INSERT INTO \w+ \(([^)]*)\) *\s*VALUES", sql)
    return 1 if inserted is None else inserted[1].count(",") + 1


def plan(connection: Connection, name: str) -> list[str]:
    sql = STATEMENTS[name]
    parameters: Any = _Anything()
    if "{rows}" in sql:
        width = columns_of(sql)
        sql = _many(name, width, 3)
        parameters = (1,) * (3 * width)
    rows = connection.raw.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
    # Which versions of SQLite call an index covering differs.
    return [row[3].replace("COVERING ", "") for row in rows]


HOT = {
    "ready_messages": "SEARCH tq_messages USING INDEX tq_messages_ready (queue_id=?)",
    "due_messages": "SEARCH m USING INDEX tq_messages_due (due_at<?)",
    "next_due": "SEARCH tq_messages USING INDEX tq_messages_due",
    "expired_messages": "SEARCH m USING INDEX tq_messages_leased (deadline<?)",
    "next_expiry": "SEARCH tq_messages USING INDEX tq_messages_leased",
    "released_history": (
        "SEARCH tq_history USING INDEX tq_history_release "
        "(expires_at>? AND expires_at<?)"
    ),
    "next_release": "SEARCH tq_history USING INDEX tq_history_release",
    "live_by_message_id": (
        "SEARCH tq_messages USING INDEX tq_messages_ids (queue_id=? AND message_id=?)"
    ),
    "finished_by_message_id": (
        "SEARCH tq_history USING INDEX tq_history_ids (queue_id=? AND message_id=?)"
    ),
    "held_messages": "SEARCH tq_messages USING INTEGER PRIMARY KEY (rowid=?)",
    "held_and_free": "SEARCH tq_messages USING INTEGER PRIMARY KEY (rowid=?)",
    "receipts": "SEARCH tq_receipts USING INTEGER PRIMARY KEY (rowid=?)",
    "dead_letters_in_name": (
        "SEARCH tq_history USING INDEX tq_history_dead (dead_letter_name=?)"
    ),
    "oldest_dead_letters_in_name": (
        "SEARCH tq_history USING INDEX tq_history_dead (dead_letter_name=?)"
    ),
    "dead_letters_in_queue": (
        "SEARCH tq_history USING INDEX tq_history_order (queue_id=? AND state=?)"
    ),
    "oldest_dead_letters_in_queue": (
        "SEARCH tq_history USING INDEX tq_history_order (queue_id=? AND state=?)"
    ),
    "peek_pending": "SEARCH tq_messages USING INDEX tq_messages_ready (queue_id=?",
    "count_ahead": "SEARCH tq_messages USING INDEX tq_messages_ready (queue_id=?",
    "beat_worker": "SEARCH tq_workers USING INTEGER PRIMARY KEY (rowid=?)",
    "peek_finished": (
        "SEARCH tq_history USING INDEX tq_history_order (queue_id=? AND state=?)"
    ),
    "claim_messages": "SEARCH tq_messages USING INTEGER PRIMARY KEY (rowid=?)",
    "renew_leases": "SEARCH tq_messages USING INTEGER PRIMARY KEY (rowid=?)",
    "make_ready": "SEARCH tq_messages USING INTEGER PRIMARY KEY (rowid=?)",
    "make_invisible": "SEARCH tq_messages USING INTEGER PRIMARY KEY (rowid=?)",
    "promote_messages": "SEARCH tq_messages USING INTEGER PRIMARY KEY (rowid=?)",
    "delete_messages": "SEARCH tq_messages USING INTEGER PRIMARY KEY (rowid=?)",
    "copy_to_history": "SEARCH tq_messages USING INTEGER PRIMARY KEY (rowid=?)",
    "delete_history": "SEARCH tq_history USING INTEGER PRIMARY KEY (rowid=?)",
    "delete_attempts": "SEARCH tq_attempts USING PRIMARY KEY (message_row=?)",
    "attempts_of": "SEARCH tq_attempts USING PRIMARY KEY (message_row=?)",
    "take_tickets": "SEARCH tq_counters USING INDEX sqlite_autoindex_tq_counters_1",
    "is_live": "SEARCH m USING INDEX tq_messages_ids",
    "next_schedule": "SEARCH tq_schedules USING INDEX tq_schedules_due (kind=?)",
    "due_schedules": (
        "SEARCH tq_schedules USING INDEX tq_schedules_due (kind=? AND next_at<?)"
    ),
    "schedule_versions": "SEARCH tq_schedules USING INTEGER PRIMARY KEY (rowid=?)",
    "advance_schedules": "SEARCH tq_schedules USING INTEGER PRIMARY KEY (rowid=?)",
    "schedules_by_id": (
        "SEARCH tq_schedules USING INDEX sqlite_autoindex_tq_schedules_1"
    ),
    "list_schedules": "SEARCH tq_schedules USING INDEX sqlite_autoindex_tq_schedules_1",
    "queue_schedules": "SEARCH tq_schedules USING INDEX tq_schedules_queue (queue=?)",
    "schedules_of_calendar": (
        "SEARCH tq_schedules USING INDEX tq_schedules_calendar (calendar_id=?)"
    ),
    "known_runs": (
        "SEARCH tq_schedule_runs USING INDEX tq_schedule_runs_ids (message_id=?)"
    ),
    "schedule_history": (
        "SEARCH tq_schedule_runs USING INDEX tq_schedule_runs_order (schedule_row=?"
    ),
    "schedule_run_position": (
        "SEARCH tq_schedule_runs USING INDEX tq_schedule_runs_ids "
        "(message_id=? AND schedule_row=?)"
    ),
    "prune_schedule_runs": (
        "SEARCH tq_schedule_runs USING INDEX tq_schedule_runs_order "
        "(schedule_row=? AND run<?)"
    ),
    "delete_schedule_runs": (
        "SEARCH tq_schedule_runs USING INDEX tq_schedule_runs_order (schedule_row=?)"
    ),
}


@pytest.mark.parametrize("name", HOT)
def test_a_hot_query_goes_by_its_index_and_does_not_sort(
    database: Connection, name: str
) -> None:
    steps = plan(database, name)
    assert any(step.startswith(HOT[name]) for step in steps), steps
    for step in steps:
        assert not step.startswith(("SCAN tq_", "SCAN m", "SCAN q")), steps
        assert "TEMP B-TREE" not in step, steps


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_is_valid_against_the_tables(
    database: Connection, name: str
) -> None:
    assert plan(database, name) or STATEMENTS[name].lstrip().startswith("INSERT")


def test_looking_at_a_queue_never_reads_all_its_messages(
    database: Connection,
) -> None:
    for name in ("count_states", "queue_instants", "queues_with_ready"):
        steps = [step for step in plan(database, name) if "tq_messages" in step]
        for state_index in ("tq_messages_due", "tq_messages_leased"):
            if name != "queues_with_ready":
                assert any(state_index in step for step in steps), steps
        assert not any("tq_messages_ids" in step for step in steps), steps


@pytest.mark.parametrize("name", ["peek_running", "peek_invisible"])
def test_a_page_of_one_state_sorts_ties_at_most(
    database: Connection, name: str
) -> None:
    steps = plan(database, name)
    assert not any("tq_messages_ids" in step for step in steps), steps
    sorts = [step for step in steps if "TEMP B-TREE" in step]
    assert not any(step == "USE TEMP B-TREE FOR ORDER BY" for step in sorts), steps


def test_a_clash_with_a_foreign_table_of_our_name_is_an_error_not_a_mix_up() -> None:
    connection = open_connection(":memory:")
    connection.raw.execute("CREATE TABLE tq_messages (x)")
    with pytest.raises(TrioQueueError, match="already exists"):
        prepare_database(connection, migrate=True, pause=lambda _: None)
    assert not connection.in_transaction
    connection.close()
