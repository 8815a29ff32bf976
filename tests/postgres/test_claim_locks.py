"""A claim locks what it returns and nothing else, in the order of claims."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.postgres.sql_scene import BAND, Scene, open_scene
from tests.postgres_server import Server
from trioqueue.store.postgres.compiling import compile_statement

LOWS = [band * BAND for band in range(5)]


@pytest.fixture
def scene(postgres: Server) -> Iterator[Scene]:
    with open_scene(postgres) as scene:
        yield scene


@contextmanager
def _session(server: Server, generic: str) -> Iterator[psycopg.Connection]:
    with server.connect() as connection:
        connection.execute(f"SET plan_cache_mode = {generic}".encode())
        yield connection


def _add(scene: Scene, ids: range, priority: int) -> None:
    scene.connection.execute(
        """
        INSERT INTO tq_messages (
            id, queue_id, message_id, state, priority, claim_key, ready_seq,
            created_at, max_attempts, content_type, payload
        ) SELECT n, 1, 'm' || n, 1, %(priority)s::int, %(key)s + 1000 - n / 2, n, 0, 5,
            'application/json', '1' FROM unnest(%(ids)s::int8[]) AS n
        """,
        {"ids": list(ids), "priority": priority, "key": (4 - priority) * BAND},
    )


def _claim(
    connection: psycopg.Connection,
    schema: str,
    limit: int,
    lows: list[int] | None = None,
) -> list[int]:
    """Look for ready messages as an operation does; return their ids."""
    compiled = compile_statement("ready_messages", schema)
    values = {"queue_id": 1, "limit": limit}
    values |= {f"low_{band}": low for band, low in enumerate(lows or LOWS)}
    result = connection.pgconn.exec_params(
        compiled.sql, [str(values[name]).encode() for name in compiled.names]
    )
    assert not result.error_message
    return [int(result.get_value(row, 0) or b"") for row in range(result.ntuples)]


def _free(connection: psycopg.Connection, schema: str) -> set[int]:
    """Return which messages nobody has locked."""
    rows = connection.execute(
        f'SELECT id FROM "{schema}".tq_messages FOR UPDATE SKIP LOCKED'.encode()
    )
    return {row[0] for row in rows}


def _in_order(scene: Scene) -> list[int]:
    rows = scene.connection.execute(
        "SELECT id FROM tq_messages WHERE state = 1 ORDER BY claim_key, ready_seq"
    )
    return [row[0] for row in rows]


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("limit", [1, 5, 12, 29, 30, 1000])
def test_a_claim_locks_as_many_as_it_returns(
    postgres: Server, scene: Scene, limit: int, mode: str
) -> None:
    for band in range(5):
        _add(scene, range(10 * band, 10 * band + 6), priority=band)
    order = _in_order(scene)
    with _session(postgres, mode) as one, _session(postgres, mode) as other:
        with one.transaction():
            claimed = _claim(one, scene.schema, limit)
            assert claimed == order[:limit]
            assert _free(other, scene.schema) == set(order[limit:])
        assert _free(other, scene.schema) == set(order)


def test_the_next_claim_takes_what_the_first_has_left(
    postgres: Server, scene: Scene
) -> None:
    _add(scene, range(8), priority=4)
    _add(scene, range(10, 18), priority=0)
    order = _in_order(scene)
    with (
        _session(postgres, "auto") as one,
        _session(postgres, "auto") as other,
        one.transaction(),
        other.transaction(),
    ):
        assert _claim(one, scene.schema, 5) == order[:5]
        assert _claim(other, scene.schema, 5) == order[5:10]
        assert _claim(one, scene.schema, 100) == order[:5] + order[10:]
        assert _claim(other, scene.schema, 100) == order[5:10]


def test_a_claim_begins_at_the_marks(postgres: Server, scene: Scene) -> None:
    _add(scene, range(8), priority=4)
    _add(scene, range(10, 18), priority=2)
    keys = [999, 2 * BAND + 992]
    rows = scene.connection.execute(
        "SELECT id FROM tq_messages WHERE (priority = 4 AND claim_key >= %s) "
        "OR (priority = 2 AND claim_key >= %s) ORDER BY claim_key, ready_seq",
        keys,
    )
    expected = [row[0] for row in rows]
    assert 0 < len(expected) < 16
    lows = [keys[0], LOWS[1], keys[1], LOWS[3], LOWS[4]]
    with _session(postgres, "auto") as one:
        assert _claim(one, scene.schema, 100, lows) == expected


def test_claims_at_the_same_time_never_overlap(postgres: Server, scene: Scene) -> None:
    for band in range(5):
        _add(scene, range(100 * band, 100 * band + 80), priority=band)
    start = threading.Barrier(4)
    taken: list[int] = []
    claim = compile_statement("claim_messages", scene.schema)

    def work() -> None:
        with postgres.connect() as connection:
            start.wait()
            while True:
                with connection.transaction():
                    ids = _claim(connection, scene.schema, 7)
                    if not ids:
                        return
                    row = f"{{{','.join(map(str, ids))}}}".encode()
                    result = connection.pgconn.exec_params(
                        claim.sql, [row] * claim.columns
                    )
                    assert result.command_tuples == len(ids)
                taken.extend(ids)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 400
    rows = scene.connection.execute("SELECT state, attempts FROM tq_messages")
    assert set(rows) == {(2, 1)}


def test_names_sort_by_their_bytes(scene: Scene) -> None:
    names = ["B", "Z", "_", "a", "a-b", "aB", "ab", "b"]
    for name in names:
        scene.connection.execute(
            "INSERT INTO tq_queues (name, options, dead_letter_name, created_at, "
            "updated_at) VALUES (%s, '', '', 0, 0)",
            [name],
        )
    compiled = compile_statement("list_queues", scene.schema)
    values = {"after": "_", "length": 1, "prefix": "a", "limit": 10}
    result = scene.connection.pgconn.exec_params(
        compiled.sql, [str(values[name]).encode() for name in compiled.names]
    )
    listed = [result.get_value(row, 1) for row in range(result.ntuples)]
    assert listed == [b"a", b"a-b", b"aB", b"ab"]


def test_no_column_sorts_as_the_databases_locale_does(scene: Scene) -> None:
    rows = scene.connection.execute(
        "SELECT table_name, column_name, collation_name FROM "
        "information_schema.columns WHERE table_schema = %s AND data_type = 'text'",
        [scene.schema],
    ).fetchall()
    assert len(rows) >= 40
    assert [row for row in rows if row[2] != "C"] == []
