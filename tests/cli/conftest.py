from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.helpers import Cli


@pytest.fixture
def tq(request: pytest.FixtureRequest, tmp_path: Path) -> Cli:
    """The command, on a file that does not exist yet; `on_both`: or an empty schema."""
    if getattr(request, "param", "file") == "file":
        return Cli(tmp_path)
    urls: Callable[[], str] = request.getfixturevalue("postgres_urls")
    return Cli(tmp_path, urls())


@pytest.fixture
def emails(tq: Cli) -> Cli:
    """The command, on a database with a queue `emails`."""
    tq("queue", "create", "emails")
    return tq
