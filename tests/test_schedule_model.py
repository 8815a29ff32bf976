"""Schedules against a small model, step by step, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.scheduling import MICRO, Every, fake_when_of, run_cron, schedule
from tests.stepping import VirtualRun
from trioqueue import (
    IllegalStateError,
    Misfire,
    Schedule,
    ScheduleExistsError,
    ScheduleNotFoundError,
    ScheduleRun,
    ScheduleState,
    Store,
    ValidationError,
)
from trioqueue.model.spans import instant_to_micros
from trioqueue.policies.misfire import MAX_COUNTED
from trioqueue.schedules import codec

QUEUE = "jobs"
NAMES = ("a", "b", "c")
LATE = 60 * MICRO
ACTIVE, PAUSED, OVER = (
    ScheduleState.SCHEDULED,
    ScheduleState.PAUSED,
    ScheduleState.COMPLETED,
)


@attrs.define
class Entry:
    """What the model knows of one schedule; all is worked out occurrence by one."""

    settings: dict[str, Any]
    cursor: int
    state: ScheduleState = ACTIVE
    revision: int = 1
    ran: list[tuple[int, str, int]] = attrs.Factory(list)
    manual: int = 0

    @property
    def end(self) -> int | None:
        end = self.settings["end_at"]
        return None if end is None else instant_to_micros(end, "end_at")

    def following(self, after: int) -> int | None:
        start = self.settings["start_at"]
        if start is not None:
            after = max(after, instant_to_micros(start, "start_at") - 1)
        found = self.settings["when"].next_occurrence(after)
        assert found is not None
        end = self.end
        return None if end is not None and found.at > end else int(found.at)

    @property
    def next(self) -> int | None:
        return None if self.state is OVER else self.following(self.cursor)

    def finish_if_over(self) -> None:
        most = self.settings["max_messages"]
        enough = most is not None and len(self.ran) >= most
        if enough or (self.state is ACTIVE and self.following(self.cursor) is None):
            self.state = OVER

    def fire(self, now: int) -> None:
        """Run what is due at an instant."""
        due: list[int] = []
        step = self.following(self.cursor)
        while step is not None and step <= now:
            due.append(step)
            step = self.following(step)
        if self.state is not ACTIVE or not due:
            return
        misfire: Misfire = self.settings["misfire"]
        missed = [each for each in due if each < now - LATE]
        runs = [(each, "on_time", 0) for each in due]
        if missed and misfire.kind == "coalesce":
            runs = [(due[-1], "catch_up", min(len(due) - 1, MAX_COUNTED))]
        elif missed and misfire.kind == "skip":
            runs = runs[len(missed) :]
        elif missed:
            kept = due[-misfire.max_catchup :]
            dropped = len(due) - len(kept)
            late = len(due) if dropped else len(missed)
            runs = [
                (each, "catch_up" if place + dropped < late else "on_time", 0)
                for place, each in enumerate(kept)
            ]
            runs[0] = (*runs[0][:2], min(dropped, MAX_COUNTED))
        most = self.settings["max_messages"]
        if most is not None:
            runs = runs[: most - len(self.ran)]
        self.ran += runs
        self.cursor = due[-1]
        self.finish_if_over()


CHOICES: dict[str, Any] = {
    "period": st.sampled_from([10, 45, 60, 3600, 86_400]),
    "misfire": st.sampled_from(
        [Misfire.coalesce(), Misfire.skip(), Misfire.all(), Misfire.all(2)]
    ),
    "most": st.sampled_from([None, None, None, 3, 10]),
    "start": st.sampled_from([None, None, 700, 50_000]),
    "end": st.sampled_from([None, None, 500, 100_000]),
    "payload": st.sampled_from([1, 2]),
}
RULE = ("when", "start_at", "end_at")
SETTINGS = st.fixed_dictionaries(CHOICES)
NAME = st.sampled_from(NAMES)


async def look(store: Store) -> list[tuple[Schedule, list[ScheduleRun]]]:
    """Return all schedules and all that they ran, in one call."""
    return [
        (each, await store.schedule_history(each.id, limit=10_000))
        for each in await store.list_schedules()
    ]


class ScheduleMachine(RuleBasedStateMachine):
    """Schedules created, changed, stopped and run in any order, time passing."""

    urls: ClassVar[Iterator[str]]

    def __init__(self) -> None:
        super().__init__()
        self.real_when_of = codec.when_of
        codec.when_of = fake_when_of
        self.run = VirtualRun(next(self.urls))
        self.store = self.run.store
        self.run.call(self.store.create_queue, QUEUE)
        self.entries: dict[str, Entry] = {}

    def teardown(self) -> None:
        self.run.close()
        codec.when_of = self.real_when_of

    @property
    def now(self) -> int:
        return self.store.clock.now_us()

    def asked(self, **drawn: Any) -> dict[str, Any]:
        base = self.store.now()
        base -= timedelta(seconds=base.timestamp() % 500)
        start, end = (
            None if drawn[name] is None else base + timedelta(seconds=drawn[name])
            for name in ("start", "end")
        )
        if start is not None and end is not None and end < start:
            end = start
        return {
            "when": Every(drawn["period"]),
            "misfire": drawn["misfire"],
            "max_messages": drawn["most"],
            "start_at": start,
            "end_at": end,
            "payload": drawn["payload"],
        }

    def never(self, settings: dict[str, Any]) -> bool:
        return Entry(settings, self.now).following(self.now) is None

    @rule(name=NAME, drawn=SETTINGS)
    def create(self, name: str, drawn: dict[str, Any]) -> None:
        asked = self.asked(**drawn)
        entry = self.entries.get(name)
        try:
            self.run.call(self.store.create_schedule, schedule(id=name, **asked))
        except ScheduleExistsError:
            assert entry is not None
            assert entry.settings != asked
        except ValidationError:
            assert entry is None
            assert self.never(asked)
        else:
            assert entry is None or entry.settings == asked
            self.entries.setdefault(name, Entry(asked, self.now))

    @rule(name=NAME, drawn=SETTINGS)
    def update(self, name: str, drawn: dict[str, Any]) -> None:
        asked = self.asked(**drawn)
        self.change(name, asked)

    @rule(name=NAME, payload=CHOICES["payload"], misfire=CHOICES["misfire"])
    def touch(self, name: str, payload: int, misfire: Misfire) -> None:
        entry = self.entries.get(name)
        if entry is not None:
            changed = {"payload": payload, "misfire": misfire}
            self.change(name, {**entry.settings, **changed})

    def change(self, name: str, asked: dict[str, Any]) -> None:
        entry = self.entries.get(name)
        try:
            self.run.call(self.store.update_schedule, schedule(id=name, **asked))
        except ScheduleNotFoundError:
            assert entry is None
            return
        except ValidationError:
            assert entry is not None
            assert self.never(asked)
            assert not self.same_rule(entry, asked)
            assert not self.stays_due(entry, asked)
            return
        assert entry is not None
        same, due = self.same_rule(entry, asked), self.stays_due(entry, asked)
        assert same or due or not self.never(asked)
        if due:
            assert entry.next is not None
            entry.cursor = entry.next - 1
        elif not same or entry.next is None:
            entry.cursor = max(entry.cursor, self.now)
        entry.settings = asked
        entry.revision += 1
        entry.state = PAUSED if entry.state is PAUSED else ACTIVE
        entry.finish_if_over()

    @staticmethod
    def same_rule(entry: Entry, asked: dict[str, Any]) -> bool:
        return all(entry.settings[key] == asked[key] for key in RULE)

    def stays_due(self, entry: Entry, asked: dict[str, Any]) -> bool:
        at = entry.next
        if at is None or at > self.now or entry.settings["when"] != asked["when"]:
            return False
        # From the instant before it, the new start and end allow it.
        return Entry(asked, at - 1).next == at

    @rule(name=NAME, start=CHOICES["start"], end=CHOICES["end"])
    def move(self, name: str, start: int | None, end: int | None) -> None:
        """Keep the rule, and change where it starts and ends."""
        entry = self.entries.get(name)
        if entry is not None:
            period = int(entry.settings["when"].seconds)
            drawn = {"period": period, "misfire": entry.settings["misfire"]}
            kept = {"most": None, "payload": 1, "start": start, "end": end}
            self.change(name, self.asked(**drawn, **kept))

    @rule(name=NAME)
    def pause(self, name: str) -> None:
        self.stop_or_go(name, self.store.pause_schedule, PAUSED)

    @rule(name=NAME)
    def resume(self, name: str) -> None:
        self.stop_or_go(name, self.store.resume_schedule, ACTIVE)

    def stop_or_go(self, name: str, call: Any, state: ScheduleState) -> None:
        entry = self.entries.get(name)
        try:
            self.run.call(call, name)
        except ScheduleNotFoundError:
            assert entry is None
        except IllegalStateError:
            assert entry is not None
            assert entry.state is OVER
        else:
            assert entry is not None
            assert entry.state is not OVER
            entry.state = state
            entry.finish_if_over()

    @rule(name=NAME)
    def trigger(self, name: str) -> None:
        if name in self.entries:
            self.run.call(self.store.trigger_schedule, name)
            self.entries[name].manual += 1

    @rule(name=NAME)
    def delete(self, name: str) -> None:
        entry = self.entries.pop(name, None)
        if entry is not None:
            self.run.call(self.store.delete_schedule, name)

    @rule(seconds=st.sampled_from([0.5, 1, 9, 50, 61, 600, 3600, 90_000]))
    def pass_time(self, seconds: float) -> None:
        self.run.clock.jump(seconds)

    @rule()
    def fire(self) -> None:
        count = self.run.call(run_cron, self.store)
        before = sum(len(entry.ran) for entry in self.entries.values())
        for entry in self.entries.values():
            entry.fire(self.now)
        after = sum(len(entry.ran) for entry in self.entries.values())
        assert count == after - before
        assert self.run.call(run_cron, self.store) == 0

    @invariant()
    def the_store_agrees(self) -> None:
        listed = self.run.call(look, self.store)
        assert [each.id for each, _ in listed] == sorted(self.entries)
        for stored, history in listed:
            entry = self.entries[stored.id]
            assert stored.state is entry.state
            assert stored.revision == entry.revision
            assert stored.run_count == len(entry.ran)
            active = entry.state is ACTIVE
            shown = stored.next_run and instant_to_micros(stored.next_run, "")
            assert shown == (entry.next if active else None)
            runs = [
                (instant_to_micros(run.occurrence, ""), run.kind, run.merged)
                for run in reversed(history)
            ]
            assert [run for run in runs if run[1] != "manual"] == entry.ran
            assert len(runs) - len(entry.ran) == entry.manual
            instants = [run[0] for run in entry.ran]
            assert instants == sorted(set(instants))  # each at most once


def test_schedules_do_what_the_model_does(
    afresh: Callable[[], str], request: pytest.FixtureRequest
) -> None:
    class Machine(ScheduleMachine):
        urls = iter(afresh, "")

    # What the database itself could do wrong shows in few of them.
    examples = 15 if "postgres" in request.node.name else 100
    asked = settings(max_examples=examples, stateful_step_count=50)
    run_state_machine_as_test(Machine, settings=asked)
