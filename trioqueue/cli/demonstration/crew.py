"""The worker processes: started, killed and stopped, and none of them left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

import trio

from trioqueue.cli.demonstration.worker import name_of
from trioqueue.cli.failures import Failure

if TYPE_CHECKING:
    from trioqueue.cli.demonstration.plan import Plan

STOP_SECONDS: Final = 10.0
"""How long workers may take to stop by themselves before they are killed."""
LOOK_SECONDS: Final = 0.001


@final
class WorkerProcess:
    """One worker process.

    Attributes:
        number: Its number, counted from 1.
        process: The process.
        url: Where it serves its metrics; empty: nowhere.
        may_end: Whether its end is wanted.
        ended: Set once it has ended.
    """

    def __init__(self, number: int, process: trio.Process) -> None:
        self.number = number
        self.process = process
        self.url = ""
        self.may_end = False
        self.ended = trio.Event()

    @property
    def worker_id(self) -> str:
        """Under which name it claims messages."""
        return name_of(self.number)

    def introduce(self, why: str = "") -> str:
        """Say who has started, why, and where to ask it."""
        text = f"worker {self.number} (pid {self.process.pid}) started{why}"
        return f"{text}; metrics at {self.url}/metrics" if self.url else text

    async def freeze(self) -> None:
        """Stop it where it stands, where the system can do that."""
        if sys.platform != "win32":
            self.process.send_signal(signal.SIGSTOP)
            # The signal takes a moment to arrive.  If it ends instead, `Crew` says so.
            with suppress(ChildProcessError):
                while not self._has_stopped():  # noqa: ASYNC110  nothing announces it
                    await trio.sleep(LOOK_SECONDS)
        await trio.lowlevel.checkpoint()

    if sys.platform != "win32":

        def _has_stopped(self) -> bool:
            look = os.WUNTRACED | os.WNOHANG
            return os.waitpid(self.process.pid, look) != (0, 0)

    def thaw(self) -> None:
        """Let it go on."""
        if sys.platform != "win32":
            self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """Kill it with no time for a last word, and wait until it is gone."""
        self.may_end = True
        self.process.kill()
        await self.ended.wait()

    async def stop(self) -> None:
        """Tell it to stop, and wait until it has."""
        self.may_end = True
        if self.process.stdin is not None:
            await self.process.stdin.aclose()
        await self.ended.wait()


@final
class Crew:
    """The worker processes that run now.

    Each lives in a task of the nursery that is given: when that is canceled, whatever
    the reason, they are killed.

    Attributes:
        workers: Those that run.
    """

    def __init__(self, nursery: trio.Nursery, plan: Plan) -> None:
        self.workers: list[WorkerProcess] = []
        self._nursery = nursery
        self._plan = plan
        self._started = 0

    async def start_all(self) -> None:
        """Start as many as planned, all at once, and wait until they are ready."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._plan.workers):
                nursery.start_soon(self.start)

    async def start(self) -> WorkerProcess:
        """Start one more, and wait until it is ready."""
        self._started += 1
        worker: WorkerProcess = await self._nursery.start(self.run, self._started)
        return worker

    async def stop(self) -> None:
        """Let all of them stop in good order; those that hang are killed."""
        with trio.move_on_after(STOP_SECONDS):
            async with trio.open_nursery() as nursery:
                for worker in self.workers:
                    nursery.start_soon(worker.stop)
        for worker in list(self.workers):
            await worker.kill()

    async def run(
        self, number: int, *, task_status: trio.TaskStatus[WorkerProcess]
    ) -> None:
        """Run one worker process to its end."""
        async with trio.open_nursery() as nursery:
            run = partial(
                trio.run_process,
                _command(number, self._plan),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                check=False,
                deliver_cancel=_kill,
                **_OWN_GROUP,
            )
            process: trio.Process = await nursery.start(run)
            worker = WorkerProcess(number, process)
            assert process.stdin is not None  # noqa: S101  these are pipes
            assert process.stdout is not None  # noqa: S101  these are pipes
            async with process.stdin, process.stdout:
                if ready := await process.stdout.receive_some():
                    worker.url = ready.decode().partition(" ")[2].strip()
                    self.workers.append(worker)
                    task_status.started(worker)
                await process.wait()
        if worker in self.workers:
            self.workers.remove(worker)
        worker.ended.set()
        if not worker.may_end:
            raise Failure(
                f"worker {number} ended unexpectedly, with code {process.returncode}"
            )


# Ctrl-C at the terminal is for the coordinator alone, which ends its workers.
if sys.platform == "win32":
    _OWN_GROUP: Any = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    _OWN_GROUP: Any = {"process_group": 0}


def _command(number: int, plan: Plan) -> list[str]:
    # `-m` looks in the current directory first, so only if we do that too.
    here = os.getcwd()  # noqa: PTH109  sys.path holds texts
    safe_path = [] if here in sys.path or "" in sys.path else ["-P"]
    module = "trioqueue.cli.demonstration.worker"
    arguments = (
        *(plan.url, number, plan.slots, plan.pause_seconds, plan.directory),
        *([plan.metrics_of_workers] if plan.metrics_of_workers else []),
    )
    return [sys.executable, *safe_path, "-m", module, *map(str, arguments)]


async def _kill(process: trio.Process) -> None:
    """End a process at once: what it holds comes back by itself."""
    process.kill()
    await trio.lowlevel.checkpoint()
