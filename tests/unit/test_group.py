"""Many callers in one transaction: each gets its own outcome, none fails another's."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioqueue import (
    LeasePolicy,
    NewMessage,
    PostOutcome,
    QueueOptions,
    StoreUnavailableError,
    TrioQueueError,
)
from trioqueue.store.drafts import make_draft
from trioqueue.store.operations.core import (
    Context,
    Execute,
    Failure,
    Fetch,
    Operation,
    tickets,
)
from trioqueue.store.operations.post import Draft, post
from trioqueue.store.operations.queues import create_queue
from trioqueue.store.requests import Request
from trioqueue.store.sqlite import patience
from trioqueue.store.sqlite.connection import (
    Connection,
    open_connection,
    prepare_database,
)
from trioqueue.store.sqlite.group import run_group

NOW = 1_700_000_000_000_000


def make_context() -> Context:
    return Context(NOW, lambda attempt_id: attempt_id, b"")


def open_database() -> Connection:
    connection = open_connection(":memory:")
    prepare_database(connection, migrate=True, pause=lambda _: None)
    return connection


@pytest.fixture
def connection() -> Iterator[Connection]:
    opened = open_database()
    yield opened
    opened.close()


def add(name: str) -> Operation[None]:
    yield Execute(
        "insert_queue",
        {"name": name, "options": "{}", "dead_letter_name": name, "now": NOW},
    )


def add_each(context: Context, names: Sequence[str]) -> Operation[list[Any]]:
    """A batch operation: "no…" fails its own item, "bug" fails the whole run."""
    answers: list[Any] = []
    for name in names:
        if name.startswith("no"):
            answers.append(Failure(TrioQueueError(name)))
            continue
        yield from add(name)
        if name == "bug":
            raise ZeroDivisionError
        context.effects.ready.add(name)
        answers.append(name)
    return answers


def single(name: str, error: Exception | None = None) -> Callable[..., Any]:
    def operation(context: Context) -> Operation[str]:
        yield from add(name)
        context.effects.ready.add(name)
        if error is not None:
            raise error
        return name

    return operation


def run(connection: Connection, requests: Sequence[Request]) -> set[str]:
    assert connection.begin_write()
    effects = run_group(connection, requests, make_context)
    assert not connection.in_transaction
    return effects.ready


def queues(connection: Connection) -> list[str]:
    rows = connection.statement("SELECT name FROM tq_queues ORDER BY name")
    return [row[0] for row in rows]


def answer(request: Request) -> Any:
    assert request.outcome is not None
    try:
        return request.outcome.unwrap()
    except Exception as error:  # noqa: BLE001
        return type(error)


def test_requests_for_one_batch_operation_are_served_by_one_run(
    connection: Connection,
) -> None:
    runs: list[list[str]] = []

    def count(context: Context, names: Sequence[str]) -> Operation[list[Any]]:
        runs.append(list(names))
        return (yield from add_each(context, names))

    requests = [
        Request(count, ["a", "b"]),
        Request(single("s")),
        Request(count, []),
        Request(count, ["no", "c"]),
    ]
    assert run(connection, requests) == {"a", "b", "c", "s"}
    assert runs == [["a", "b", "no", "c"]]
    assert answer(requests[0]) == ["a", "b"]
    assert answer(requests[1]) == "s"
    assert answer(requests[2]) == []
    refused, added = answer(requests[3])
    assert isinstance(refused, Failure)
    assert added == "c"
    assert queues(connection) == ["a", "b", "c", "s"]


def test_a_failing_operation_leaves_nothing_and_fails_nobody_else(
    connection: Connection,
) -> None:
    requests = [
        Request(single("a")),
        Request(single("b", ValueError("b"))),
        Request(single("c")),
    ]
    assert run(connection, requests) == {"a", "c"}
    assert list(map(answer, requests)) == ["a", ValueError, "c"]
    assert queues(connection) == ["a", "c"]


def test_a_lone_failing_operation_leaves_nothing(connection: Connection) -> None:
    request = Request(single("a", KeyError("a")))
    assert run(connection, [request]) == set()
    assert answer(request) is KeyError
    assert queues(connection) == []


def test_a_merged_run_that_fails_falls_back_to_one_request_at_a_time(
    connection: Connection,
) -> None:
    requests = [
        Request(add_each, ["a"]),
        Request(add_each, ["b", "bug"]),
        Request(add_each, ["c", "no"]),
        Request(single("s")),
    ]
    assert run(connection, requests) == {"a", "c", "s"}
    assert answer(requests[0]) == ["a"]
    assert answer(requests[1]) is ZeroDivisionError
    assert answer(requests[2])[0] == "c"
    assert queues(connection) == ["a", "c", "s"]


def test_what_the_database_refuses_fails_its_own_request_only(
    connection: Connection,
) -> None:
    requests = [Request(add_each, ["a"]), Request(add_each, ["a"])]
    assert run(connection, requests) == {"a"}
    assert answer(requests[0]) == ["a"]
    assert answer(requests[1]) is TrioQueueError
    assert queues(connection) == ["a"]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("batch"), st.sampled_from(["ok", "no", "bug", "twice"])),
            st.tuples(st.just("single"), st.sampled_from(["ok", "bug", "twice"])),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_each_request_gets_what_it_would_have_got_alone(
    kinds: list[tuple[str, str]],
) -> None:
    def build() -> list[Request]:
        requests = []
        for place, (shape, how) in enumerate(kinds):
            name = f"{how}{place}" if how in ("ok", "no") else how
            if shape == "batch":
                requests.append(Request(add_each, [f"first{place}", name]))
            else:
                error = ZeroDivisionError() if how == "bug" else None
                requests.append(Request(single(name, error)))
        return requests

    outcomes = []
    for size in (1, len(kinds)):
        connection = open_database()
        requests = build()
        ready: set[str] = set()
        for first in range(0, len(requests), size):
            ready |= run(connection, requests[first : first + size])
        given = [answer(request) for request in requests]
        answers = [str(one).partition(" object at")[0] for one in given]
        stored = queues(connection)
        outcomes.append((answers, sorted(ready), stored))
        connection.close()
        # Whole or not at all: what is stored is what those who were answered asked for.
        names = [
            name for one in given for name in (one if type(one) is list else [one])
        ]
        assert sorted(name for name in names if isinstance(name, str)) == stored
    # Singles and batches that clash on a name may win in either order.
    if all(how != "twice" for _, how in kinds) or len({s for s, _ in kinds}) == 1:
        assert outcomes[0] == outcomes[1]


def lose_transaction(connection: Connection, times: int) -> Callable[..., Any]:
    """Make an operation that loses the whole transaction, as a full disk may."""
    left = itertools.repeat(None, times)

    def operation(context: Context) -> Operation[str]:
        yield from add("lost")
        if next(left, 0) is None:
            connection.raw.execute("ROLLBACK")
            raise StoreUnavailableError("disk full")
        return "kept"

    return operation


@pytest.mark.parametrize(("times", "expected"), [(1, "kept"), (9, None)])
def test_after_a_lost_transaction_each_request_is_tried_in_one_of_its_own(
    connection: Connection, times: int, expected: str | None
) -> None:
    requests = [
        Request(single("a")),
        Request(lose_transaction(connection, times)),
        Request(add_each, ["b"]),
        Request(add_each, ["bug"]),
    ]
    assert run(connection, requests) == {"a", "b"}
    assert answer(requests[0]) == "a"
    assert answer(requests[1]) == (expected or StoreUnavailableError)
    assert answer(requests[2]) == ["b"]
    assert answer(requests[3]) is ZeroDivisionError
    assert queues(connection) == ["a", "b"] + ["lost"] * bool(expected)


def failing_commit(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    commit = connection.commit
    left = itertools.repeat(None, times)

    def fail_first() -> None:
        if next(left, 0) is None:
            raise StoreUnavailableError("disk full")
        commit()

    monkeypatch.setattr(connection, "commit", fail_first)


def test_a_commit_that_fails_is_tried_again_for_each_request_by_itself(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_commit(connection, monkeypatch, 2)
    requests = [Request(single("a")), Request(single("b")), Request(single("c"))]
    assert run(connection, requests) == {"b", "c"}
    assert list(map(answer, requests)) == [StoreUnavailableError, "b", "c"]
    assert queues(connection) == ["b", "c"]


def test_a_lone_request_whose_commit_fails_has_done_nothing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing_commit(connection, monkeypatch, 1)
    request = Request(single("a"))
    assert run(connection, [request]) == set()
    assert answer(request) is StoreUnavailableError
    assert queues(connection) == []


def test_a_lock_lost_between_retries_is_waited_for(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, busy = connection.begin_write, iter([True, False, False, True])
    failing_commit(connection, monkeypatch, 1)
    monkeypatch.setattr(connection, "begin_write", lambda: next(busy, True) and begin())
    monkeypatch.setattr(patience, "retry_pause", lambda _: 0.0)
    requests = [Request(single("a")), Request(single("b"))]
    assert run(connection, requests) == {"a", "b"}
    assert list(map(answer, requests)) == ["a", "b"]


def test_tickets_are_consecutive_and_never_given_twice(connection: Connection) -> None:
    given_out: list[int] = []

    def draw(count: int, error: Exception | None = None) -> Callable[..., Any]:
        def operation(context: Context) -> Operation[int]:
            numbers = yield from tickets(count)
            if error is not None:
                raise error
            assert len(numbers) == count
            given_out.extend(numbers)
            return numbers[0]

        return operation

    run(connection, [Request(draw(3)), Request(draw(2, KeyError())), Request(draw(4))])
    run(connection, [Request(draw(1))])
    assert given_out == sorted(set(given_out))
    assert len(given_out) == 8


IDS = st.sampled_from(["a", "b"])
MESSAGES = st.builds(
    NewMessage,
    st.sampled_from([1, 2]),
    message_id=IDS,
    priority=st.sampled_from([None, 2, 3]),
    max_attempts=st.sampled_from([None, 3, 4]),
    delay_seconds=st.sampled_from([None, 5]),
    lease=st.sampled_from([None, LeasePolicy(), LeasePolicy(5)]),
    metadata=st.sampled_from([None, {}, {"k": 1}]),
)


@given(st.lists(MESSAGES, min_size=2, max_size=6))
def test_posts_that_meet_in_a_group_end_as_if_they_had_come_one_by_one(
    messages: list[NewMessage],
) -> None:
    seen = []
    for size in (1, len(messages)):
        connection = open_database()
        source = random.Random(1)
        run(connection, [Request(lambda c: create_queue(c, "jobs", QueueOptions()))])
        drafts: list[Draft] = []
        for new in messages:
            draft, issues = make_draft("jobs", new, NOW, source)
            assert issues == []
            drafts.append(draft)
        requests = [Request(post, [draft]) for draft in drafts]
        for first in range(0, len(requests), size):
            run(connection, requests[first : first + size])
        results = [answer(request)[0] for request in requests]
        seen.append([(r.outcome, str(r.error), r.message) for r in results])
        connection.close()
    assert [outcome for outcome, _, _ in seen[0]] == [o for o, _, _ in seen[1]]
    assert [error for _, error, _ in seen[0]] == [error for _, error, _ in seen[1]]
    assert seen[0][0][0] is PostOutcome.POSTED


def test_an_operation_may_hand_over_lists(connection: Connection) -> None:
    run(connection, [Request(add_each, ["a", "b", "c"])])
    names: list[str] = []

    def look(context: Context) -> Operation[None]:
        rows = yield Fetch("queues_by_name", {"names": ["c", "a", "x"]})
        names.extend(sorted(row[1] for row in rows))

    run(connection, [Request(look)])
    assert names == ["a", "c"]
