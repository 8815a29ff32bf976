"""Counting, without a store: what is bounded, copied and added up."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import attrs
from prometheus_client import CollectorRegistry, generate_latest

from trioqueue import WallClock
from trioqueue.metrics import Metrics
from trioqueue.metrics import catalogue as names
from trioqueue.metrics.meters import Meters
from trioqueue.metrics.sample import QueueSample, Sample
from trioqueue.store.operations.core import Effects

STATES: Final = dict.fromkeys(range(6), 7)


@attrs.frozen
class Quiet:
    """As much of a store as is asked."""

    meters: Meters
    url: str = "sqlite:////nowhere/jobs.db"
    clock: WallClock = attrs.field(factory=WallClock)


def metrics(meters: Meters, registry: CollectorRegistry | None = None) -> Metrics:
    store: Any = Quiet(meters)
    return Metrics(store, registry=registry)


def busy_effects(queues: int) -> Effects:
    """All that happens in queues where everything happens."""
    effects = Effects()
    for place in range(queues):
        queue = f"queue-{place}"
        for name in names.CATALOGUE.values():
            if name.labels[:1] != ("queue",) or name.source != "counted":
                continue
            if name.kind == "histogram":
                effects.observe(name.name, [100, 10_000_000], queue)
            elif len(name.labels) == 1:
                effects.count(name.name, queue)
            else:
                for label in ("one", "two", "three"):
                    effects.count(name.name, queue, label)
    return effects


def test_values_fall_into_the_bucket_whose_bound_they_do_not_exceed() -> None:
    effects = Effects()
    bounds = names.CATALOGUE[names.WAITS].bounds
    values = [0, round(bounds[0] * 1e6), round(bounds[0] * 1e6) + 1, 10**12]
    effects.observe(names.WAITS, values, "q")
    meters = Meters()
    meters.fold(effects)
    buckets = meters.snapshot().histograms[names.WAITS, "q", ""]
    assert buckets[0] == 2
    assert buckets[1] == 1
    assert buckets[-2] == 1
    assert buckets[-1] == sum(values)
    assert len(buckets) == len(bounds) + 2


def test_what_was_folded_in_once_does_not_count_twice() -> None:
    effects = Effects()
    effects.count(names.POSTED, "q", n=3)
    effects.observe(names.WAITS, [1], "q")
    meters = Meters()
    meters.fold(effects)
    before = meters.snapshot()
    meters.fold(effects)
    assert meters.snapshot() == before
    assert before.counts == {(names.POSTED, "q", ""): 3}


def test_effects_of_several_operations_are_added_up() -> None:
    one, two, both = Effects(), Effects(), Effects()
    one.count(names.POSTED, "q")
    one.observe(names.WAITS, [1], "q")
    two.count(names.POSTED, "q", n=2)
    two.count(names.ATTEMPTS, "q", "failed")
    two.observe(names.WAITS, [2], "q")
    both.merge(one)
    both.merge(two)
    assert both.counts == {
        (names.POSTED, "q", ""): 3,
        (names.ATTEMPTS, "q", "failed"): 1,
    }
    assert both.observed == [
        ((names.WAITS, "q", ""), [1]),
        ((names.WAITS, "q", ""), [2]),
    ]


def test_what_came_before_a_queue_was_deleted_is_forgotten_what_came_after_not() -> (
    None
):
    before, deleted, after, all_three = Effects(), Effects(), Effects(), Effects()
    before.count(names.POSTED, "q", n=5)
    before.count(names.POSTED, "other")
    before.observe(names.WAITS, [1], "q")
    deleted.delete_queue("q")
    after.count(names.POSTED, "q")
    for effects in (before, deleted, after):
        all_three.merge(effects)
    meters = Meters()
    earlier = Effects()
    earlier.count(names.POSTED, "q", n=100)
    meters.fold(earlier)
    meters.fold(all_three)
    found = meters.snapshot()
    assert found.counts == {(names.POSTED, "q", ""): 1, (names.POSTED, "other", ""): 1}
    assert not found.histograms


def test_a_queue_beyond_the_limit_gets_series_once_another_is_gone() -> None:
    meters = Meters()
    effects = Effects()
    for place in range(names.QUEUES_SHOWN + 2):
        effects.count(names.POSTED, f"q{place}")
    meters.fold(effects)
    other = (names.POSTED, names.OTHER_QUEUES, "")
    assert meters.snapshot().counts[other] == 2
    assert len(meters.queues) == names.QUEUES_SHOWN
    meters.forget(["q0", names.OTHER_QUEUES, ""])
    late = Effects()
    late.count(names.POSTED, "late")
    late.count(names.POSTED, "later")
    meters.fold(late)
    counts = meters.snapshot().counts
    assert counts[names.POSTED, "late", ""] == 1
    assert counts[other] == 3
    assert (names.POSTED, "q0", "") not in counts


def test_another_thread_may_render_while_counting_goes_on() -> None:
    meters = Meters()
    registry = CollectorRegistry()
    metrics(meters, registry)
    over = threading.Event()
    errors: list[Exception] = []
    texts: list[bytes] = []

    def render() -> None:
        try:
            while not over.is_set():
                texts.append(generate_latest(registry))
        except Exception as error:  # noqa: BLE001  it is looked at below
            errors.append(error)

    thread = threading.Thread(target=render)
    thread.start()
    try:
        for turn in range(150):
            meters.fold(busy_effects(turn % 30))
            meters.forget([f"queue-{turn % 7}"])
            seen = QueueSample(STATES, None, paused=True)
            queues = {f"queue-{place}": seen for place in range(turn)}
            meters.see(Sample(1, queues, {}, None), ())
        while len(texts) < 3 and thread.is_alive():
            time.sleep(0.001)
    finally:
        over.set()
        thread.join()
    assert not errors
    assert len(texts) >= 3
    final = generate_latest(registry)
    assert final == generate_latest(registry)


def test_two_hundred_queues_are_rendered_quickly() -> None:
    meters = Meters()
    meters.fold(busy_effects(200))
    seen = QueueSample(STATES, 1, paused=False)
    queues = {f"queue-{place}": seen for place in range(200)}
    meters.see(Sample(1, queues, {}, None), ())
    registry = CollectorRegistry()
    metrics(meters, registry)
    took = []
    for _ in range(5):
        began = time.process_time()
        text = generate_latest(registry)
        took.append(time.process_time() - began)
    assert text.count(b"\n") > 10_000
    # A fifteenth of that; but a busy machine takes longer.
    assert min(took) < 1
