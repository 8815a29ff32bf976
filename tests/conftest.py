from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers import WORLDS, World

pytest_plugins = ["trioqueue.testing.fixtures"]

# Every run tries the same examples; `--hypothesis-profile=explore` looks for new ones.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile("repeat", derandomize=True, database=None, **_COMMON)
settings.register_profile("explore", max_examples=1000, **_COMMON)
settings.load_profile("repeat")


@pytest.fixture(params=WORLDS, ids=lambda place: place.name)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A fresh database in each of the worlds; `contract` opens the store on it."""
    return World(request.param, tmp_path)
