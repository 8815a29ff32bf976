"""``trioqueue top``: queues, workers and schedules, live."""

from __future__ import annotations

import logging
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

import click

from trioqueue.cli import parameters
from trioqueue.cli.failures import INTERRUPTED
from trioqueue.cli.output import on_terminal, terminal_width
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    import trio

    from trioqueue.cli.documents import Document
    from trioqueue.cli.screen import Screen
    from trioqueue.model import Overview
    from trioqueue.store import Store

TERMINATED: Final = 143
RUNS: Final = 10
"""So many next runs of schedules are looked for."""
AT_MOST: Final = 0.2
"""The share of time that it may spend looking, however large the database is."""
WIDEST: Final = 160


@click.command()
@click.option(
    "--interval",
    type=parameters.duration,
    default="1s",
    show_default=True,
    metavar="SPAN",
    help="How often to look.",
)
@click.option("--once", is_flag=True, help="Print it once, and end.")
@common_options
@with_session
def top(session: Session, /, *, interval: float, once: bool) -> None:
    """Watch queues, workers and the next runs of schedules, live.

    q ends it (exit code 0), Ctrl-C too (130); the terminal is then as it was.  Where
    standard output is no terminal, or another format than a table is asked for, it
    prints everything once.

    NET/S is how much faster messages come than they finish; DONE/S, for queues that
    keep finished messages for a while, how many finish.

    \b
    Examples:
      trioqueue top --interval 5s
      trioqueue top --once -o json
    """  # noqa: D301  \b tells click not to wrap a paragraph
    if not 0.05 <= interval <= 3600:
        raise click.BadParameter("must be from 50ms to 1h", param_hint="'--interval'")
    if once or session.output.form != "table" or not _can_draw():
        _print_once(session)
        return
    code = session.run(partial(watch, interval_seconds=interval))
    click.get_current_context().exit(code)


def _can_draw() -> bool:
    return on_terminal() and os.environ.get("TERM", "dumb") != "dumb"


def _print_once(session: Session) -> None:
    from trioqueue.cli.top_view import screen

    async def work(store: Store) -> Overview:
        return await store.overview(runs=RUNS)

    found = session.run(work)
    width = terminal_width() or WIDEST
    session.output.item(
        overview_document(found), lambda: screen(found, {}, width=width)
    )


def overview_document(found: Overview) -> Document:
    """Describe everything; workers have a `status` in a word."""
    from trioqueue.cli.documents import record
    from trioqueue.cli.workers import worker_document

    document = record(found)
    document["workers"] = [worker_document(worker) for worker in found.workers]
    return document


async def watch(store: Store, *, interval_seconds: float) -> int:
    """Draw until somebody ends it; return the exit code."""
    import trio

    from trioqueue.cli.screen import Screen

    # What the store logs would be written across the page; the footer says it better.
    logging.getLogger("trioqueue").addHandler(logging.NullHandler())
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGWINCH", "SIGTSTP")
    watched = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # The ear first: a signal in between must not leave the terminal as it is not.
    with trio.open_signal_receiver(*watched) as signals, Screen() as screen:
        async with trio.open_nursery() as nursery:
            top = Top(store, screen, interval_seconds, nursery.cancel_scope)
            nursery.start_soon(top.hear, signals)
            nursery.start_soon(top.read_keys)
            await top.run()
    return top.code


@final
class Top:
    """What is on the screen, and what changes it."""

    def __init__(
        self, store: Store, screen: Screen, interval: float, scope: trio.CancelScope
    ) -> None:
        import trio

        self.code = 0
        self._store = store
        self._screen = screen
        self._interval = interval
        self._scope = scope
        self._before: Overview | None = None
        self._now: Overview | None = None
        self._problem = ""
        self._touched = trio.Event()

    async def run(self) -> None:
        """Look and draw, until canceled."""
        import trio

        while True:
            began = trio.current_time()
            await self._look()
            self._draw()
            took = trio.current_time() - began
            pause = max(self._interval, took / AT_MOST)
            with trio.move_on_after(pause):
                while True:
                    await self._touched.wait()
                    self._touched = trio.Event()
                    self._draw()

    async def _look(self) -> None:  # noqa: ASYNC910  a call of the store is one
        from trioqueue.errors import StoreUnavailableError

        try:
            found = await self._store.overview(runs=RUNS)
        except StoreUnavailableError as error:
            self._problem = f"{error}; trying again"
        else:
            self._before, self._now = self._now, found
            self._problem = ""

    def _draw(self) -> None:
        from trioqueue.cli.top_view import rates, screen

        width, height = self._screen.size()
        if not self._screen.active:
            return
        problem = self._problem
        if self._now is None:
            self._screen.draw([(problem or "looking ...")[:width]])
            return
        at = f"{self._now.at:%Y-%m-%d %H:%M:%S}Z"
        lines = screen(
            self._now,
            rates(self._before, self._now),
            width=width,
            height=height,
            title=f"trioqueue  {at}  every {parameters.show_duration(self._interval)}"
            f"  {self._store.url}",
            footer=f"the database is away: {problem}" if problem else "q: quit",
            bold=True,
        )
        self._screen.draw(lines)

    async def hear(self, signals: Any) -> None:
        """Act on signals."""
        async for number in signals:
            if number == getattr(signal, "SIGWINCH", None):
                self._touched.set()
            elif number == getattr(signal, "SIGTSTP", None):
                self._screen.pause()
                os.kill(os.getpid(), signal.SIGSTOP)
                self._screen.resume()
                self._touched.set()
            else:
                self._end(INTERRUPTED if number == signal.SIGINT else TERMINATED)

    async def read_keys(self) -> None:
        """Wait for somebody to press q."""
        import trio

        keys = self._screen.keys
        if keys is None:
            await trio.lowlevel.checkpoint()
            return
        while True:
            await trio.lowlevel.wait_readable(keys)
            try:
                pressed = os.read(keys, 100)
            except OSError:
                pressed = b""
            if not pressed or b"q" in pressed.lower():
                # The terminal has gone, or somebody has had enough.
                self._end(0)

    def _end(self, code: int) -> None:
        self.code = code
        self._scope.cancel(reason="somebody ended it")
