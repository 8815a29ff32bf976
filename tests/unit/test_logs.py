from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import trio

from trioqueue import (
    Job,
    QueueOptions,
    Store,
    StoreUnavailableError,
    Worker,
    open_store,
)
from trioqueue.logs import JobFilter, JsonFormatter, TextFormatter
from trioqueue.services import SchedulerService

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def store(autojump_clock: object) -> Any:
    async with open_store("sqlite://:memory:") as store:
        await store.create_queue("jobs", QueueOptions(max_attempts=1))
        yield store


@pytest.fixture
def written() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Whatever is logged, as JSON lines."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(JobFilter())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)
    root.setLevel(before)


async def test_a_failure_is_logged_with_what_it_is_about(
    store: Store, written: Callable[[], list[dict[str, Any]]]
) -> None:
    async def handler(job: Job) -> None:
        message = "no such address"
        raise LookupError(message)

    await store.post(
        "jobs",
        {"secret": "payloads stay out of logs"},
        message_id="a",
        metadata={"traceparent": PARENT},
    )
    await Worker(store, {"jobs": handler}, worker_id="w1").run_once()
    (line,) = [line for line in written() if line["level"] == "warning"]
    assert line["logger"] == "trioqueue.worker"
    assert line["message"] == "message a of queue jobs (attempt 1) failed"
    assert line["queue"] == "jobs"
    assert line["message_id"] == "a"
    assert line["attempt"] == 1
    assert line["worker"] == "w1"
    assert line["trace_id"] == PARENT.split("-")[1]
    assert "LookupError: no such address" in line["exception"]
    assert "secret" not in json.dumps(line)


async def test_what_a_handler_logs_says_which_job_it_was(
    store: Store, written: Callable[[], list[dict[str, Any]]]
) -> None:
    mine = logging.getLogger("my.own")

    async def handler(job: Job) -> None:
        mine.info("sending", extra={"address": "a@example.org"})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(in_a_child_task)

    async def in_a_child_task() -> None:
        mine.info("in a child")

    mine.info("before")
    await store.post("jobs", 1, message_id="a")
    await Worker(store, {"jobs": handler}).run_once()
    mine.info("after")
    lines = [line for line in written() if line["logger"] == "my.own"]
    assert [line.get("message_id") for line in lines] == [None, "a", "a", None]
    assert lines[1]["address"] == "a@example.org"
    assert lines[1]["queue"] == "jobs"


async def test_a_job_of_a_schedule_names_it(
    store: Store, written: Callable[[], list[dict[str, Any]]]
) -> None:
    from trioqueue import Cron, Schedule

    await store.create_schedule(Schedule("nightly", "jobs", Cron("0 0 * * *")))
    await store.trigger_schedule("nightly")

    async def handler(job: Job) -> None:
        logging.getLogger("my.own").info("now")

    await Worker(store, {"jobs": handler}).run_once()
    (line,) = [line for line in written() if line["logger"] == "my.own"]
    assert line["schedule"] == "nightly"


def record(**more: Any) -> logging.LogRecord:
    facts = {"name": "my.own", "levelno": 20, "levelname": "INFO", "created": 1.5}
    return logging.makeLogRecord({**facts, "msg": "it is %s", "args": ("so",), **more})


def test_a_record_is_one_line_of_json_whatever_it_holds() -> None:
    text = JsonFormatter().format(
        record(msg="two\nlines\u2028and %s", odd=object, number=7, none=None)
    )
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == {
        "time": "1970-01-01T00:00:01.500+00:00",
        "level": "info",
        "logger": "my.own",
        "message": "two\nlines\u2028and so",
        "odd": "<class 'object'>",
        "number": 7,
    }


def test_an_extra_cannot_take_the_place_of_what_every_line_has() -> None:
    line = json.loads(JsonFormatter().format(record(level="shouting", time="now")))
    assert line["level"] == "info"
    assert line["time"].startswith("1970")


def test_a_text_line_names_the_job_where_it_does_not_say_so_itself() -> None:
    facts = {"queue": "jobs", "message_id": "a", "attempt": 2}
    ours = TextFormatter().format(record(name="trioqueue.worker", **facts))
    assert ours.endswith(" INFO trioqueue.worker: it is so")
    theirs = TextFormatter().format(record(**facts))
    assert theirs.endswith("my.own: it is so [queue=jobs message_id=a attempt=2]")
    assert TextFormatter().format(record()).endswith("my.own: it is so")


async def test_a_service_in_trouble_names_itself(
    store: Store,
    written: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away() -> int:
        await trio.lowlevel.checkpoint()
        message = "the disk is full"
        raise StoreUnavailableError(message)

    service = SchedulerService(store)
    monkeypatch.setattr(service, "_batch", away)
    async with trio.open_nursery() as nursery:
        await nursery.start(service.run)
        await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    line = written()[0]
    assert line["service"] == "scheduler"
    assert line["message"].startswith("scheduler: the disk is full; trying again in")
