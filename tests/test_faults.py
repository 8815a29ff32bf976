"""What goes wrong with files and locks: said clearly, nothing lost, and it heals."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import trioqueue
from trioqueue import (
    Job,
    MessageState,
    QueueOptions,
    RetryPolicy,
    SchemaVersionError,
    Store,
    StoreUnavailableError,
    open_store,
)
from trioqueue.store.sqlite import connection as connections
from trioqueue.store.sqlite import migrations
from trioqueue.store.sqlite.connection import Connection

QUEUE: Final = "jobs"
HOME: Final = Path(trioqueue.__file__).parents[1]
REAL_AND_VIRTUAL: Final = pytest.mark.parametrize(
    "virtual", [False, True], ids=["real", "virtual"]
)


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def clock_of(virtual: bool) -> MockClock | None:
    return MockClock(autojump_threshold=0) if virtual else None


async def open_and_close(path: Path) -> None:
    async with open_store(url_of(path)):
        pass


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        answer: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
    return answer


# --- a disk that is full ---------------------------------------------------------


class Disk:
    """Bounds how far the database of a store may grow, as a full disk does."""

    def __init__(self) -> None:
        self.writers: list[Connection] = []

    def used(self) -> int:
        pages: int = self.writers[0].raw.execute("PRAGMA page_count").fetchone()[0]
        return pages

    def set_limit(self, pages: int) -> None:
        for writer in self.writers:
            writer.raw.execute(f"PRAGMA max_page_count = {pages}")

    def fill(self) -> None:
        self.set_limit(self.used())

    def free(self) -> None:
        self.set_limit(1 << 30)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Get hold of the connection that each store opened in the test writes with."""
    disk = Disk()
    set_pragmas = connections._set_pragmas

    def and_remember(
        raw: sqlite3.Connection, durability: connections.Durability, **how: bool
    ) -> None:
        set_pragmas(raw, durability, **how)
        if not how["reader"]:
            disk.writers.append(Connection("", raw))

    monkeypatch.setattr(connections, "_set_pragmas", and_remember)
    return disk


@asynccontextmanager
async def full_store(disk: Disk, path: Path) -> AsyncIterator[tuple[Store, Job]]:
    """Open a store with a running and a waiting message, then fill its disk."""
    async with open_store(url_of(path)) as store:
        await store.create_queue(QUEUE, QueueOptions(retry=RetryPolicy.fixed(0)))
        await store.post(QUEUE, "x" * 10_000, message_id="held")
        (job,) = await store.claim(QUEUE)
        await store.post(QUEUE, "y", message_id="waiting")
        disk.fill()
        yield store, job


BIG: Final = "z" * 100_000


@REAL_AND_VIRTUAL
def test_on_a_full_disk_a_post_says_so_and_nothing_is_lost(
    disk: Disk, tmp_path: Path, virtual: bool
) -> None:
    path = tmp_path / "jobs.db"

    async def main() -> None:
        async with full_store(disk, path) as (store, job):
            for _ in range(3):
                with pytest.raises(StoreUnavailableError, match="full") as raised:
                    await store.post(QUEUE, BIG, message_id="refused")
                assert str(path) in str(raised.value)
                assert isinstance(raised.value.__cause__, sqlite3.Error)
            counts = (await store.queue_state(QUEUE)).counts
            assert counts[MessageState.RUNNING] == counts[MessageState.PENDING] == 1
            # Ending a job frees more than it takes, so work in hand goes on.
            await store.complete(job)
            disk.free()
            message = await store.post(QUEUE, BIG, message_id="refused")
            assert message.state is MessageState.PENDING
            taken = await store.claim(QUEUE, limit=5)
            assert [j.message_id for j in taken] == ["waiting", "refused"]
            assert taken[1].payload == BIG

    trio.run(main, clock=clock_of(virtual))
    assert integrity(path) == "ok"


def test_a_message_too_large_for_the_disk_fails_none_of_its_neighbours(
    disk: Disk, tmp_path: Path
) -> None:
    """They meet in one transaction, and the database may lose it as a whole."""
    answers: dict[int, str] = {}

    async def post(store: Store, number: int) -> None:
        payload = BIG if number % 10 == 5 else "small"
        try:
            await store.post(QUEUE, payload, message_id=f"m{number}")
        except StoreUnavailableError:
            answers[number] = "full"
        else:
            answers[number] = "posted"

    async def main() -> None:
        async with full_store(disk, tmp_path / "jobs.db") as (store, _):
            disk.set_limit(disk.used() + 8)
            async with trio.open_nursery() as nursery:
                for number in range(40):
                    nursery.start_soon(post, store, number)
            assert store.statistics().largest_group > 1
            small = {n: a for n, a in answers.items() if n % 10 != 5}
            large = {n: a for n, a in answers.items() if n % 10 == 5}
            assert set(small.values()) == {"posted"}
            assert set(large.values()) == {"full"}
            pending = await store.peek(QUEUE, limit=100)
            stored = {message.message_id for message in pending}
            assert stored == {"held", "waiting", *(f"m{n}" for n in small)}

    trio.run(main)
    assert integrity(tmp_path / "jobs.db") == "ok"


def test_those_who_wait_for_messages_outlive_a_full_disk(
    disk: Disk, tmp_path: Path
) -> None:
    async def main() -> None:
        async with full_store(disk, tmp_path / "jobs.db") as (store, job):
            (waiting,) = await store.claim(QUEUE)
            got: list[Job] = []

            async def wait() -> None:
                got.extend(await store.claim_wait(QUEUE))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await wait_all_tasks_blocked()
                with pytest.raises(StoreUnavailableError):
                    await store.post(QUEUE, BIG)
                disk.free()
                await store.post(QUEUE, BIG, message_id="late")
            assert [j.message_id for j in got] == ["late"]
            for each in (job, waiting, *got):
                await store.complete(each)

    trio.run(main)


# --- files that are not what they should be --------------------------------------


def some_text(path: Path) -> None:
    path.write_text("This is no database. " * 500)


def a_directory(path: Path) -> None:
    path.mkdir()


def nothing_at_all(path: Path) -> None:
    path.parent.rmdir()


def a_damaged_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 100)
        connection.commit()
    data = bytearray(path.read_bytes())
    data[100:4096] = random.Random(1).randbytes(3996)
    path.write_bytes(data)


@REAL_AND_VIRTUAL
@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (some_text, "not an SQLite database"),
        (a_directory, "is a directory"),
        (nothing_at_all, "does not exist; create it first"),
        (a_damaged_database, "damaged|not an SQLite database"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_the_reason(
    make: object, hint: str, tmp_path: Path, virtual: bool
) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "jobs.db"
    assert callable(make)
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreUnavailableError, match=hint) as raised:
        trio.run(open_and_close, path, clock=clock_of(virtual))
    assert str(path) in str(raised.value)
    if before is not None:
        assert path.read_bytes() == before


AS_NOBODY: Final = """
import os, sys
sys.path.insert(0, {home!r})
import trio, trioqueue, trioqueue.store.sqlite.opening
if os.geteuid() == 0:  # root may write anything
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)

async def main():
    try:
        async with trioqueue.open_store({url!r}) as store:
            await store.post("jobs", 1)
    except trioqueue.StoreUnavailableError as error:
        print(error)

trio.run(main)
"""


@contextmanager
def reachable_directory() -> Iterator[Path]:
    """Make a directory that every user can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_read_only_file_or_directory_is_refused_with_the_reason(what: str) -> None:
    with reachable_directory() as directory:
        path = directory / "jobs.db"
        if what == "file":
            trio.run(open_and_close, path)
            path.chmod(0o444)
        directory.chmod(0o555)
        program = AS_NOBODY.format(home=str(HOME), url=url_of(path))
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd="/",
            # Nobody may not write what is measured of it either.
            env={k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")},
        )
        directory.chmod(0o755)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(path) in done.stdout
    assert "read-only" in done.stdout or "permissions" in done.stdout


# --- versions, and other people's tables ------------------------------------------


def set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "UPDATE tq_meta SET value = ? WHERE key = 'schema_version'", (version,)
        )
        connection.commit()


@REAL_AND_VIRTUAL
def test_a_newer_database_is_refused_and_left_as_it_is(
    tmp_path: Path, virtual: bool
) -> None:
    path = tmp_path / "jobs.db"
    trio.run(open_and_close, path)
    set_version(path, migrations.SCHEMA_VERSION + 7)
    with pytest.raises(SchemaVersionError, match="upgrade trioqueue") as raised:
        trio.run(open_and_close, path, clock=clock_of(virtual))
    assert raised.value.known == migrations.SCHEMA_VERSION
    assert raised.value.found == migrations.SCHEMA_VERSION + 7
    set_version(path, migrations.SCHEMA_VERSION)
    trio.run(open_and_close, path)


def test_a_new_file_is_not_migrated_when_that_is_not_wanted(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_store(url_of(tmp_path / "jobs.db"), migrate=False):
            pass

    with pytest.raises(SchemaVersionError, match="migrate=True") as raised:
        trio.run(main)
    assert raised.value.found == 0


def test_the_tables_of_others_in_the_same_database_are_left_alone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
            INSERT INTO users (name) VALUES ('Ada'), ('Grace');
            CREATE TABLE messages (body TEXT);
            CREATE INDEX users_name ON users (name);
            PRAGMA user_version = 42;
            """
        )

    def foreign() -> list[object]:
        with closing(sqlite3.connect(path)) as connection:
            ask = connection.execute
            return [
                *ask("SELECT * FROM users"),
                *ask("PRAGMA user_version"),
                *ask(
                    "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE"
                    " 'tq\\_%' ESCAPE '\\' AND name NOT LIKE '%sqlite%'"
                ),
            ]

    before = foreign()

    async def main() -> None:
        async with open_store(url_of(path)) as store:
            await store.create_queue(QUEUE)
            await store.post(QUEUE, 1)
            await store.delete_queue(QUEUE, force=True)

    trio.run(main)
    assert foreign() == before


def test_a_path_that_the_system_refuses_is_named_with_the_reason() -> None:
    async def main() -> None:
        with pytest.raises(StoreUnavailableError, match="cannot be opened"):
            async with open_store("sqlite:///" + "a" * 300):
                pass  # pragma: no cover

    trio.run(main)


def test_a_foreign_database_that_is_refused_is_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
        foreign.commit()
    before = path.read_bytes()

    async def main() -> None:
        with pytest.raises(SchemaVersionError, match="migrate=True"):
            async with open_store(f"sqlite:///{path}", migrate=False):
                pass  # pragma: no cover

    trio.run(main)
    assert path.read_bytes() == before
