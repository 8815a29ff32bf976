from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.helpers import Cli


@pytest.fixture
def tq(tmp_path: Path) -> Cli:
    """The command, on a database that does not exist yet."""
    return Cli(tmp_path)


@pytest.fixture
def emails(tq: Cli) -> Cli:
    """The command, on a database with a queue `emails`."""
    tq("queue", "create", "emails")
    return tq
