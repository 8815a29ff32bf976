"""From a function to a task: what it takes, and whether its settings are right."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from trioqueue.errors import ValidationError
from trioqueue.model.lease_policy import LeasePolicy
from trioqueue.model.message import Job
from trioqueue.model.options_codec import attempts_issues
from trioqueue.model.retry_policy import RetryPolicy
from trioqueue.store.base import check_queue_name
from trioqueue.task import (
    AsyncTask,
    JobTask,
    PlainJobTask,
    PlainTask,
    Settings,
    Task,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioqueue.task import TaskOwner

_JOB_NAMES: Final = ("Job", "trioqueue.Job", "tq.Job")


def make_task(
    app: TaskOwner,
    function: Callable[..., Any],
    *,
    queue: str,
    name: str | None,
    max_attempts: int | None,
    retry: RetryPolicy | None,
    priority: int | None,
    lease: LeasePolicy | None,
    flavor: str | None,
) -> Task[Any, Any]:
    """Check a task's settings and make it.

    Raises:
        ValidationError: A setting is wrong.
    """
    if not callable(function):
        raise ValidationError.of("function", f"expected a function, got {function!r}")
    if flavor is not None:
        raise ValidationError.of(
            "flavor", f"{flavor!r} is not available in this version; leave it unset"
        )
    check_queue_name(queue)
    if max_attempts is not None and (
        issues := attempts_issues(max_attempts, "max_attempts")
    ):
        raise ValidationError(issues)
    for field, value, expected in (
        ("retry", retry, RetryPolicy),
        ("lease", lease, LeasePolicy),
    ):
        if value is not None and not isinstance(value, expected):
            raise ValidationError.of(
                field, f"expected {expected.__name__}, got {value!r}"
            )
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    takes_job = bool(parameters) and _is_job(parameters[0].annotation)
    if takes_job:
        signature = signature.replace(parameters=parameters[1:])
    is_async = inspect.iscoroutinefunction(function)
    settings = Settings(
        name=name or str(getattr(function, "__name__", type(function).__name__)),
        queue=queue,
        max_attempts=max_attempts,
        retry=retry,
        priority=priority,
        lease=lease,
        is_async=is_async,
        takes_job=takes_job,
    )
    kind: type[Task[Any, Any]] = PlainJobTask if takes_job else PlainTask
    if is_async:
        kind = JobTask if takes_job else AsyncTask
    return kind(app, function, settings, signature)


def _is_job(annotation: Any) -> bool:
    """Say whether a parameter is annotated `Job`, also by a string."""
    return annotation is Job or annotation in _JOB_NAMES
