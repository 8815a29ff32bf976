"""What one run of the demo is to do."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING, Any, Final, final

import attrs

from trioqueue.cli.demonstration.files import message_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

QUEUE: Final = "files"
MOST_SLOTS: Final = 40
"""How many jobs each worker runs at once, if there are files enough."""
ROUNDS: Final = 8
"""How often each of these slots has work at least, where files are few."""
SHORTEST_SECONDS: Final = 1.5
"""How long the work takes at least: a worker must die while there is some."""
FAST: Final = 2000.0
"""How many messages per second may be done without any pause."""
PAUSES: Final = (0.005, 1.0)
"""The shortest pause of a handler and the longest, in seconds."""


@final
@attrs.frozen
class Plan:
    """What one run of the demo is to do.

    Attributes:
        root: Where the files are.
        posts: The payload of each message, by message id.
        workers: How many worker processes.
        directory: Where the database, the ledgers and the logs go.
        metrics: Where the coordinator serves its metrics; None: nowhere.
    """

    root: Path
    posts: Mapping[str, dict[str, Any]]
    workers: int
    directory: Path
    metrics: str | None = None

    @classmethod
    def of(
        cls,
        root: Path,
        files: list[dict[str, Any]],
        workers: int,
        directory: Path,
        metrics: str | None = None,
    ) -> Plan:
        """Plan a run over some files."""
        posts = {message_id_of(file["path"], root): file for file in files}
        return cls(root, posts, workers, directory, metrics)

    @property
    def url(self) -> str:
        """The database's address."""
        path = urllib.parse.quote(str(self.directory / "demo.db"), safe="/:\\")
        return f"sqlite:///{path}"

    @property
    def metrics_of_workers(self) -> str | None:
        """Where each worker serves its own metrics: at any port that is free."""
        if self.metrics is None:
            return None
        return f"{self.metrics.rpartition(':')[0] or '127.0.0.1'}:0"

    @property
    def slots(self) -> int:
        """How many jobs each worker runs at once."""
        enough = len(self.posts) // (self.workers * ROUNDS)
        return max(1, min(MOST_SLOTS, enough))

    @property
    def pause_seconds(self) -> float:
        """How long a handler sleeps on average, so that jobs are really in flight."""
        count = len(self.posts)
        spare = SHORTEST_SECONDS - count / FAST
        shortest, longest = PAUSES
        return min(max(shortest, spare * self.slots * self.workers / count), longest)
