"""From a message to the task that it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from trioqueue.errors import Discard
from trioqueue.policies.retry import delay_seconds, draw_for

if TYPE_CHECKING:
    from trioqueue.app import App
    from trioqueue.model.message import Job
    from trioqueue.task import Task


@final
class Dispatcher:
    """The handler of one queue: finds the task that a message calls, and runs it."""

    def __init__(self, app: App, queue: str) -> None:
        self._app = app
        self._queue = queue

    async def __call__(self, job: Job) -> Any:
        """Run the task that a job's payload names."""
        task = self._task_of(job)
        call = job.payload
        return await task.run(job, call["args"], call["kwargs"])

    def retry_seconds(self, job: Job) -> float | None:
        """Return the wait by the task's own policy, if it has one."""
        payload = job.payload
        name = payload.get("task") if isinstance(payload, dict) else None
        task = self._app.tasks.get(name) if isinstance(name, str) else None
        if task is None or task.retry is None:
            return None
        draw = draw_for(job.message_id, job.attempt, self._app.store.salt)
        return delay_seconds(task.retry, job.attempt, draw)

    def _task_of(self, job: Job) -> Task[Any, Any]:
        call = job.payload
        if not (
            isinstance(call, dict)
            and isinstance(call.get("task"), str)
            and isinstance(call.get("args"), list)
            and isinstance(call.get("kwargs"), dict)
        ):
            message = "the payload is no call of a task; was it posted by hand?"
            raise Discard(message)
        task = self._app.tasks.get(call["task"])
        if task is None:
            # Not given up: a newer worker may know it, while a deployment rolls out.
            message = f"this app has no task {call['task']!r}"
            raise LookupError(message)
        return task

    def __repr__(self) -> str:
        return f"<tasks of queue {self._queue}>"
