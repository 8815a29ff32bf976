"""Traces: from the code that posts a message to the handler that runs it.

A message carries its W3C trace context in its metadata, under ``traceparent`` and
``tracestate`` (https://www.w3.org/TR/trace-context/).  What a handler posts continues
the trace of its own message.  Where the program uses OpenTelemetry, posting and running
are spans, by the semantic conventions for messaging; where it does not, nothing here
imports it.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from trioqueue.current import working_on
from trioqueue.errors import HandlerSignal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trioqueue.model.message import Job

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
KEYS: Final = (TRACEPARENT, TRACESTATE)

_PARENT: Final = re.compile(
    r"(?!ff|00-.{52}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
    r"(?:-.*)?"
)
_SYSTEM: Final = "trioqueue"


def trace_id_of(metadata: Mapping[str, Any]) -> str | None:
    """Return the trace id in a message's metadata; None if there is no valid one."""
    text = metadata.get(TRACEPARENT)
    found = _PARENT.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else found[1]


def without_trace(metadata: str | None) -> str | None:
    """Take the trace context out of encoded metadata; None if nothing else is left."""
    if metadata is None or f'"{TRACEPARENT}"' not in metadata:
        return metadata
    values = json.loads(metadata)
    rest = {key: value for key, value in values.items() if key not in KEYS}
    return json.dumps(rest) if rest else None


def tracing() -> Any:
    """Return OpenTelemetry's API if the program uses it, else None.

    Only a program that has imported it can have spans, so that looking is enough.
    """
    return sys.modules.get("opentelemetry.trace")


def with_trace(metadata: Any) -> Any:
    """Return metadata with the trace of the code that posts, unless it names one."""
    api = tracing()
    job = working_on.get()
    if api is None and job is None:
        return metadata
    if metadata is not None and (
        not isinstance(metadata, dict) or TRACEPARENT in metadata
    ):
        return metadata
    context = _of_span(api) if api is not None else {}
    if not context and job is not None:
        context = _of_job(job)
    return {**(metadata or {}), **context} if context else metadata


def _of_job(job: Job) -> dict[str, str]:
    metadata = job.message.metadata
    if not metadata or trace_id_of(metadata) is None:
        return {}
    return {key: metadata[key] for key in KEYS if isinstance(metadata.get(key), str)}


def _of_span(api: Any) -> dict[str, str]:
    context = api.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    flags = int(context.trace_flags) & 0xFF
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"
    state = context.trace_state.to_header() if context.trace_state else ""
    return {TRACEPARENT: parent, TRACESTATE: state} if state else {TRACEPARENT: parent}


@contextmanager
def sending(api: Any, queue: str, count: int = 1) -> Iterator[None]:
    """Make posting a span, which the messages posted in the block name as parent."""
    attributes: dict[str, Any] = {
        "messaging.system": _SYSTEM,
        "messaging.operation.name": "post",
        "messaging.operation.type": "send",
        "messaging.destination.name": queue,
    }
    if count != 1:
        attributes["messaging.batch.message_count"] = count
    with _tracer(api).start_as_current_span(
        f"post {queue}", kind=api.SpanKind.PRODUCER, attributes=attributes
    ):
        yield


@contextmanager
def processing(api: Any, job: Job) -> Iterator[None]:
    """Make running a handler a span, whose parent is the post of its message.

    Cancellation, and what a handler raises to steer (`Retry`, `Snooze`, `Discard`), is
    named by the span's ``trioqueue.outcome`` and is no error.
    """
    with _tracer(api).start_as_current_span(
        f"process {job.queue}",
        context=_context_of(api, job),
        kind=api.SpanKind.CONSUMER,
        attributes={
            "messaging.system": _SYSTEM,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": job.queue,
            "messaging.message.id": job.message_id,
            "trioqueue.attempt": job.attempt,
        },
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except HandlerSignal as signal:
            span.set_attribute("trioqueue.outcome", type(signal).__name__.lower())
            raise
        except Exception as error:
            span.record_exception(error)
            span.set_status(api.StatusCode.ERROR, type(error).__name__)
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_attribute("trioqueue.outcome", "failed")
            raise
        except BaseException:
            span.set_attribute("trioqueue.outcome", "canceled")
            raise
        span.set_attribute("trioqueue.outcome", "completed")


@contextmanager
def at_work(job: Job) -> Iterator[None]:
    """Make a job the current one in the block, and the block a span of its trace."""
    before = working_on.set(job)
    try:
        api = tracing()
        with nullcontext() if api is None else processing(api, job):
            yield
    finally:
        working_on.reset(before)


def _tracer(api: Any) -> Any:
    # Asked for each time: a program may choose its provider late, and may change it.
    return api.get_tracer("trioqueue")


def _context_of(api: Any, job: Job) -> Any:
    """Return the context that a message carries; where there is none, a new trace's."""
    metadata = job.message.metadata
    text = metadata.get(TRACEPARENT) if metadata else None
    found = _PARENT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return api.set_span_in_context(api.INVALID_SPAN)
    state = metadata.get(TRACESTATE)
    remote = api.SpanContext(
        trace_id=int(found[1], 16),
        span_id=int(found[2], 16),
        is_remote=True,
        trace_flags=api.TraceFlags(int(found[3], 16)),
        trace_state=api.TraceState.from_header([state])
        if isinstance(state, str)
        else None,
    )
    return api.set_span_in_context(api.NonRecordingSpan(remote))
