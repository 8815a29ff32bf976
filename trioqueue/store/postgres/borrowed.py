"""Driving operations over a psycopg connection of the user's.

Everything is one generator of psycopg's kind, which says what it waits for: so the same
code runs on a synchronous connection and on an asynchronous one, on any event loop.
Parameters and rows are read and written here, so that it does not matter what the user
has set on the connection for his own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import psycopg
from psycopg import generators, pq

from trioqueue.errors import ValidationError
from trioqueue.store.borrowed import (
    ANOTHER_DATABASE,
    ASYNC_ONE,
    CLOSED,
    NO_TRANSACTION,
    SAVEPOINT,
    SYNC_ONE,
)
from trioqueue.store.operations.core import ExecuteMany, Fetch, Lock
from trioqueue.store.postgres.compiling import compile_statement, quote_schema
from trioqueue.store.postgres.decoding import decode_rows
from trioqueue.store.postgres.encoding import BINARY, encode, encode_columns
from trioqueue.store.postgres.session import LOCKS, lock_key
from trioqueue.store.postgres.signals import channel_of
from trioqueue.store.postgres.statements import MANY_TYPES

if TYPE_CHECKING:
    from psycopg.abc import PQGen
    from psycopg.pq.abc import PGconn, PGresult

    from trioqueue.store.operations.core import Effects, Operation, Row

T = TypeVar("T")

_OK: Final = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_OPEN: Final = (
    pq.TransactionStatus.INTRANS,
    pq.TransactionStatus.INERROR,
    pq.TransactionStatus.ACTIVE,
)
_BEGIN: Final = f"SAVEPOINT {SAVEPOINT}"
_RELEASE: Final = f"RELEASE SAVEPOINT {SAVEPOINT}"
UNDO: Final = f"ROLLBACK TO SAVEPOINT {SAVEPOINT}; {_RELEASE}".encode()
_IDENTITY: Final = """
    SELECT m.value, d.oid, '{table}'::regclass::oid
    FROM (SELECT max(value) AS value FROM {table} WHERE key = 'store_id') AS m,
         pg_catalog.pg_database AS d
    WHERE d.datname = pg_catalog.current_database()
"""
"""What tells a schema from its own copies, too."""


def identity_query(schema: str) -> bytes:
    """Write the question for what tells a schema from all others."""
    return _IDENTITY.format(table=f"{quote_schema(schema)}.tq_meta").encode()


@final
class Inside:
    """Runs operations of one schema inside transactions that somebody else begins."""

    def __init__(self, schema: str, identity: tuple[Any, ...]) -> None:
        self._schema = schema
        self._identity = identity
        table = f"{quote_schema(schema)}.tq_meta"
        self._look = (
            f"{_BEGIN}; SELECT pg_catalog.to_regclass('{table}') IS NOT NULL, "
            "pg_catalog.current_setting('transaction_isolation')"
        ).encode()
        self._ask_identity = identity_query(schema)

    @staticmethod
    def save(pgconn: PGconn) -> PQGen[None]:
        """Set the savepoint."""
        yield from simple(pgconn, _BEGIN.encode())

    def begin(self, pgconn: PGconn) -> PQGen[None]:
        """Set the savepoint, and see that the database is the store's.

        Raises:
            ValidationError: It is not, or the transaction is of the wrong kind.
            psycopg.Error: What the server says.
        """
        (row,) = _texts((yield from simple(pgconn, self._look)))
        if row[0] != "t":
            raise ValidationError.of(
                "connection",
                f"its database has no tables of trioqueue in schema {self._schema!r}",
            )
        if row[1] != "read committed":
            raise ValidationError.of(
                "connection",
                f"its transaction is {row[1].upper()}, and would not see what others "
                "have committed since it began; use READ COMMITTED",
            )
        rows = yield from self._statement(pgconn, self._ask_identity, [], None)
        if rows != [self._identity]:
            raise ValidationError.of("connection", ANOTHER_DATABASE)

    def drive(self, pgconn: PGconn, operation: Operation[T]) -> PQGen[T]:
        """Run an operation.

        Raises:
            psycopg.Error: What the server says.
            Exception: What the operation says.
        """
        answer: Any = None
        try:
            while True:
                query = operation.send(answer)
                rows = yield from self._statement(pgconn, *self._compile(query))
                answer = rows if type(query) is Fetch else None
        except StopIteration as stop:
            value: T = stop.value
            return value
        finally:
            operation.close()

    def _compile(
        self, query: Any
    ) -> tuple[bytes, list[bytes | None], list[int] | None]:
        if type(query) is Lock:
            # Without keys it locks nothing.
            keys = sorted(lock_key(self._schema, key) for key in query.keys)
            return LOCKS[query.exclusive], [encode(keys)[0]], None
        compiled = compile_statement(query.name, self._schema)
        if type(query) is ExecuteMany:
            columns = encode_columns(MANY_TYPES[query.name], query.rows)
            return compiled.sql, columns, None
        pairs = [encode(query.parameters[name]) for name in compiled.names]
        return compiled.sql, [data for data, _ in pairs], [form for _, form in pairs]

    @staticmethod
    def _statement(
        pgconn: PGconn,
        sql: bytes,
        parameters: list[bytes | None],
        formats: list[int] | None,
    ) -> PQGen[list[Row]]:
        pgconn.send_query_params(
            sql, parameters, param_formats=formats, result_format=BINARY
        )
        return decode_rows((yield from _results(pgconn)))

    def end(self, pgconn: PGconn, effects: Effects | None) -> PQGen[None]:
        """Keep what was done, and let the commit tell the other processes of it.

        The server sends equal notifications of a transaction once, so a queue is named
        once, however many messages are posted.
        """
        words = [] if effects is None else _words(effects)
        channel = _quote(channel_of(self._schema))
        notify = "".join(
            f"SELECT pg_catalog.pg_notify({channel}, {_quote(word)}); "
            for word in words
        )
        yield from simple(pgconn, f"{notify}{_RELEASE}".encode())


def _words(effects: Effects) -> list[str]:
    """Write what `signals.Ears` understands, from nobody, so that we hear it too."""
    words: list[dict[str, Any]] = [{"s": "", "r": [q]} for q in sorted(effects.ready)]
    # Not the instant: each would be a notification of its own.
    words += [{"s": "", "d": {service: 0}} for service in sorted(effects.due)]
    return [json.dumps(word, separators=(",", ":")) for word in words]


def _quote(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def simple(pgconn: PGconn, sql: bytes) -> PQGen[PGresult]:
    """Run statements without parameters in one go; return the last result.

    Raises:
        psycopg.Error: What the server says.
    """
    pgconn.send_query(sql)
    return (yield from _results(pgconn))


def _results(pgconn: PGconn) -> PQGen[PGresult]:
    results = yield from generators.execute(pgconn)
    for result in results:
        if result.status not in _OK:
            raise psycopg.errors.error_from_result(result, encoding="utf-8")
    last: PGresult = results[-1]
    return last


def _texts(result: PGresult) -> list[list[str]]:
    return [
        [
            (result.get_value(row, column) or b"").decode()
            for column in range(result.nfields)
        ]
        for row in range(result.ntuples)
    ]


def check_kind(connection: object, *, asynchronous: bool) -> None:
    """See that a connection is one of psycopg's, and of the right sort.

    Raises:
        ValidationError: It is not.
    """
    wanted: type = psycopg.AsyncConnection if asynchronous else psycopg.Connection
    if isinstance(connection, wanted):
        return
    if isinstance(connection, psycopg.AsyncConnection):
        problem = ASYNC_ONE
    elif isinstance(connection, psycopg.Connection):
        problem = SYNC_ONE
    else:
        problem = (
            f"the store is on PostgreSQL: expected a psycopg.{wanted.__name__}, got "
            f"{type(connection).__module__}.{type(connection).__qualname__}"
        )
    raise ValidationError.of("connection", problem)


def check_state(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
) -> None:
    """See that a connection has a transaction open that can go on.

    Raises:
        ValidationError: It has not.
    """
    pgconn = connection.pgconn
    problem = None
    status = pgconn.transaction_status
    if connection.closed or status == pq.TransactionStatus.UNKNOWN:
        problem = CLOSED
    elif status == pq.TransactionStatus.IDLE:
        problem = NO_TRANSACTION
        if connection.autocommit:
            problem += "; it is in autocommit mode, so use connection.transaction()"
    elif status == pq.TransactionStatus.INERROR:
        problem = "the transaction has failed; roll it back first"
    elif status == pq.TransactionStatus.ACTIVE:
        problem = "is busy: finish its COPY or stream() first"
    elif pgconn.pipeline_status != pq.PipelineStatus.OFF:
        problem = "is in pipeline mode; leave the pipeline() block first"
    elif connection.info.encoding != "utf-8":
        problem = f"its client_encoding is {connection.info.encoding}; use UTF8"
    if problem is not None:
        raise ValidationError.of("connection", problem)


def is_open(pgconn: PGconn) -> bool:
    """Say whether a connection has a transaction open."""
    return pgconn.transaction_status in _OPEN
