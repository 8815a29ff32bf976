"""The plans of what runs all the time are the right ones, whatever the planner thinks.

A generic plan is made once and kept; here also one made when the tables were empty and
kept while they fill, which is what a session does that opens a new store.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.postgres.sql_scene import LARGE, MILLION, SMALL, Scene, open_scene
from tests.postgres_server import Server

READY, DUE = "tq_messages_ready", "tq_messages_due"
LEASED, IDS, PKEY = "tq_messages_leased", "tq_messages_ids", "tq_messages_pkey"
ORDER, DEAD, RELEASE = "tq_history_order", "tq_history_dead", "tq_history_release"
HISTORY_IDS, HISTORY_PKEY = "tq_history_ids", "tq_history_pkey"
RECEIPTS, ATTEMPTS = "tq_receipts_pkey", "tq_attempts_pkey"

# For each statement, the indexes that it uses, and no others; the few queues are read
# in any way.
EXPECTED: Final[dict[str, set[str]]] = {
    "ready_messages": {READY},
    "claim_messages": {PKEY},
    "held_messages": {PKEY},
    "held_and_free": {PKEY},
    "renew_leases": {PKEY},
    "make_ready": {PKEY},
    "make_invisible": {PKEY},
    "delete_messages": {PKEY},
    "promote_messages": {PKEY},
    "copy_to_history": {PKEY},
    "request_abort": {PKEY},
    "live_by_message_id": {IDS},
    "lock_live": {IDS},
    "is_live": {IDS},
    "due_messages": {DUE},
    "next_due": {DUE},
    "expired_messages": {LEASED},
    "next_expiry": {LEASED},
    "peek_pending": {READY},
    "count_ahead": {READY},
    "beat_worker": {"tq_workers_pkey"},
    "peek_running": {LEASED},
    "peek_invisible": {DUE},
    "queues_with_ready": {READY},
    "queue_instants": {READY, DUE, LEASED},
    "count_states": {READY, DUE, LEASED, ORDER},
    "position_of": {IDS, HISTORY_IDS},
    "finished_by_message_id": {HISTORY_IDS},
    "lock_finished": {HISTORY_IDS},
    "peek_finished": {ORDER},
    "delete_history": {HISTORY_PKEY},
    "released_history": {RELEASE},
    "next_release": {RELEASE},
    "dead_letters_in_queue": {ORDER},
    "dead_letters_in_name": {DEAD},
    "oldest_dead_letters_in_queue": {ORDER},
    "oldest_dead_letters_in_name": {DEAD},
    "dead_letter_name_known": {DEAD},
    "receipts": {RECEIPTS},
    "prune_receipts": {RECEIPTS},
    "trim_attempts": {ATTEMPTS},
    "attempts_of": {ATTEMPTS},
    "delete_attempts": {ATTEMPTS},
    "queues_by_name": {"tq_queues_name_key"},
    "queues_by_id": {"tq_queues_pkey"},
    "schedules_by_id": {"tq_schedules_schedule_id_key"},
    "lock_schedules": {"tq_schedules_schedule_id_key"},
    "next_schedule": {"tq_schedules_due"},
    "due_schedules": {"tq_schedules_due"},
    "schedule_versions": {"tq_schedules_pkey"},
    "advance_schedules": {"tq_schedules_pkey"},
    "schedules_of_calendar": {"tq_schedules_calendar"},
    "known_runs": {"tq_schedule_runs_ids"},
    "schedule_run_position": {"tq_schedule_runs_ids"},
    "schedule_history": {"tq_schedule_runs_order"},
}
QUEUES: Final = {"queues_by_name", "queues_by_id"}
# Ordered by an index, so that a limit reads no more than it gives.
UNSORTED: Final = {
    "due_schedules",
    "schedule_history",
    "peek_pending",
    "count_ahead",
    "peek_finished",
    "released_history",
    "dead_letters_in_queue",
    "dead_letters_in_name",
    "oldest_dead_letters_in_queue",
    "oldest_dead_letters_in_name",
}


@pytest.fixture
def scene(postgres: Server) -> Iterator[Scene]:
    with open_scene(postgres) as scene:
        yield scene


def _problems(scene: Scene, *, generic: bool) -> list[str]:
    """List what is wrong with the plans of all statements."""
    found = []
    for name, expected in EXPECTED.items():
        samples = {"scope": "'dead'"} if name.endswith("_in_name") else None
        plan = scene.explain(name, generic=generic, samples=samples)
        used = plan.indexes()
        if name not in QUEUES:
            used = {index for index in used if not index.startswith("tq_queues_")}
        kinds = plan.kinds()
        wrong = []
        if used != expected:
            wrong.append(f"uses {sorted(used)}")
        if any("Seq Scan" in kind or "Bitmap" in kind for kind in kinds):
            wrong.append(f"has {sorted(kinds)}")
        if name in UNSORTED and any("Sort" in kind for kind in kinds):
            wrong.append("sorts")
        if plan.squares():
            wrong.append("compares each row with each parameter row")
        whole = [w for w in plan.whole_keys() if not w.startswith("tq_queues_")]
        if whole and name != "prune_receipts":  # which stops at its limit
            wrong.append(f"reads all of {whole}")
        if wrong:
            found.append(f"{name}: {', '.join(wrong)}")
    return found


@pytest.mark.parametrize("generic", [True, False], ids=["generic", "custom"])
@pytest.mark.parametrize("rows", [0, SMALL, LARGE])
def test_plans_are_right_with_statistics(
    scene: Scene, rows: int, generic: bool
) -> None:
    scene.fill(rows)
    scene.analyze()
    assert _problems(scene, generic=generic) == []


def test_a_plan_made_for_empty_tables_stays_right_as_they_fill(scene: Scene) -> None:
    scene.analyze()
    assert _problems(scene, generic=True) == []
    scene.fill(LARGE)
    # The plans are those from before: nothing has made the server think again.
    assert _problems(scene, generic=True) == []
    scene.forget_plans()
    # Made anew they believe the statistics, which still say that nothing is there.
    assert _problems(scene, generic=True) == []
    assert _problems(scene, generic=False) == []


def test_plans_are_right_before_statistics_were_ever_gathered(scene: Scene) -> None:
    assert _problems(scene, generic=True) == []
    scene.fill(LARGE)
    assert _problems(scene, generic=True) == []
    assert _problems(scene, generic=False) == []


def test_plans_are_right_after_a_drain(scene: Scene) -> None:
    scene.fill(SMALL)
    scene.connection.execute("DELETE FROM tq_messages WHERE id < 1990")
    scene.analyze()
    assert _problems(scene, generic=True) == []
    scene.fill_messages(SMALL + 1, SMALL + LARGE)
    scene.forget_plans()
    assert _problems(scene, generic=True) == []
    assert _problems(scene, generic=False) == []


def test_plans_are_right_with_a_million_messages(scene: Scene) -> None:
    scene.fill(SMALL)
    scene.fill_messages(SMALL + 1, MILLION)
    scene.analyze()
    assert _problems(scene, generic=True) == []
    assert _problems(scene, generic=False) == []


@pytest.mark.parametrize("rows", [0, SMALL, LARGE])
def test_a_claim_reads_no_more_than_it_locks(scene: Scene, rows: int) -> None:
    scene.fill(rows)
    scene.analyze()
    plan = scene.explain("ready_messages", analyze=True)
    read = sum(
        node["Actual Rows"] * node["Actual Loops"]
        for node in plan.nodes()
        if node.get("Index Name") == READY
    )
    assert read == min(rows, 100), plan


def test_a_band_in_which_nothing_is_wanted_is_not_even_looked_at(scene: Scene) -> None:
    scene.fill(SMALL)
    plan = scene.explain("ready_messages", analyze=True)
    loops = [n["Actual Loops"] for n in plan.nodes() if n.get("Index Name") == READY]
    # The highest priority has a hundred; the other four are never begun.
    assert sorted(loops) == [0, 0, 0, 0, 1]
