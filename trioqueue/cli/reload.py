"""``trioqueue worker --reload``: a worker that is started anew when the code changes.

For development.  A process of its own runs the worker, so that every module is imported
afresh; this one watches the files and passes signals on.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, final

import trio

from trioqueue.cli.output import say
from trioqueue.cli.session import DB_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

Snapshot: TypeAlias = "dict[str, tuple[int, int]]"

LOOK_SECONDS: Final = 0.5
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
SKIPPED: Final = frozenset(("__pycache__", "node_modules", "site-packages"))


def look(folder: str) -> Snapshot:
    """Return when each Python file below a folder was written, and its size.

    Hidden folders, virtual environments and caches are left out.
    """
    found: Snapshot = {}
    for path, folders, files in os.walk(folder):
        if "pyvenv.cfg" in files:
            folders[:] = []
            continue
        folders[:] = [
            name for name in folders if name[0] != "." and name not in SKIPPED
        ]
        for name in files:
            if name.endswith(".py") or name == "pyproject.toml":
                file = os.path.join(path, name)  # noqa: PTH118  thousands of them
                try:
                    status = os.stat(file)  # noqa: PTH116  the same
                except OSError:
                    continue  # gone meanwhile: that is a change, too
                found[file] = (status.st_mtime_ns, status.st_size)
    return found


def difference(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the files that came, went or changed."""
    paths = before.keys() | after.keys()
    return sorted(path for path in paths if before.get(path) != after.get(path))


@final
class Supervisor:
    """Keeps one worker process going, of the code as it is now."""

    def __init__(self, command: Sequence[str], folder: str) -> None:
        self._command = command
        self._folder = folder
        self._process: trio.Process | None = None
        self._stopping = False

    async def run(self) -> int:
        """Run the worker, again after each change; return its exit code in the end."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._pass_signals_on)
            code = await self._run_again_and_again()
            nursery.cancel_scope.cancel(reason="the worker has ended")
        return code

    async def _run_again_and_again(self) -> int:
        while True:
            before = await trio.to_thread.run_sync(look, self._folder)
            code = await self._run_once(before)
            if code is None:
                continue
            if self._stopping or code == 0:
                return code
            say(f"reload: the worker ended with code {code}; waiting for a change")
            if not await self._wait_for_change(before):
                return code

    async def _run_once(self, before: Snapshot) -> int | None:
        """Run the worker until it ends (its code) or the code changes (None)."""
        # A group of its own: Ctrl-C in the terminal reaches it once, through us.
        process = await trio.lowlevel.open_process(self._command, process_group=0)
        self._process = process
        if self._stopping:  # told while it was being started
            process.terminate()
        changed = False
        try:
            async with trio.open_nursery() as nursery:

                async def watch() -> None:
                    nonlocal changed
                    if changed := await self._wait_for_change(before):
                        process.terminate()

                nursery.start_soon(watch)
                code: int = await process.wait()
                nursery.cancel_scope.cancel(reason="the worker has ended")
        finally:
            self._process = None
            _end(process)
        return None if changed and not self._stopping else code

    async def _wait_for_change(self, before: Snapshot) -> bool:
        """Sleep until the code differs (True) or we are told to stop."""
        while not self._stopping:
            await trio.sleep(LOOK_SECONDS)
            now = await trio.to_thread.run_sync(look, self._folder)
            if paths := difference(before, now):
                more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
                say(f"reload: {Path(paths[0]).name}{more} changed")
                return True
        await trio.lowlevel.checkpoint()
        return False

    async def _pass_signals_on(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(*SIGNALS) as signals:
            task_status.started()
            async for number in signals:
                self._stopping = True
                if self._process is not None:
                    self._process.send_signal(number)


def _end(process: trio.Process) -> None:
    """Let no worker outlive its supervisor."""
    if process.returncode is None:  # pragma: no cover  only where we ourselves crash
        process.kill()


def reload_worker(url: str) -> int:
    """Run this very command, without ``--reload``, again and again.

    Args:
        url: The store's URL, as it was worked out here; the environment carries it.

    Returns:
        The worker's exit code.
    """
    arguments = [word for word in sys.argv[1:] if word != "--reload"]
    command = [sys.executable, "-m", "trioqueue", *arguments]
    os.environ[DB_VARIABLE] = url
    return trio.run(Supervisor(command, str(Path.cwd())).run)
