"""Databases of earlier versions: brought up to date, with what they hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
import trio

from trioqueue import Calendar, Job, Schedule, SchemaVersionError, open_store
from trioqueue.schedules import Daily
from trioqueue.store.sqlite import migrations

QUEUE: Final = "jobs"


async def make_old(path: Path, version: int, patch: pytest.MonkeyPatch) -> Job:
    """Make a database as a trioqueue with fewer steps left it.

    It holds two messages; one is in a worker's hands, and its job is returned.
    """
    newest = path.with_suffix(".newest")
    async with open_store(f"sqlite:///{newest}") as store:
        await store.create_queue(QUEUE)
        await store.pause_queue(QUEUE, "upgrade")
        await store.resume_queue(QUEUE)
        await store.post(QUEUE, "held", message_id="held")
        (job,) = await store.claim(QUEUE)
        await store.post(QUEUE, "kept", message_id="m")
    with patch.context() as older:
        older.setattr(migrations, "STEPS", migrations.STEPS[:version])
        older.setattr(migrations, "SCHEMA_VERSION", version)
        async with open_store(f"sqlite:///{path}"):
            pass
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ATTACH ? AS newest", (str(newest),))
        names = connection.execute(
            "SELECT name FROM main.sqlite_master WHERE type = 'table' "
            "AND name LIKE 'tq_%' AND name != 'tq_meta'"
        )
        for (table,) in names.fetchall():
            info = connection.execute(f"PRAGMA main.table_info({table})").fetchall()
            columns = ", ".join(row[1] for row in info)
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(
                f"INSERT INTO main.{table} SELECT {columns} FROM newest.{table}"
            )
    return job


@pytest.mark.parametrize("version", range(1, migrations.SCHEMA_VERSION))
async def test_an_older_database_is_migrated_with_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    path = tmp_path / "jobs.db"
    url = f"sqlite:///{path}"
    job = await make_old(path, version, monkeypatch)
    with pytest.raises(SchemaVersionError) as raised:
        async with open_store(url, migrate=False):
            pass
    assert (raised.value.found, raised.value.known) == (
        version,
        migrations.SCHEMA_VERSION,
    )
    async with open_store(url) as store:
        assert (await store.get_message(QUEUE, "m")).payload == "kept"
        await store.heartbeat(job)
        await store.complete(job)
        (again,) = await store.claim(QUEUE)
        assert again.message_id == "m"
        await store.release(again)
        paused = await store.pause_queue(QUEUE, by="ada")
        assert (await store.list_queues(), paused.paused_by) == ([paused], "ada")
        assert await store.list_workers() == []
        created = await store.create_schedule(Schedule("s", QUEUE, Calendar([Daily()])))
        assert await store.list_schedules() == [created]
    async with open_store(url, migrate=False) as store:
        assert await store.get_schedule("s") == created


async def test_several_processes_may_migrate_while_one_works_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobs.db"
    url = f"sqlite:///{path}"
    job = await make_old(path, migrations.SCHEMA_VERSION - 1, monkeypatch)
    opened = 0

    async def open_it() -> None:
        nonlocal opened
        async with open_store(url) as store:
            assert (await store.get_message(QUEUE, "held")).worker_id == (
                job.message.worker_id
            )
            opened += 1

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(open_it)
    assert opened == 4


async def test_the_tables_are_the_same_whatever_version_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    for version in range(1, migrations.SCHEMA_VERSION + 1):
        path = tmp_path / f"{version}.db"
        url = f"sqlite:///{path}"
        if version < migrations.SCHEMA_VERSION:
            await make_old(path, version, monkeypatch)
        async with open_store(url):
            pass
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(
                "SELECT type, name, sql FROM sqlite_master WHERE name LIKE 'tq_%'"
            )
            shapes.append(sorted(rows.fetchall()))
    assert len(shapes[0]) > 20
    assert all(shape == shapes[0] for shape in shapes)
