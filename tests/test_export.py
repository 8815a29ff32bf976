"""Exporting a store as JSON lines, and importing them: lossless, or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.copying import KEPT, Pair, everything, populate, with_pair
from tests.helpers import SteppedClock
from trioqueue import (
    ConflictError,
    IllegalStateError,
    MessageState,
    QueueNotFoundError,
    QueueOptions,
    Store,
    TrioQueueError,
    ValidationError,
    open_store,
)
from trioqueue.store.copying import copy_store
from trioqueue.store.exporting import ExportReport, export_store
from trioqueue.store.importing import import_store, plan_import, read_export
from trioqueue.store.operations import copy_reading


async def exported(store: Store, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    await export_store(store, file.write, **options)
    return file


async def imported(file: io.BytesIO, target: Store, **options: Any) -> None:
    await import_store(await read_export(file), target, **options)


def test_an_import_is_what_was_exported_and_exports_the_same_lines(
    tmp_path: Path, anywhere: str
) -> None:
    clock = SteppedClock()

    async def main() -> None:
        async with (
            open_store(f"sqlite:///{tmp_path}/source.db", clock=clock) as source,
            open_store(anywhere) as target,
            open_store(f"sqlite:///{tmp_path}/back.db", clock=clock) as back,
        ):
            await populate(source, clock)
            file = await exported(source)
            await imported(file, target)
            assert await everything(target) == await everything(source)
            again = await exported(target)
            assert again.getvalue() == file.getvalue()
            await imported(again, back)
            assert (await exported(back)).getvalue() == file.getvalue()
            # Leases and claims work on what came.
            (job,) = await target.claim("jobs")
            assert job.message.message_id == "high"
            await target.complete(job)

    trio.run(main)


@with_pair
async def test_the_report_counts_what_was_written(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    file = io.BytesIO()
    seen = []
    report = await export_store(
        pair.source, file.write, progress=lambda *counts: seen.append(counts)
    )
    assert report == ExportReport(2, 1, 2, 11, 3, 2, 0)
    assert seen[-1] == (11, 11)
    lines = file.getvalue().splitlines()
    assert json.loads(lines[0]) == {"trioqueue": 1, "content": "export"}
    assert json.loads(lines[-1]) == {
        "type": "end",
        "queues": 2,
        "calendars": 1,
        "schedules": 2,
        "messages": 11,
        "attempts": 3,
        "runs": 2,
    }
    seen.clear()
    await import_store(
        await read_export(file),
        pair.target,
        progress=lambda *counts: seen.append(counts),
    )
    assert seen[-1] == (11, 11)


@with_pair
async def test_only_some_queues_are_exported_with_what_belongs_to_them(
    pair: Pair,
) -> None:
    await populate(pair.source, pair.clock)
    file = await exported(pair.source, queues=["jobs"])
    await imported(file, pair.target)
    assert [q.name for q in await pair.target.list_queues()] == ["jobs"]
    assert len(await pair.target.list_schedules()) == 2
    assert await pair.target.list_business_calendars() == []
    assert (await exported(pair.target)).getvalue() == file.getvalue()
    rest = await exported(pair.source, queues=["paused"])
    await imported(rest, pair.target)
    with pytest.raises(QueueNotFoundError):
        await exported(pair.source, queues=["jobs", "nobody"])


@with_pair
async def test_an_empty_store_is_exported_too(pair: Pair) -> None:
    file = await exported(pair.source)
    assert len(file.getvalue().splitlines()) == 2
    await imported(file, pair.target)
    assert (await exported(pair.target)).getvalue() == file.getvalue()


@with_pair
async def test_what_is_posted_meanwhile_is_not_in_it(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    before = await exported(pair.source)
    file = io.BytesIO()

    def write(data: bytes) -> None:
        trio.from_thread.run(pair.source.post, "jobs", "late")
        file.write(data)

    await export_store(pair.source, write)
    assert file.getvalue() == before.getvalue()
    assert (await exported(pair.source)).getvalue() != before.getvalue()


@with_pair
async def test_messages_that_ran_are_refused_or_expire(pair: Pair) -> None:
    clock = pair.clock
    await pair.source.create_queue("jobs", KEPT)
    await pair.source.post("jobs", 1, message_id="m")
    (held,) = await pair.source.claim("jobs")
    file = await exported(pair.source)
    assert b"token" not in file.getvalue()
    with pytest.raises(IllegalStateError, match="1 message was running"):
        await imported(file, pair.target)
    assert await pair.target.list_queues() == []
    await imported(file, pair.target, running="expire")
    assert (await exported(pair.target)).getvalue() == file.getvalue()
    with pytest.raises(TrioQueueError):
        await pair.target.complete(held)
    clock.advance(3600)
    found = await pair.target.find_expired_messages()
    assert await pair.target.reclaim_expired_messages(found) == 1
    message = await pair.target.get_message("jobs", "m")
    assert message.attempts[0].outcome == "lease_expired"


@with_pair
async def test_names_that_are_taken_are_told_and_nothing_comes(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    export = await read_export(await exported(pair.source))
    await pair.target.create_queue("jobs")
    for verb in (plan_import, import_store):
        with pytest.raises(ConflictError, match="already has queue 'jobs'"):
            await verb(export, pair.target)
    assert len(await pair.target.list_queues()) == 1
    assert await pair.target.list_schedules() == []


@with_pair
async def test_a_plan_writes_nothing(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    export = await read_export(await exported(pair.source), name="x.jsonl")
    for target in (None, pair.target):
        report = await plan_import(export, target)
        assert (report.source, report.live, report.finished) == ("x.jsonl", 8, 3)
        assert (report.attempts, report.schedules, report.runs) == (3, 2, 2)
        assert report.queues[0].counts[MessageState.PENDING] == 5
    assert await pair.target.list_queues() == []
    with pytest.raises(ValidationError, match="running"):
        await plan_import(export, running="drop")  # type: ignore[arg-type]  # the test


@with_pair
async def test_an_import_that_fails_leaves_nothing_behind(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    export = await read_export(await exported(pair.source))

    def stop(_done: int, _total: int) -> None:
        raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"):
        await import_store(export, pair.target, progress=stop)
    assert await pair.target.list_queues() == []
    assert await pair.target.list_schedules() == []
    report = await import_store(export, pair.target)
    assert report.undone is None
    assert await everything(pair.target) == await everything(pair.source)


@with_pair
async def test_after_a_canceled_import_the_next_begins_again(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    export = await read_export(await exported(pair.source), name="first.jsonl")
    with trio.CancelScope() as scope:
        await import_store(export, pair.target, progress=lambda *_: scope.cancel())
    assert scope.cancelled_caught
    assert all(queue.paused for queue in await pair.target.list_queues())
    with pytest.raises(IllegalStateError, match="unfinished"):
        await exported(pair.target)
    report = await import_store(export, pair.target)
    assert report.undone == "first.jsonl"
    assert await everything(pair.target) == await everything(pair.source)


@with_pair
async def test_a_copy_of_an_import_is_a_copy(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    file = await exported(pair.source)
    await copy_store(pair.source, pair.target)
    assert (await exported(pair.target)).getvalue() == file.getvalue()


def test_cancellation_ends_an_export_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_reading, "PAGE_ROWS", 1)
    calls = 0

    async def main() -> None:
        nonlocal calls
        async with open_store(f"sqlite:///{tmp_path}/jobs.db") as store:
            await store.create_queue("jobs")
            for number in range(50):
                await store.post("jobs", number)
            with trio.CancelScope() as scope:

                def write(_: bytes) -> None:
                    nonlocal calls
                    calls += 1
                    if calls == 5:
                        trio.from_thread.run_sync(scope.cancel)
                        trio.from_thread.run(trio.testing.wait_all_tasks_blocked)

                await export_store(store, write)
            assert scope.cancelled_caught

    trio.run(main)
    assert calls == 5


Change = Callable[[list[Any]], None]


def _without(number: int) -> Change:
    return lambda lines: lines.pop(number)


def _set(number: int, **fields: Any) -> Change:
    return lambda lines: lines[number].update(fields)


def _drop(number: int, field: str) -> Change:
    return lambda lines: lines[number].pop(field)


def _again(number: int) -> Change:
    return lambda lines: lines.insert(number, dict(lines[number]))


WRONG: list[tuple[str, Change, str]] = [
    ("empty", list.clear, "line 1: this is no export"),
    ("no header", _without(0), "line 1: this is no export"),
    ("a newer version", _set(0, trioqueue=2), "line 1: the export has version 2"),
    ("another content", _set(0, content="log"), "line 1: this is no export, but 'log'"),
    ("no end", _without(-1), "line 7: the file is cut off"),
    ("behind the end", _again(-1), "line 9: there is something behind the end"),
    ("a message lost", _without(5), "line 7: there should be 3 messages, and are 2"),
    ("an unknown type", _set(2, type="job"), "line 3: unknown type 'job'"),
    ("no type", _drop(2, "type"), "line 3: the field 'type' is missing"),
    ("an unknown field", _set(4, colour="red"), "line 5: unknown field 'colour'"),
    ("a field lost", _drop(4, "message_id"), "line 5: the field 'message_id'"),
    ("another kind of value", _set(4, attempts="0"), "line 5: 'attempts' is no int"),
    ("too large", _set(4, attempts=2**63), "line 5: 'attempts' is out of range"),
    ("a NUL", _set(4, message_id="a\0"), "line 5: 'message_id' holds a NUL"),
    ("no base64", _set(4, payload_base64="?"), "line 5: 'payload_base64' is no base64"),
    ("no such state", _set(4, state="LOST"), "line 5: there is no state 'LOST'"),
    ("no such priority", _set(4, priority=5), "line 5: there is no priority 5"),
    ("no such queue", _set(4, queue="x"), "line 5: there is no queue 'x' above"),
    ("ticket 0", _set(4, ticket=0, ready_ticket=0), "line 5: messages are not in"),
    ("a ticket too high", _set(4, ready_ticket=2**60), "line 5: tickets go from 1"),
    ("twice", _again(4), "line 6: messages are not in the order"),
    ("a queue twice", _again(1), "line 3: 'jobs' is there twice"),
    ("a wrong name", _set(1, name="no spaces"), "line 2: name:"),
    ("wrong options", _set(1, options={"x": 1}), "line 2: 'options' cannot be read"),
    ("wrong order", lambda ls: ls.insert(6, ls.pop(1)), "line 4: there is no queue"),
    ("no instant", _set(4, created_at="now"), "line 5: 'created_at' is no instant"),
    ("a wrong content type", _set(4, content_type=""), "line 5: content_type"),
    ("no schedule", _set(6, type="run", schedule="y"), "line 7: there is no schedule"),
    ("attempts", _set(4, past=[1]), "line 5: an attempt is no JSON object"),
    ("metadata", _set(4, metadata=[1]), "line 5: 'metadata' is no dict"),
    ("it runs", _set(4, state="RUNNING"), "line 5: it is running, and 'attempt_id'"),
    ("invisible", _set(4, state="INVISIBLE"), "line 5: it is invisible, and 'due_at'"),
]


async def small(store: Store) -> list[Any]:
    """Export a few things, and return the lines as documents."""
    await store.create_queue("jobs", QueueOptions())
    await store.create_queue("more", QueueOptions())
    from trioqueue import Cron, Schedule

    await store.create_schedule(Schedule("nightly", "jobs", Cron("0 3 * * *"), 1))
    for number in range(3):
        await store.post("jobs", number, message_id=f"m{number}")
    return [
        json.loads(line) for line in (await exported(store)).getvalue().splitlines()
    ]


@pytest.mark.parametrize(
    ("change", "text"), [pytest.param(c, t, id=name) for name, c, t in WRONG]
)
def test_a_file_that_is_wrong_is_refused_with_the_line(
    tmp_path: Path, change: Change, text: str
) -> None:
    @with_pair
    async def check(pair: Pair) -> None:
        lines = await small(pair.source)
        change(lines)
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        with pytest.raises(ValidationError) as caught:
            await read_export(io.BytesIO(data))
        assert str(caught.value).startswith(text)

    check(tmp_path)


@with_pair
async def test_a_file_cut_off_anywhere_is_refused(pair: Pair) -> None:
    await populate(pair.source, pair.clock)
    data = (await exported(pair.source)).getvalue()
    for length in {*range(0, len(data), 97), len(data) - 1}:
        with pytest.raises(ValidationError, match=r"^line \d+: "):
            await read_export(io.BytesIO(data[:length]))


@pytest.mark.parametrize(
    "data", [b"\0\1\2", b"[1]\n", b"{}\n", b"x" * 10_000, b"SQLite format 3\0"]
)
def test_what_is_no_export_is_refused_at_its_first_line(data: bytes) -> None:
    with pytest.raises(ValidationError, match="line 1: this is no export"):
        trio.run(read_export, io.BytesIO(data))
