"""What the driver takes for granted of psycopg's private parts, one test for each.

If one of these fails after an update of psycopg, the driver has to be looked at.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any

import psycopg
import pytest
from psycopg import generators, pq, waiting

from tests.postgres_server import Server
from trioqueue.store.postgres.driver import TrioConnection
from trioqueue.store.postgres.readiness import READ, WRITE, ready_now


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def run(gen: Generator[Any, Any, Any], fd: int, *, ask_twice: bool = False) -> Any:
    try:
        wanted = next(gen)
        while True:
            if ask_twice:
                assert next(gen) == wanted
            wanted = gen.send(ready_now(fd, wanted, 10))
    except StopIteration as end:
        return end.value


def test_wait_numbers_are_ours() -> None:
    assert (waiting.WAIT_R, waiting.WAIT_W, waiting.WAIT_RW) == (READ, WRITE, 3)
    assert (waiting.READY_R, waiting.READY_W, waiting.READY_RW) == (READ, WRITE, 3)


def test_wait_is_called_with_interval_and_timeout() -> None:
    expected = ["self", "gen", "interval", "timeout"]
    assert parameters(psycopg.AsyncConnection.wait) == expected
    assert parameters(TrioConnection.wait) == expected


def test_wait_timeout_is_what_notifies_ends_on() -> None:
    assert issubclass(psycopg.errors._WaitTimeout, psycopg.Error)
    assert "_WaitTimeout" in inspect.getsource(psycopg.AsyncConnection.notifies)


def test_connect_gen_names_its_socket_and_makes_our_class(postgres: Server) -> None:
    gen = TrioConnection._connect_gen(postgres.url)
    try:
        fd, wanted = next(gen)
        while True:
            fd, wanted = gen.send(ready_now(fd, wanted, 10))
    except StopIteration as end:
        connection = end.value
    assert type(connection) is TrioConnection
    assert connection.pgconn.nonblocking == 1
    connection.pgconn.finish()


def test_cancel_gen_outlives_its_connection_and_asks_again(postgres: Server) -> None:
    if not psycopg.capabilities.has_cancel_safe():
        pytest.skip("this libpq cancels in a thread")
    with postgres.connect() as connection:
        gen = connection._cancel_gen()
        asked = next(gen)
        assert next(gen) == asked
        connection.pgconn.finish()
        fd, wanted = asked
        with pytest.raises(StopIteration):
            while True:
                fd, wanted = gen.send(ready_now(fd, wanted, 10))


def test_generators_ask_again_when_sent_nothing(postgres: Server) -> None:
    with postgres.connect() as connection:
        pgconn = connection.pgconn
        pgconn.send_query(b"SELECT 1; SELECT 2")
        assert run(generators.send(pgconn), pgconn.socket, ask_twice=True) is None
        results = run(generators.fetch_many(pgconn), pgconn.socket, ask_twice=True)
        assert [result.get_value(0, 0) for result in results] == [b"1", b"2"]
        assert run(generators.fetch(pgconn), pgconn.socket) is None


def test_copy_generators_end_as_the_drain_expects(postgres: Server) -> None:
    with postgres.connect() as connection:
        pgconn = connection.pgconn
        pgconn.send_query(b"COPY (SELECT 1) TO STDOUT")
        result = run(generators.fetch(pgconn), pgconn.socket)
        assert result.status == pq.ExecStatus.COPY_OUT
        assert isinstance(run(generators.copy_from(pgconn), pgconn.socket), memoryview)
        ended = run(generators.copy_from(pgconn), pgconn.socket)
        assert ended.status == pq.ExecStatus.COMMAND_OK
        assert parameters(generators.copy_end) == ["pgconn", "error"]


def test_a_finished_connection_is_bad_and_can_be_finished_again(
    postgres: Server,
) -> None:
    with postgres.connect() as connection:
        pgconn = connection.pgconn
        pgconn.finish()
        pgconn.finish()
        assert pgconn.status == pq.ConnStatus.BAD
        assert pgconn.transaction_status == pq.TransactionStatus.UNKNOWN
        with pytest.raises(psycopg.OperationalError):
            pgconn.enter_pipeline_mode()
        with pytest.raises(psycopg.OperationalError):
            assert pgconn.socket


def test_the_notifies_backlog_is_filled_by_the_handler(postgres: Server) -> None:
    with postgres.connect() as connection:
        connection.execute("LISTEN c")
        connection.execute("NOTIFY c, 'x'")
        connection.execute("SELECT 1")
        backlog = connection._notifies_backlog
        assert backlog is not None
        assert [one.payload for one in backlog] == ["x"]
        assert connection.pgconn.notify_handler is not None


def test_private_attributes_that_are_set_are_there(postgres: Server) -> None:
    with postgres.connect() as connection:
        assert connection._autocommit is True
        seen = [connection._closed]
        assert not connection._pipeline
        assert connection._should_cancel() is True
        with connection.pipeline() as pipeline:
            assert connection._pipeline is pipeline
            assert pipeline.level == 1
        connection._check_connection_ok()
        connection.close()
        seen.append(connection._closed)
        assert seen == [False, True]
        assert connection._should_cancel() is False
        with pytest.raises(psycopg.OperationalError):
            connection._check_connection_ok()


def test_overridden_methods_are_called_with_these_names() -> None:
    base = psycopg.AsyncConnection
    assert parameters(base._try_cancel) == ["self", "timeout"]
    assert parameters(base.cancel_safe) == ["self", "timeout"]
    assert parameters(base._pipeline_nolock) == ["self"]
    assert parameters(base.pipeline) == ["self"]
    assert parameters(base.transaction) == ["self", "savepoint_name", "force_rollback"]
    assert parameters(psycopg.AsyncPipeline) == ["conn", "_no_lock"]
    assert "_pipeline_nolock()" in inspect.getsource(psycopg.AsyncCursor.executemany)


def test_a_transaction_is_active_between_entry_and_exit(postgres: Server) -> None:
    seen = []
    with postgres.connect() as connection:
        with connection.transaction() as transaction:
            seen.append(transaction.status)
        seen.append(transaction.status)
    assert seen == [transaction.Status.ACTIVE, transaction.Status.COMMITTED]
    asynchronous = psycopg.AsyncTransaction
    assert parameters(asynchronous)[0] == "connection"
    assert "self._conn.wait(self._exit_gen" in inspect.getsource(asynchronous.__aexit__)


def test_the_lock_is_only_entered_and_left() -> None:
    for module in (psycopg.connection_async, psycopg.cursor_async, psycopg.transaction):
        uses = inspect.getsource(module).split(".lock")[1:]
        allowed = (":", " = ALock()", "\n")
        assert all(use.startswith(allowed) for use in uses)
