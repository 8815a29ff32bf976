"""Errors say what happened and what to do, and travel between processes."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime

import pytest

import trioqueue
from trioqueue import (
    AttemptRecord,
    BusinessCalendarNotFoundError,
    ConflictError,
    Discard,
    DuplicateMessageError,
    ExecutionLimitError,
    HandlerSignal,
    IllegalStateError,
    Issue,
    LeaseLostError,
    Message,
    MessageFailedError,
    MessageNotFoundError,
    MessageState,
    NotFoundError,
    QueueExistsError,
    QueueNotFoundError,
    Retry,
    ScheduleExistsError,
    ScheduleNotFoundError,
    SchemaNotFoundError,
    SchemaVersionError,
    Snooze,
    StoreClosedError,
    StoreUnavailableError,
    TrioQueueError,
    ValidationError,
    WorkerNotFoundError,
)

STARTED = datetime(2026, 1, 1, tzinfo=UTC)
DEAD = Message(
    "jobs",
    "m1",
    {"a": 1},
    state=MessageState.ERRORED,
    reason="max_attempts",
    created_at=STARTED,
    attempts=(
        AttemptRecord(1, "w", STARTED, STARTED, "failed", "ValueError", "no such user"),
        AttemptRecord(2, "w", STARTED, STARTED, "lease_expired"),
    ),
)
ERRORS: list[Exception] = [
    TrioQueueError("text"),
    ValidationError([Issue("payload", "is wrong"), Issue("priority", "too")]),
    NotFoundError("text"),
    QueueNotFoundError("jobs"),
    MessageNotFoundError("jobs", "m1"),
    MessageNotFoundError("jobs", "m1", "look elsewhere"),
    ScheduleNotFoundError("daily"),
    WorkerNotFoundError("w1"),
    BusinessCalendarNotFoundError("us"),
    SchemaNotFoundError("text"),
    ConflictError("text"),
    DuplicateMessageError("jobs", "m1", ["payload"]),
    QueueExistsError("jobs"),
    ScheduleExistsError("daily"),
    ScheduleExistsError("daily", ["when", "payload"]),
    IllegalStateError("text", MessageState.RUNNING),
    LeaseLostError("jobs", "m1", "superseded"),
    StoreUnavailableError("text"),
    SchemaVersionError("text", found=3, known=1),
    StoreClosedError("text"),
    MessageFailedError(DEAD),
    ExecutionLimitError("text"),
    HandlerSignal("text"),
    Retry(in_seconds=5, reason="busy"),
    Retry(),
    Snooze(in_seconds=7),
    Discard("spam"),
    Discard(),
]


def through_a_pickle(error: Exception) -> Exception:
    twin: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    return twin


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("how", [through_a_pickle, copy.copy])
def test_an_error_survives_pickling_and_copying(error: Exception, how: object) -> None:
    assert callable(how)
    twin = how(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    assert twin.args == error.args
    assert vars(twin) == vars(error)


def test_every_error_is_tried() -> None:
    every = {
        thing
        for thing in vars(trioqueue.errors).values()
        if isinstance(thing, type) and issubclass(thing, BaseException)
    }
    assert {type(error) for error in ERRORS} == every


def test_a_validation_error_holds_every_issue_and_is_a_value_error() -> None:
    error = ValidationError(iter([Issue("a", "is x"), Issue("b", "is y")]))
    assert [issue.field for issue in error.issues] == ["a", "b"]
    assert str(error) == "a: is x; b: is y"
    assert isinstance(error, ValueError)
    assert ValidationError.of("a", "is x").issues == (Issue("a", "is x"),)


def test_what_is_not_found_is_a_lookup_error() -> None:
    assert isinstance(QueueNotFoundError("jobs"), LookupError)
    assert "create_queue('jobs')" in str(QueueNotFoundError("jobs"))


def test_a_conflict_names_the_fields_that_differ() -> None:
    error = DuplicateMessageError("jobs", "m1", ["payload", "priority"])
    assert error.differences == ("payload", "priority")
    assert "payload, priority" in str(error)


def test_a_failed_message_tells_its_last_error() -> None:
    error = MessageFailedError(DEAD)
    assert "ended ERRORED (max_attempts): ValueError: no such user" in str(error)
    assert error.message is DEAD
