"""Which of a schedule's due occurrences run, and what comes after them.

An occurrence is *missed* when it is more than `ON_TIME_SECONDS` late; what becomes of
missed ones is the policy's business.  The others that are due run each by itself under
every policy, so that a service that is a little late, or dies and is replaced, loses
nothing of a schedule that runs every second.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from trioqueue.model.schedule import Misfire, RunKind
    from trioqueue.schedules.when import Occurrence

ON_TIME_SECONDS: Final = 60
ON_TIME_MICROS: Final = ON_TIME_SECONDS * 1_000_000
MAX_COUNTED: Final = 10_000
"""So many missed occurrences are counted one by one; `merged` is at most that."""
MAX_RUNS: Final = 1000
"""So many runs are posted at once; what is left is due the moment after."""


class Rule(Protocol):
    """What is asked of a `trioqueue.schedules.when.When`."""

    def next_occurrence(self, after: int) -> Occurrence | None:
        """Return the first occurrence strictly after an instant."""
        ...

    def last_occurrence(self, after: int, until: int) -> Occurrence | None:
        """Return the latest occurrence after `after` and not after `until`."""
        ...


class Run(NamedTuple):
    """One message to post."""

    occurrence: Occurrence
    kind: RunKind
    merged: int = 0


class Runs(NamedTuple):
    """What is to be posted now, and how far that goes."""

    runs: list[Run]
    dealt_with: int
    """Up to this instant every occurrence has run or will not."""
    spare: Run | None = None
    """What stands for all if the one run has run before: an edit had moved it."""


def choose_runs(
    rule: Rule,
    first: Occurrence,
    now: int,
    misfire: Misfire,
    *,
    most: int | None = None,
    end_at: int | None = None,
) -> Runs:
    """Choose the runs of a schedule whose next occurrence is due.

    Args:
        rule: When it runs.
        first: The next occurrence; it is not after `now`.
        now: The present instant.
        misfire: The policy for missed occurrences.
        most: How many messages the schedule may still post.
        end_at: The last instant at which it may run.
    """
    horizon = now if end_at is None else min(now, end_at)
    if first.at > horizon:
        return Runs([], first.at)
    if first.at >= now - ON_TIME_MICROS:
        return _on_time(rule, first, horizon, most)
    if misfire.kind == "coalesce":
        return _coalesce(rule, first, horizon)
    if misfire.kind == "skip":
        return _skip(rule, now, horizon, most)
    return _all(rule, first, horizon, now, misfire.max_catchup, most)


def _on_time(
    rule: Rule, first: Occurrence | None, horizon: int, most: int | None
) -> Runs:
    limit = MAX_RUNS if most is None else min(most, MAX_RUNS)
    runs: list[Run] = []
    at = horizon
    while first is not None and first.at <= horizon and len(runs) < limit:
        runs.append(Run(first, "on_time"))
        at = first.at
        first = rule.next_occurrence(at)
    return Runs(runs, at)


def _coalesce(rule: Rule, first: Occurrence, horizon: int) -> Runs:
    before, latest, merged = first, first, 0
    step = rule.next_occurrence(first.at)
    while step is not None and step.at <= horizon:
        before, latest = latest, step
        merged += 1
        if merged == MAX_COUNTED:
            if last := rule.last_occurrence(step.at, horizon):
                before, latest = step, last
            break
        step = rule.next_occurrence(step.at)
    spare = Run(before, "catch_up", merged - 1) if merged else None
    return Runs([Run(latest, "catch_up", merged)], latest.at, spare)


def _skip(rule: Rule, now: int, horizon: int, most: int | None) -> Runs:
    missed_until = min(horizon, now - ON_TIME_MICROS - 1)
    on_time = _on_time(rule, rule.next_occurrence(missed_until), horizon, most)
    return Runs(on_time.runs, max(on_time.dealt_with, missed_until))


def _all(  # noqa: PLR0917  facts of one schedule, and the time
    rule: Rule,
    first: Occurrence,
    horizon: int,
    now: int,
    max_catchup: int,
    most: int | None,
) -> Runs:
    latest, dropped = _latest(rule, first, horizon, max_catchup)
    runs = []
    for occurrence in latest:
        missed = occurrence.at < now - ON_TIME_MICROS
        runs.append(Run(occurrence, "catch_up" if missed or dropped else "on_time"))
    runs[0] = runs[0]._replace(merged=dropped)
    if most is not None:
        del runs[most:]
    return Runs(runs, runs[-1].occurrence.at)


def _latest(
    rule: Rule, first: Occurrence, horizon: int, count: int
) -> tuple[list[Occurrence], int]:
    """Return the latest so many due occurrences, and how many came before them."""
    kept: deque[Occurrence] = deque(maxlen=count)
    seen = 0
    step: Occurrence | None = first
    while step is not None and step.at <= horizon:
        kept.append(step)
        seen += 1
        if seen == MAX_COUNTED + count:
            return _last_few(rule, step, horizon, kept), MAX_COUNTED
        step = rule.next_occurrence(step.at)
    return list(kept), seen - len(kept)


def _last_few(
    rule: Rule, reached: Occurrence, horizon: int, kept: deque[Occurrence]
) -> list[Occurrence]:
    """Return the last due occurrences without going through all before them.

    They are looked for in a window that ends at the horizon and grows until it holds
    enough; `kept` are the last ones up to `reached`.
    """
    window = max(1, reached.at - kept[0].at)
    while horizon - window > reached.at:
        found: deque[Occurrence] = deque(maxlen=kept.maxlen)
        step = rule.next_occurrence(horizon - window)
        while step is not None and step.at <= horizon:
            found.append(step)
            step = rule.next_occurrence(step.at)
        if len(found) == kept.maxlen:
            return list(found)
        window *= 2
    step = rule.next_occurrence(reached.at)
    while step is not None and step.at <= horizon:
        kept.append(step)
        step = rule.next_occurrence(step.at)
    return list(kept)
