"""The plans of finding messages look at bounded parts, whatever the planner thinks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.postgres.sql_scene import LARGE, NOW, SMALL, Scene, open_scene
from tests.postgres_server import Server

PKEY, HISTORY_PKEY = "tq_messages_pkey", "tq_history_pkey"
ATTEMPTS: Final = "tq_attempts_pkey"

EXPECTED: Final[dict[str, set[str]]] = {
    "row_extent": {PKEY, HISTORY_PKEY},
    "live_span_end": {PKEY},
    "finished_span_end": {HISTORY_PKEY},
    "live_span": {PKEY},
    "finished_span": {HISTORY_PKEY},
    "live_named": {"tq_messages_ids"},
    "finished_named": {"tq_history_ids"},
    "metadata_of": {PKEY, HISTORY_PKEY},
    "payloads_of": {PKEY, HISTORY_PKEY},
    "states_of": {PKEY, HISTORY_PKEY},
    "last_errors_of": {ATTEMPTS},
    "attempts_of_rows": {ATTEMPTS},
    "live_by_row": {PKEY},
    "finished_by_row": {HISTORY_PKEY},
    "lock_finished_rows": {HISTORY_PKEY},
    "lock_kept_rows": {HISTORY_PKEY},
    "dead_span_in_queue": {"tq_history_order", "tq_history_dead"},
    "dead_span_in_name": {"tq_history_dead"},
}
WHOLE: Final = {"row_extent"}
"""Each takes one row from an end of the key."""
SORTED: Final = {
    "live_span",
    "finished_span",
    "live_span_end",
    "finished_span_end",
    "dead_span_in_queue",
    "dead_span_in_name",
}
"""They come as their index has them."""

SAMPLES: Final = {
    "after": "1000",
    "last": "3000",
    "newest": str(NOW),
    "skip": "1999",
    "states": "'{0,1,3,5}'",
    "since": "-9223372036854775807",
    "until": "9223372036854775807",
    "queue_ids": "'{1,2}'",
    "dead_name": "NULL",
    "reason": "'failed'",
    "before_at": str(NOW),
    "before_id": str(NOW),
}


@pytest.fixture
def scene(postgres: Server) -> Iterator[Scene]:
    with open_scene(postgres) as scene:
        yield scene


def _problems(scene: Scene, *, generic: bool) -> list[str]:
    """List what is wrong with the plans of all statements."""
    found = []
    for name, expected in EXPECTED.items():
        samples = SAMPLES | ({"scope": "'dead'"} if name.endswith("_name") else {})
        plan = scene.explain(name, generic=generic, samples=samples)
        kinds = plan.kinds()
        used = plan.indexes()
        wrong = []
        if name == "dead_span_in_queue":
            right = used == {"tq_history_order"}
        else:
            right = used == expected
        if not right:
            wrong.append(f"uses {sorted(used)}")
        if any("Seq Scan" in kind or "Bitmap" in kind for kind in kinds):
            wrong.append(f"has {sorted(kinds)}")
        if name in SORTED and any("Sort" in kind for kind in kinds):
            wrong.append("sorts")
        if plan.squares():
            wrong.append("compares each row with each parameter row")
        if plan.whole_keys() and name not in WHOLE:
            wrong.append(f"reads all of {plan.whole_keys()}")
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


def test_plans_made_for_empty_tables_stay_right_as_they_fill(scene: Scene) -> None:
    scene.analyze()
    assert _problems(scene, generic=True) == []
    scene.fill(LARGE)
    assert _problems(scene, generic=True) == []
    scene.forget_plans()
    assert _problems(scene, generic=True) == []
    assert _problems(scene, generic=False) == []


def test_a_part_reads_no_more_rows_than_it_is_long(scene: Scene) -> None:
    scene.fill(LARGE)
    scene.analyze()
    for name, index in (("live_span", PKEY), ("finished_span", HISTORY_PKEY)):
        plan = scene.explain(name, analyze=True, samples=SAMPLES)
        (scan,) = (node for node in plan.nodes() if node.get("Index Name") == index)
        passed = scan["Actual Rows"] + scan.get("Rows Removed by Filter", 0)
        assert passed == 2000
