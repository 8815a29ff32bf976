"""The servers that the other tests are given."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests import postgres_guard
from tests.postgres_server import PASSWORD, OwnServer, Room, Server


def _value(server: Server, query: str, **options: object) -> object:
    with server.connect(**options) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def test_the_server_answers_at_its_url(postgres: Server) -> None:
    assert int(str(_value(postgres, "SHOW server_version_num"))) >= 14_00_00


def test_the_servers_settings_are_those_of_a_test(own_postgres: OwnServer) -> None:
    expected = {
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "on",
        "max_connections": "200",
    }
    shown = {name: _value(own_postgres, f"SHOW {name}") for name in expected}
    assert shown == expected


def test_it_answers_on_its_socket_and_checks_passwords(own_postgres: OwnServer) -> None:
    who = "SELECT inet_client_addr() IS NULL"
    assert _value(own_postgres, who, host=own_postgres.socket_directory) is True
    assert _value(own_postgres, who) is False
    with pytest.raises(psycopg.OperationalError, match="password authentication"):
        _value(own_postgres, who, password=f"{PASSWORD}x")


def test_a_schema_is_gone_afterwards(postgres: Server) -> None:
    with postgres.schema() as one, postgres.schema() as two:
        assert one != two
        assert postgres.store_url(one).endswith(f"schema={one}")
        with postgres.connect() as connection:
            connection.execute(f"CREATE SCHEMA {one} CREATE TABLE t (n int)".encode())
    found = f"SELECT count(*) FROM pg_namespace WHERE nspname IN ('{one}', '{two}')"
    assert _value(postgres, found) == 0


def test_a_restart_keeps_the_data_and_the_port(own_postgres: OwnServer) -> None:
    with own_postgres.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS n")
    own_postgres.restart("immediate")
    assert _value(own_postgres, "SELECT n FROM t") == 7


def test_a_killed_server_starts_again(own_postgres: OwnServer) -> None:
    with own_postgres.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS n")
        own_postgres.kill()
        assert not own_postgres.is_running
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    own_postgres.start()
    assert _value(own_postgres, "SELECT n FROM t") == 7


def test_a_stopped_server_refuses_connections(own_postgres: OwnServer) -> None:
    own_postgres.stop()
    own_postgres.stop()
    assert not own_postgres.is_running
    with pytest.raises(psycopg.OperationalError):
        _value(own_postgres, "SELECT 1")


def test_removing_goes_on_while_the_last_processes_clear_up_too(
    own_postgres: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_postgres.stop()
    remove, failures = shutil.rmtree, [FileNotFoundError, OSError]

    def race(home: Path) -> None:
        if failures:
            raise failures.pop()("a file came, or went")
        remove(home)

    monkeypatch.setattr(shutil, "rmtree", race)
    own_postgres.remove()
    assert not own_postgres.home.exists()


_RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.postgres_server import Room
room = Room.open()
room.shared()
print(room.path, flush=True)
sys.stdin.read()
"""


def test_servers_of_a_killed_run_are_stopped(postgres_room: Room) -> None:
    root = Path(postgres_guard.__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        room = Path(run.stdout.readline().strip())
        (home,) = (path.parents[1] for path in room.glob("*/data/postmaster.pid"))
        assert postgres_guard.is_listening(home)
        os.kill(run.pid, signal.SIGKILL)
    while room.exists():
        time.sleep(0.01)
    assert not postgres_guard.is_listening(home)
