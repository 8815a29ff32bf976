"""Long work shows how far it is, at a terminal only, and leaves nothing behind."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.cli.helpers import Cli
from trioqueue.cli.progress import BETWEEN_SECONDS, PATIENCE_SECONDS, Progress

ERASE = "\r\x1b[2K"

# The real command, on a store that takes its time: 10 steps of 0.2 s each.
SLOW = """
import sys, trio
from trioqueue import BulkReport, Store
from trioqueue.cli import main

async def slowly(store, chosen, *, progress, **options):
    for done in range(1, 11):
        await trio.sleep(0.2)
        progress(done * 100, 1000)
    return BulkReport(1000, 1000)

Store.requeue_matching = slowly
main()
"""
REQUEUE = ("message", "requeue", "--all-messages", "--yes")


class Screen(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


class Run(NamedTuple):
    """What a command wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def now() -> Callable[..., float]:
    """A clock that a test sets: called with a number it shows that."""
    shown = [100.0]

    def read(value: float | None = None) -> float:
        if value is not None:
            shown[0] = value
        return shown[0]

    return read


def test_it_draws_after_a_second_and_not_too_often_and_wipes_it_away(
    now: Callable[..., float],
) -> None:
    screen = Screen()
    with Progress("requeueing", stream=screen, now=now) as progress:
        progress(10, 100)
        now(100 + PATIENCE_SECONDS - 0.01)
        progress(20, 100)
        assert screen.getvalue() == ""
        now(102)
        progress(2_500, 10_000)
        first = screen.getvalue()
        bar = "[######------------------]  25%"
        line = f"requeueing {bar}  2,500 of 10,000, 1,250/s, 6s left"
        assert first == f"{ERASE}{line}"
        now(102 + BETWEEN_SECONDS / 2)
        progress(2_600, 10_000)
        assert screen.getvalue() == first
        now(104)
        progress(10_000, 10_000)
        assert screen.getvalue().endswith("100%  10,000 of 10,000, 2,500/s")
    assert screen.getvalue().endswith(ERASE)
    assert (progress.done, progress.total) == (10_000, 10_000)


def test_work_without_numbers_for_people_shows_percents(
    now: Callable[..., float],
) -> None:
    screen = Screen()
    with Progress("looking", stream=screen, now=now, counts=False) as progress:
        now(110)
        progress(50_000, 100_000)
        assert screen.getvalue() == (
            f"{ERASE}looking [############------------]  50%, 10s left"
        )


def test_nothing_is_drawn_where_nobody_looks(
    now: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.StringIO()
    with Progress("deleting", stream=file, now=now) as progress:
        now(200)
        progress(1, 2)
    assert file.getvalue() == ""
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen()
    with Progress("deleting", stream=screen, now=now) as progress:
        now(300)
        progress(1, 2)
    assert screen.getvalue() == ""


def test_a_terminal_that_goes_away_does_not_stop_the_work(
    now: Callable[..., float],
) -> None:
    class Gone(Screen):
        def write(self, _: str) -> int:
            raise OSError

    with Progress("deleting", stream=Gone(), now=now) as progress:
        now(200)
        progress(1, 2)
        now(300)
        progress(2, 2)
    assert progress.done == 2


def run_at_terminal(tq: Cli, *arguments: str, columns: int = 80, **more: str) -> Run:
    """Run the slow command with a pseudo-terminal as its standard error."""
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments],
        env=tq.environment({"TERM": "xterm", **more}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        shown = b""
        try:
            while part := _read(controller):
                shown += part
            assert process.stdout is not None
            out = process.stdout.read().decode()
        finally:
            process.kill()
            os.close(controller)
    return Run(process.returncode, out, shown.decode())


def _read(controller: int) -> bytes:
    try:
        return os.read(controller, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


@pytest.mark.parametrize("columns", [80, 40])
def test_a_bar_is_drawn_on_a_real_terminal_and_gone_at_the_end(
    emails: Cli, columns: int
) -> None:
    run = run_at_terminal(emails, *REQUEUE, columns=columns)
    assert (run.code, run.out) == (0, "1000\n")
    *bars, end = run.err.split(ERASE)
    assert end == "1000 messages requeued\r\n"
    drawn = [bar for bar in bars if bar]
    assert drawn
    for bar in drawn:
        assert bar.startswith("requeueing [")
        assert len(bar) < columns
    if columns == 80:
        assert " of 1,000, " in drawn[-1]


@pytest.mark.parametrize(
    ("arguments", "more", "end"),
    [
        ((*REQUEUE, "-q"), {}, ""),
        (REQUEUE, {"TERM": "dumb"}, "1000 messages requeued\r\n"),
    ],
)
def test_no_bar_is_drawn_for_who_wants_none(
    emails: Cli, arguments: tuple[str, ...], more: dict[str, Any], end: str
) -> None:
    assert run_at_terminal(emails, *arguments, **more) == Run(0, "1000\n", end)
