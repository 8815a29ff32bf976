"""What the doctor says of what it saw: each rule by itself."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from trioqueue.doctor import Level, Verdict, common_rules, sqlite_rules
from trioqueue.doctor.common_rules import Contents
from trioqueue.doctor.postgres_rules import Pin, PostgresFacts
from trioqueue.doctor.postgres_rules import judge as judge_postgres
from trioqueue.doctor.sqlite_rules import MIB, SqliteFacts
from trioqueue.doctor.verdicts import show_bytes, show_span, worst

NOW = 1_800_000_000_000_000
SECOND = 1_000_000
GIB = 1024 * MIB
FILE = SqliteFacts(
    "jobs.db",
    filesystem="ext4",
    free_bytes=100 * GIB,
    file_bytes=10 * MIB,
    wal_bytes=4 * MIB,
    journal_mode="wal",
    version=2,
    known_version=2,
    locked_seconds=0.0,
    damage=(),
    newest=NOW - SECOND,
    contents=Contents(NOW, NOW + SECOND, NOW - 30 * SECOND),
    library=(3, 45, 0),
    oldest_library=(3, 37, 0),
)
SETTINGS = {
    "autovacuum": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "idle_in_transaction_session_timeout": "300000",
    "max_connections": "100",
    "statement_timeout": "0",
    "superuser_reserved_connections": "3",
    "synchronous_commit": "on",
    "track_counts": "on",
}
SERVER = PostgresFacts(
    "postgresql://db/jobs",
    server=180_001,
    oldest_server=140_000,
    encoding="UTF8",
    version=2,
    known_version=2,
    listen_seconds=0.002,
    skew_seconds=0.01,
    skew_error_seconds=0.001,
    live_rows=10,
    dead_rows=20,
    vacuum_seconds=60.0,
    connections=20,
    settings=SETTINGS,
    contents=Contents(NOW),
)


def bad(verdicts: list[Verdict]) -> list[tuple[str, str]]:
    """Return the checks that are not ok, and how bad they are."""
    for each in verdicts:
        assert each.text
        assert bool(each.advice) is (each.level is not Level.OK)
    return [(v.check, v.level.value) for v in verdicts if v.level is not Level.OK]


def test_a_database_without_faults_has_only_checks_that_are_ok() -> None:
    assert bad(sqlite_rules.judge(FILE)) == []
    assert bad(judge_postgres(SERVER)) == []


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({"exists": False}, "file", "problem"),
        ({"error": "jobs.db: the file is damaged"}, "file", "problem"),
        ({"writable": False}, "file", "problem"),
        ({"directory_writable": False}, "file", "problem"),
        ({"library": (3, 36, 9)}, "library", "problem"),
        ({"filesystem": "nfs4"}, "mount", "problem"),
        ({"filesystem": "fuse.sshfs"}, "mount", "problem"),
        ({"filesystem": "tmpfs"}, "mount", "warning"),
        ({"free_bytes": 10 * MIB}, "disk", "problem"),
        ({"free_bytes": 200 * MIB}, "disk", "warning"),
        ({"free_bytes": 900 * MIB, "file_bytes": 2 * GIB}, "disk", "warning"),
        ({"version": 0}, "schema", "warning"),
        ({"version": 1}, "schema", "problem"),
        ({"version": 3}, "schema", "problem"),
        ({"version": None}, "schema", "problem"),
        ({"journal_mode": "delete"}, "journal", "warning"),
        ({"wal_bytes": 200 * MIB}, "WAL", "warning"),
        ({"locked_seconds": 2.1}, "lock", "problem"),
        ({"locked_seconds": None}, "lock", "warning"),
        ({"damage": ("row 3 missing from index",)}, "integrity", "problem"),
        ({"newest": NOW + 120 * SECOND}, "clock", "problem"),
        ({"contents": Contents(1000)}, "clock", "problem"),
        ({"contents": Contents(NOW, NOW - 90 * SECOND)}, "services", "warning"),
        ({"contents": Contents(NOW, None, NOW - 1)}, "nothing", "ok"),
        ({"contents": Contents(NOW, None, 0)}, "services", "warning"),
        ({"contents": Contents(NOW, None, None, 0)}, "services", "warning"),
        ({"contents": Contents(NOW, unfinished_copy=True)}, "copy", "warning"),
        ({"wal_bytes": 200 * MIB, "file_bytes": GIB}, "nothing", "ok"),
        ({"free_bytes": None, "filesystem": None, "newest": None}, "nothing", "ok"),
        ({"damage": None}, "nothing", "ok"),
    ],
)
def test_each_fault_of_a_file_is_one_bad_check(
    change: dict[str, Any], check: str, level: str
) -> None:
    found = bad(sqlite_rules.judge(attrs.evolve(FILE, **change)))
    assert found == ([] if check == "nothing" else [(check, level)])


@pytest.mark.parametrize(
    ("change", "check", "level"),
    [
        ({"error": "connection refused"}, "server", "problem"),
        ({"server": 130_009}, "version", "problem"),
        ({"standby": True}, "version", "problem"),
        ({"encoding": "LATIN1"}, "version", "problem"),
        ({"schema_exists": False, "may_create": False}, "rights", "problem"),
        ({"schema_exists": False, "version": 0}, "schema", "warning"),
        ({"missing": ("DELETE on tq_messages",)}, "rights", "problem"),
        ({"may_create": False}, "nothing", "ok"),
        ({"may_copy": False}, "rights", "warning"),
        ({"may_copy": False, "missing": ("USAGE on x",)}, "rights", "problem"),
        ({"version": 1}, "schema", "problem"),
        ({"listen_seconds": None}, "LISTEN", "warning"),
        ({"listen_seconds": 1.5}, "LISTEN", "warning"),
        ({"skew_seconds": 600.0}, "clock", "warning"),
        ({"skew_seconds": -600.0}, "clock", "warning"),
        ({"skew_seconds": None}, "clock", "warning"),
        ({"skew_seconds": 600.0, "skew_error_seconds": 599.0}, "nothing", "ok"),
        ({"pins": (Pin("x", 4000.0, "end it"),)}, "transactions", "warning"),
        ({"pins": (Pin("slot", None, "drop it"),)}, "transactions", "warning"),
        ({"pins": (Pin("x", 1.0, "end it"),)}, "nothing", "ok"),
        ({"dead_rows": 1_000_000}, "dead rows", "warning"),
        (
            {"dead_rows": 200_000, "live_rows": 10**6, "vacuum_seconds": None},
            "dead rows",
            "warning",
        ),
        ({"dead_rows": 200_000, "live_rows": 10**6}, "nothing", "ok"),
        ({"dead_rows": None}, "nothing", "ok"),
        ({"connections": 90}, "connections", "problem"),
        ({"connections": 75}, "connections", "warning"),
        ({"connections": None}, "nothing", "ok"),
        ({"unseen": {"dead rows": "permission denied"}}, "dead rows", "warning"),
        ({"contents": Contents(NOW, 0)}, "services", "warning"),
    ],
)
def test_each_fault_of_a_server_is_one_bad_check(
    change: dict[str, Any], check: str, level: str
) -> None:
    found = bad(judge_postgres(attrs.evolve(SERVER, **change)))
    assert found == ([] if check == "nothing" else [(check, level)])


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("fsync", "off", "problem"),
        ("full_page_writes", "off", "problem"),
        ("autovacuum", "off", "problem"),
        ("track_counts", "off", "problem"),
        ("default_transaction_read_only", "on", "problem"),
        ("synchronous_commit", "off", "warning"),
        ("default_transaction_isolation", "serializable", "warning"),
        ("statement_timeout", "500", "warning"),
        ("lock_timeout", "500", "warning"),
        ("idle_in_transaction_session_timeout", "0", "ok"),
        ("statement_timeout", "60000", "ok"),
    ],
)
def test_each_setting_that_hurts_is_named(name: str, value: str, level: str) -> None:
    verdicts = judge_postgres(attrs.evolve(SERVER, settings=SETTINGS | {name: value}))
    if level == "ok":
        assert bad(verdicts) == []
        return
    assert bad(verdicts) == [("settings", level)]
    (verdict,) = [v for v in verdicts if v.level is not Level.OK]
    assert name in verdict.text


def test_a_default_that_hurts_only_with_others_is_told_as_advice() -> None:
    name = "idle_in_transaction_session_timeout"

    def told(value: str) -> str:
        facts = attrs.evolve(SERVER, settings=SETTINGS | {name: value})
        (text,) = [v.text for v in judge_postgres(facts) if v.check == "settings"]
        return text

    assert told("300000") == "none that hurts"
    assert name in told("0")
    assert "another program" in told("0")


def test_only_copying_is_said_to_need_the_right_to_set_numbers() -> None:
    verdicts = judge_postgres(attrs.evolve(SERVER, may_copy=False))
    (rights,) = [v for v in verdicts if v.check == "rights"]
    assert "UPDATE on tq_tickets" in rights.text
    assert "only 'trioqueue copy' into this database" in rights.advice


def test_the_worst_verdict_counts() -> None:
    verdicts = [Verdict("a", Level.PROBLEM, "x"), Verdict("b", Level.WARNING, "x")]
    assert worst(verdicts) is Level.PROBLEM
    assert worst(verdicts[1:]) is Level.WARNING
    assert worst([]) is Level.OK


def test_sizes_and_spans_are_written_for_people() -> None:
    sizes = [show_bytes(n) for n in (3, 4096, 5 * MIB, 1.5 * GIB)]
    assert sizes == ["3 bytes", "4 KiB", "5 MiB", "1.5 GiB"]
    spans = [show_span(s) for s in (0.0001, 0.01, 5, 150, 7200, 864_000)]
    assert spans == ["less than 1 ms", "10 ms", "5 s", "2 min", "2 h", "10 d"]


def test_the_common_rules_know_every_service() -> None:
    verdict = common_rules.judge_services(Contents(NOW, 0, 0, 0))
    assert all(word in verdict.text for word in ("scheduler", "reclaim", "cron"))
