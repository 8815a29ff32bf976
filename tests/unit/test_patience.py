"""Waiting for a lock: how long, how often, and when to give up."""

from __future__ import annotations

import pytest

from trioqueue.store.sqlite.patience import retry_pause, try_until


def test_what_succeeds_at_once_waits_for_nothing() -> None:
    pauses: list[float] = []
    assert try_until(lambda: True, patience=0, pause=pauses.append)
    assert not pauses


def test_pauses_are_short_and_jittered_and_grow_once() -> None:
    first = {retry_pause(0) for _ in range(100)}
    later = {retry_pause(1) for _ in range(100)}
    assert len(first) > 90
    assert 0.0005 <= min(first) <= max(first) <= 0.0015
    assert 0.002 <= min(later) <= max(later) <= 0.006


def test_patience_ends_after_the_pauses_add_up_to_it() -> None:
    pauses: list[float] = []
    assert not try_until(lambda: False, patience=0.05, pause=pauses.append)
    assert sum(pauses[:-1]) <= 0.05 < sum(pauses)


def test_what_a_pause_raises_ends_the_waiting() -> None:
    def pause(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        try_until(lambda: False, patience=1, pause=pause)
