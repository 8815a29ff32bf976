"""Databases of earlier versions: brought up to date, with what they hold."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from trioqueue import Calendar, Schedule, SchemaVersionError, open_store
from trioqueue.schedules import Daily
from trioqueue.store.sqlite import migrations

QUEUE: Final = "jobs"


async def make_old(url: str, version: int, patch: pytest.MonkeyPatch) -> None:
    """Make a database as a trioqueue with fewer steps did."""
    with patch.context() as older:
        older.setattr(migrations, "STEPS", migrations.STEPS[:version])
        older.setattr(migrations, "SCHEMA_VERSION", version)
        async with open_store(url) as store:
            await store.create_queue(QUEUE)
            await store.post(QUEUE, "kept", message_id="m")


@pytest.mark.parametrize("version", range(1, migrations.SCHEMA_VERSION))
async def test_an_older_database_is_migrated_with_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    path = tmp_path / "jobs.db"
    url = f"sqlite:///{path}"
    await make_old(url, version, monkeypatch)
    with pytest.raises(SchemaVersionError) as raised:
        async with open_store(url, migrate=False):
            pass
    assert (raised.value.found, raised.value.known) == (
        version,
        migrations.SCHEMA_VERSION,
    )
    async with open_store(url) as store:
        assert (await store.get_message(QUEUE, "m")).payload == "kept"
        created = await store.create_schedule(Schedule("s", QUEUE, Calendar([Daily()])))
        assert await store.list_schedules() == [created]
    async with open_store(url, migrate=False) as store:
        assert await store.get_schedule("s") == created


async def test_the_tables_are_the_same_whatever_version_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    for version in range(1, migrations.SCHEMA_VERSION + 1):
        path = tmp_path / f"{version}.db"
        url = f"sqlite:///{path}"
        await make_old(url, version, monkeypatch)
        async with open_store(url):
            pass
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(
                "SELECT type, name, sql FROM sqlite_master WHERE name LIKE 'tq_%'"
            )
            shapes.append(sorted(rows.fetchall()))
    assert len(shapes[0]) > 20
    assert all(shape == shapes[0] for shape in shapes)
