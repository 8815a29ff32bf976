"""Testing programs that use trioqueue: virtual time, draining, fixtures.

Run tests under Trio's `MockClock` with ``autojump_threshold=0`` (pytest-trio's
``autojump_clock``): stores then use virtual time and run inline, so that a year of
delays and retries passes in milliseconds and ends at exact instants.

`trioqueue.testing.fixtures` has pytest fixtures; name it in ``pytest_plugins``.
"""

from trioqueue.testing.drain import drain as drain
from trioqueue.testing.guard import autojump_guard as autojump_guard
from trioqueue.testing.simulation import SimulatedRun as SimulatedRun
from trioqueue.testing.simulation import Simulation as Simulation
from trioqueue.testing.simulation import simulate as simulate
from trioqueue.testing.virtual import virtual_store as virtual_store
