"""A rule to test schedules with: every so many seconds, and what may be done to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, final

import attrs
import pytest

from tests.helpers import QUEUE, World
from trioqueue import Schedule, Store, ValidationIssue
from trioqueue.schedules import codec
from trioqueue.schedules.when import Occurrence, When
from trioqueue.services import CronProcessorService

MICRO: Final = 1_000_000
REAL_WHEN_OF: Final = codec.when_of


@final
@attrs.frozen
class Every(When):
    """Runs at every multiple of a period since 1970.

    Attributes:
        seconds: The period.
        kind: Which service runs it.
        moved: From a nominal instant, in seconds, to when that one runs instead.
        until: The last instant, in seconds.
        calendar: The stored business calendar it asks for.
        seed: What `bind` put in.
    """

    seconds: float
    kind: str = "cron"  # type: ignore[misc]  # each of them has its own
    moved: tuple[tuple[float, float], ...] = ()
    until: float | None = None
    calendar: str | None = None
    seed: str = ""
    tz = "UTC"

    @property
    def business_calendar_id(self) -> str | None:
        return self.calendar

    def bind(self, schedule_id: str, created: int) -> When:
        return attrs.evolve(self, seed=f"{schedule_id}@{created}")

    def next_occurrence(self, after: int) -> Occurrence | None:
        period = round(self.seconds * MICRO)
        moves = {round(a * MICRO): round(b * MICRO) for a, b in self.moved}
        nominal = (after // period + 1) * period
        while nominal in moves:
            nominal += period
        candidates = [Occurrence(nominal, nominal)]
        candidates += [Occurrence(b, a) for a, b in moves.items() if b > after]
        found = min(candidates)
        if self.until is not None and found.at > self.until * MICRO:
            return None
        return found

    def describe(self) -> str:
        return f"every {self.seconds:g} s"

    def validate(self) -> list[ValidationIssue]:
        if self.seconds > 0:
            return []
        return [
            ValidationIssue("seconds", "must be greater than 0"),
            ValidationIssue("seconds", "looks odd", severity="warning"),
        ]

    def to_document(self) -> dict[str, Any]:
        return attrs.asdict(self)


def fake_when_of(kind: str, document: Mapping[str, Any]) -> When:
    """Read an `Every`; other documents are the real codec's."""
    if "seconds" not in document:
        return REAL_WHEN_OF(kind, document)
    values = dict(document)
    values["moved"] = tuple(tuple(pair) for pair in values["moved"])
    return Every(**values)


@pytest.fixture
def every(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store read what an `Every` wrote."""
    monkeypatch.setattr(codec, "when_of", fake_when_of)


def at(seconds: float) -> datetime:
    """Return an instant, in seconds after the start of virtual time."""
    return datetime.fromtimestamp(946_684_800 + seconds, UTC)


def schedule(seconds: float = 60, **settings: Any) -> Schedule:
    """Make a schedule that runs so often, and posts ``{"n": 1}``."""
    values: dict[str, Any] = {"id": "s", "queue": QUEUE, "payload": {"n": 1}}
    kind = settings.pop("kind", "cron")
    values["when"] = Every(seconds, kind)
    return Schedule(**{**values, **settings})


async def posted(store: Store, queue: str = QUEUE) -> list[str]:
    """List the ids of a queue's live messages, in the order of claims."""
    return [message.message_id for message in await store.peek(queue, limit=10_000)]


async def go_to(world: World, instant: datetime | None, plus: float = 0) -> None:
    """Let time pass until an instant, and some seconds more."""
    assert instant is not None
    span = (instant - world.store.now()).total_seconds() + plus
    await world.advance(max(span, 0))


async def run_cron(store: Store) -> int:
    """Post all that is due on cron schedules; return how many messages."""
    return await CronProcessorService(store).run_once()
