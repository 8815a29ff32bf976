"""The store's worker methods: who runs jobs, who is to be quiet, what does not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioqueue.errors import ValidationError
from trioqueue.policies.explaining import explain
from trioqueue.store.base import (
    StoreBase,
    check_count,
    check_message_id,
    check_queue_name,
)
from trioqueue.store.operations import workers
from trioqueue.store.operations.core import unwrap
from trioqueue.store.operations.explain import find_facts
from trioqueue.store.operations.overview import overview

if TYPE_CHECKING:
    from trioqueue.model.explanation import Explanation
    from trioqueue.model.overview import Overview
    from trioqueue.model.worker_info import WorkerInfo
    from trioqueue.store.operations.workers import Registration


class WorkerMethods(StoreBase):
    """See the workers, tell them to be quiet, ask why a message does not run."""

    async def list_workers(self, *, include_stale: bool = False) -> list[WorkerInfo]:
        """List the workers that are alive, by name.

        A worker says so every few seconds; one that has missed three beats is stale:
        killed, cut off from the database, or suspended.

        Args:
            include_stale: List those too, as long as they are remembered (a day).
        """
        return await self._read(
            workers.list_workers,
            self._clock.now_us(),
            virtual=self._clock.is_virtual,
            stale=include_stale,
        )

    async def quiet_worker(self, worker_id: str, quiet: bool = True) -> WorkerInfo:  # noqa: FBT001, FBT002  the verb says which
        """Tell a worker to claim nothing more; what it runs, it finishes.

        It hears of it with its next beat at the latest (10 seconds), at once where the
        database tells (PostgreSQL, or the same process), and stays as it is until told
        otherwise or started anew.

        Args:
            worker_id: Its id; all live workers that share it are told.
            quiet: False: it may claim again.

        Raises:
            WorkerNotFoundError: None of this id is alive.
        """
        if not isinstance(worker_id, str):
            raise ValidationError.of("worker_id", f"expected a str, got {worker_id!r}")
        return await self._write(
            workers.quiet_worker,
            worker_id,
            quiet=bool(quiet),
            virtual=self._clock.is_virtual,
        )

    async def explain(self, queue: str, message_id: str) -> Explanation:
        """Say why a message is not running, or what it does instead.

        All reasons that hold are named, the most important first, each with what to do
        about it; they are found in one snapshot.

        Raises:
            QueueNotFoundError: There is no such queue.
            MessageNotFoundError: There is no such message.
        """
        facts = await self._read(
            find_facts,
            check_queue_name(queue),
            check_message_id(message_id),
            self._clock.now_us(),
            virtual=self._clock.is_virtual,
        )
        return explain(facts)

    async def overview(self, *, runs: int = 5) -> Overview:
        """Look at everything at once: queues, workers, what schedules do next.

        It counts all messages, so its cost grows with them.

        Args:
            runs: At most so many next runs of schedules.
        """
        return await self._read(
            overview,
            self._clock.now_us(),
            virtual=self._clock.is_virtual,
            runs=check_count(runs, "runs"),
        )

    async def register_worker(self, about: Registration, *, quiet: bool = False) -> int:
        """Note a worker that begins; `Presence` does it for every `Worker`.

        Returns:
            The number that its beats name.
        """
        return await self._write(workers.register, about, quiet=quiet)

    async def beat_worker(
        self, registration: int, *, running: int, stopping: bool = False
    ) -> bool | None:
        """Note that a worker is alive; one small statement.

        Returns:
            Whether it is to be quiet; None if it is not known and must register.
        """
        beat = workers.Beat(registration, running, stopping)
        (answer,) = await self._executor.batch(workers.beat, [beat], relaxed=True)
        return unwrap(answer)

    async def deregister_worker(self, registration: int) -> None:
        """Forget a worker that has ended."""
        await self._write(workers.deregister, registration)
