"""Errors of the driver as ours: what they say, and whether waiting helps."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from trioqueue import SchemaVersionError, StoreUnavailableError, TrioQueueError
from trioqueue.store.postgres.faults import (
    advice,
    is_conflict,
    is_connection_lost,
    is_transient,
    translate,
)

AT = 'connection failed: connection to server at "h", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "part", "transient"),
    [
        ("Connection refused\n\tIs it accepting TCP/IP connections?", "reached", True),
        ("No such file or directory\n\tand accepting connections on", "reached", True),
        ("No route to host", "reached", True),
        ('FATAL:  password authentication failed for user "u"', "password", False),
        ("fe_sendauth: no password supplied", "password", False),
        ('FATAL:  database "d" does not exist', "database does not", False),
        ('FATAL:  role "r" does not exist', "role does not", False),
        ("FATAL:  sorry, too many clients already", "free connection", True),
        ("FATAL:  remaining connection slots are reserved", "free conn", True),
        ("FATAL:  the database system is starting up", "starting up", True),
        ("FATAL:  the database system is shutting down", "shutting down", True),
        ('FATAL:  permission denied for database "d"', "lacks a right", False),
        ('FATAL:  no pg_hba.conf entry for host "h", no encryption', "sslmode", False),
        ("server does not support SSL, but SSL was required", "SSL", False),
    ],
)
def test_why_connecting_failed(text: str, part: str, transient: bool) -> None:
    error = psycopg.OperationalError(AT + text)
    ours = translate(error, "db")
    ours.__cause__ = error
    assert isinstance(ours, StoreUnavailableError)
    assert str(ours).startswith("db: ")
    assert "\n" not in str(ours)
    assert part in str(ours)
    assert is_transient(ours) is is_transient(error) is transient
    assert is_connection_lost(error)


@pytest.mark.parametrize(
    ("kind", "part", "transient"),
    [
        (errors.DiskFull, "disk is full", True),
        (errors.OutOfMemory, "memory", True),
        (errors.ReadOnlySqlTransaction, "read-only", True),
        (errors.InsufficientPrivilege, "right", False),
        (errors.QueryCanceled, "statement_timeout", True),
        (errors.AdminShutdown, "shutting down", True),
        (errors.CrashShutdown, "shutting down", True),
        (errors.CannotConnectNow, "starting up", True),
        (errors.IdleInTransactionSessionTimeout, "idle", True),
        (errors.TooManyConnections, "free connection", True),
        (errors.InvalidPassword, "password", False),
        (errors.InvalidCatalogName, "database", False),
        (errors.ConnectionFailure, "lost", True),
    ],
)
def test_what_the_servers_states_mean(
    kind: type[psycopg.Error], part: str, transient: bool
) -> None:
    error = kind("as the server says")
    ours = translate(error, "db")
    assert isinstance(ours, StoreUnavailableError)
    assert part in str(ours)
    assert part in advice(error)
    assert is_transient(error) is transient


@pytest.mark.parametrize("kind", [errors.UndefinedTable, errors.UndefinedColumn])
def test_other_tables_than_ours_are_a_matter_of_the_schema(
    kind: type[psycopg.Error],
) -> None:
    ours = translate(kind("no"), "db")
    assert isinstance(ours, SchemaVersionError)
    assert ours.known >= 1
    assert not is_transient(ours)


def test_a_connection_lost_with_nothing_at_stake_says_nothing_of_changes() -> None:
    error = psycopg.OperationalError("server closed the connection unexpectedly")
    assert "may or may not be stored" in str(translate(error, "db"))
    idly = str(translate(error, "db", changes=False))
    assert idly.startswith("db: the connection was lost (server closed")
    other = errors.TooManyConnections("x")
    assert str(translate(other, "db", changes=False)) == str(translate(other, "db"))


def test_which_errors_are_conflicts_and_which_lose_the_connection() -> None:
    conflicts = [
        errors.SerializationFailure,
        errors.DeadlockDetected,
        errors.UniqueViolation,
        errors.LockNotAvailable,
    ]
    lost = [
        errors.AdminShutdown,
        errors.IdleInTransactionSessionTimeout,
        errors.ConnectionFailure,
        psycopg.OperationalError,
    ]
    others = [errors.PipelineAborted, errors.QueryCanceled, errors.SyntaxError]
    for kind in [*conflicts, *lost, *others, ValueError]:
        error = kind("x")
        assert is_conflict(error) is (kind in conflicts)
        assert is_connection_lost(error) is (kind in lost)


@pytest.mark.parametrize(
    "conninfo",
    [
        "host=h password=geheim nonsense=geheim",
        "postgresql://u:ge%zzheim@h/d",
        "u:geheim@h/d",
    ],
)
def test_a_wrong_connection_string_is_never_repeated(conninfo: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        psycopg.connect(conninfo)
    text = str(translate(caught.value, "db"))
    assert "not valid" in text
    assert "heim" not in text


def test_what_is_ours_stays_and_what_is_unknown_is_to_be_reported() -> None:
    ours = StoreUnavailableError("x")
    assert translate(ours, "db") is ours
    assert is_transient(ours)
    unknown = translate(errors.SyntaxError("x"), "db")
    assert type(unknown) is TrioQueueError
    assert "report" in str(unknown)
