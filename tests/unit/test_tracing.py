from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from trioqueue import (
    Discard,
    DuplicateMessageError,
    Job,
    NewMessage,
    PostOutcome,
    QueueOptions,
    RetentionPolicy,
    RetryPolicy,
    Store,
    Worker,
    current_job,
    open_store,
    tracing,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
async def store(autojump_clock: object) -> Any:
    async with open_store("sqlite://:memory:") as store:
        kept = RetentionPolicy.keep_forever()
        await store.create_queue("jobs", QueueOptions(retention=kept))
        yield store


@pytest.fixture
def no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not use OpenTelemetry."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")


class Spans:
    """What a program with OpenTelemetry records."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def named(self, name: str) -> Any:
        (found,) = [s for s in self._exporter.get_finished_spans() if s.name == name]
        return found


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield Spans(exporter)
    provider.shutdown()


async def run(store: Store, handler: Any, queue: str = "jobs") -> None:
    await Worker(store, {queue: handler}).run_once()


async def test_a_handler_sees_the_trace_that_its_message_was_posted_with(
    store: Store,
) -> None:
    seen = []

    async def handler(job: Job) -> None:
        seen.append(job.message.metadata)

    await store.post("jobs", 1, metadata={"traceparent": PARENT, "tenant": "a"})
    await run(store, handler)
    assert seen == [{"traceparent": PARENT, "tenant": "a"}]


@pytest.mark.usefixtures("no_tracing")
async def test_what_a_handler_posts_continues_its_trace(store: Store) -> None:
    async def handler(job: Job) -> None:
        if job.payload == "first":
            await store.post("jobs", "second", message_id="second")
            more = NewMessage("third", message_id="third", metadata={"tenant": "a"})
            await store.post_many("jobs", [more])

    first = {"traceparent": PARENT, "tracestate": "vendor=1"}
    await store.post("jobs", "first", metadata=first)
    await run(store, handler)
    second = await store.get_message("jobs", "second")
    assert second.metadata == first
    third = await store.get_message("jobs", "third")
    assert third.metadata == {"tenant": "a", **first}


@pytest.mark.usefixtures("no_tracing")
async def test_without_a_trace_nothing_is_added(store: Store) -> None:
    async def handler(job: Job) -> None:
        if job.payload == "first":
            await store.post("jobs", "second", message_id="second")

    await store.post("jobs", "first", metadata={"traceparent": "nonsense"})
    await run(store, handler)
    assert (await store.get_message("jobs", "second")).metadata == {}


async def test_the_trace_is_no_part_of_what_makes_two_messages_the_same(
    store: Store,
) -> None:
    await store.post("jobs", 1, message_id="a", metadata={"traceparent": PARENT})
    for metadata in (None, {}, {"traceparent": PARENT.replace("b7", "b8")}):
        again = NewMessage(1, message_id="a", metadata=metadata)
        (result,) = await store.post_many("jobs", [again])
        assert result.outcome is PostOutcome.DUPLICATE
    with pytest.raises(DuplicateMessageError, match="metadata"):
        await store.post("jobs", 1, message_id="a", metadata={"tenant": "b"})


async def test_posting_and_processing_are_spans_of_one_trace(
    store: Store, spans: Spans
) -> None:
    async def handler(job: Job) -> None:
        trace.get_current_span().add_event("at work")

    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("request"):
        await store.post("jobs", 1, message_id="a")
    await run(store, handler)
    request, post, process = map(spans.named, ("request", "post jobs", "process jobs"))
    assert post.kind is SpanKind.PRODUCER
    assert post.parent.span_id == request.context.span_id
    assert process.kind is SpanKind.CONSUMER
    assert process.parent.span_id == post.context.span_id
    assert process.parent.is_remote
    assert process.context.trace_id == request.context.trace_id
    assert [event.name for event in process.events] == ["at work"]
    assert dict(process.attributes) == {
        "messaging.system": "trioqueue",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "jobs",
        "messaging.message.id": "a",
        "trioqueue.attempt": 1,
        "trioqueue.outcome": "completed",
    }
    message = await store.get_message("jobs", "a")
    assert message.metadata["traceparent"] == (
        f"00-{post.context.trace_id:032x}-{post.context.span_id:016x}"
        f"-{post.context.trace_flags:02x}"
    )


async def test_many_messages_posted_together_have_one_span(
    store: Store, spans: Spans
) -> None:
    await store.post_many("jobs", [NewMessage(n) for n in range(3)])
    assert spans.named("post jobs").attributes["messaging.batch.message_count"] == 3


async def test_a_failure_is_an_error_of_its_span(store: Store, spans: Spans) -> None:
    async def handler(job: Job) -> None:
        message = "no such address"
        raise LookupError(message)

    retry = RetryPolicy.fixed(0)
    await store.create_queue("once", QueueOptions(max_attempts=1, retry=retry))
    await store.post("once", 1, metadata={"traceparent": PARENT})
    await run(store, handler, "once")
    span = spans.named("process once")
    assert f"{span.context.trace_id:032x}" == TRACE_ID
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "LookupError"
    assert span.attributes["trioqueue.outcome"] == "failed"
    (event,) = span.events
    assert event.attributes["exception.message"] == "no such address"


async def test_what_steers_a_message_is_no_error(store: Store, spans: Spans) -> None:
    async def handler(job: Job) -> None:
        raise Discard("not wanted")

    await store.post("jobs", 1)
    await run(store, handler)
    span = spans.named("process jobs")
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["trioqueue.outcome"] == "discard"
    assert not span.events


async def test_a_handler_that_is_cut_off_is_a_span_that_was_canceled(
    store: Store, spans: Spans
) -> None:
    begun = trio.Event()

    async def handler(job: Job) -> None:
        begun.set()
        await trio.sleep_forever()

    await store.post("jobs", 1)
    worker = Worker(store, {"jobs": handler})
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        await begun.wait()
        await worker.stop_gracefully(grace_seconds=0)
    assert spans.named("process jobs").attributes["trioqueue.outcome"] == "canceled"


async def test_a_message_without_a_trace_begins_one(
    store: Store, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(job: Job) -> None:
        pass

    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "opentelemetry.trace")
        await store.post("jobs", 1)
    with trace.get_tracer("test").start_as_current_span("the worker's own"):
        await run(store, handler)
    assert spans.named("process jobs").parent is None


async def test_a_leased_block_is_a_span_and_knows_its_job(
    store: Store, spans: Spans
) -> None:
    await store.post("jobs", 1, metadata={"traceparent": PARENT})
    assert current_job() is None
    async with store.lease("jobs") as job:
        assert current_job() is job
    assert current_job() is None
    assert f"{spans.named('process jobs').context.trace_id:032x}" == TRACE_ID


async def test_a_handler_and_its_threads_know_their_job(store: Store) -> None:
    seen: list[Job | None] = []

    async def ask() -> None:
        seen.append(current_job())

    async def handler(job: Job) -> None:
        seen.append(current_job())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)

    await store.post("jobs", 1, message_id="a")
    await run(store, handler)
    assert [job and job.message_id for job in seen] == ["a", "a"]


@pytest.mark.parametrize(
    "text",
    [
        "ff" + PARENT[2:],
        PARENT.upper(),
        PARENT[:-1],
        PARENT + "-more",
        "01" + PARENT[2:] + "-more",
        PARENT.replace(TRACE_ID, "0" * 32),
        PARENT.replace("b7ad6b7169203331", "0" * 16),
        7,
        None,
    ],
)
def test_only_a_well_formed_parent_counts(text: object) -> None:
    known = tracing.trace_id_of({"traceparent": text})
    # A later version may append fields, and is read all the same.
    assert known == (TRACE_ID if str(text).startswith("01") else None)


def test_a_program_without_opentelemetry_does_not_import_it() -> None:
    code = """if True:
        import sys, trio, trioqueue
        async def main():
            async with trioqueue.open_store("sqlite://:memory:") as store:
                await store.create_queue("jobs")
                await store.post("jobs", 1)
                async def handler(job): pass
                await trioqueue.Worker(store, {"jobs": handler}).run_once()
        trio.run(main)
        print([name for name in sys.modules if "opentelemetry" in name])
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
