"""``trioqueue top``: what a person sees in a terminal, and that it comes back."""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest
import trio

from tests.cli.helpers import Cli, on_both
from trioqueue import Store, StoreUnavailableError, open_store
from trioqueue.cli.top import Top
from trioqueue.store.operations.workers import Registration

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals here", allow_module_level=True)

from tests.cli.terminal import terminal

OFTEN = ("top", "--interval", "50ms")


@pytest.fixture
def busy(tq: Cli) -> Cli:
    """A database with two queues, a worker and a schedule."""
    tq("queue", "create", "emails", "--retention", "keep:1d")
    tq("queue", "create", "reports")
    tq("queue", "pause", "reports")
    for number in range(3):
        tq("message", "post", "emails", str(number))
    tq("message", "post", "emails", "9", "--delay", "1h")
    with_worker(tq, "w1")
    tq("schedule", "create", "nightly", "reports", "--cron", "30 2 * * *")
    return tq


def with_worker(tq: Cli, *names: str) -> None:
    async def work(store: Store) -> None:
        for name in names:
            about = Registration(name, "box", 7, "1.2", ("emails",), 4, 3_600_000_000)
            number = await store.register_worker(about)
            await store.beat_worker(number, running=2)

    tq.store(work)


def cells(lines: list[str], first: str) -> list[str]:
    """Return the cells of the line that begins with a word."""
    (line,) = [line for line in lines if line.startswith(f"{first} ")]
    return line.split()


def test_a_person_sees_everything_change_and_quits_with_q(busy: Cli) -> None:
    with terminal(busy, *OFTEN) as seen:
        lines = seen.until(lambda lines: "q: quit" in lines)
        assert lines[0].startswith("trioqueue  2")
        assert "  every 0.05s  sqlite:////" in lines[0]
        header = "QUEUE PENDING RUNNING DEAD OLDEST READY INVISIBLE NET/S DONE/S STATUS"
        assert " ".join(cells(lines, "QUEUE")) == header
        assert cells(lines, "emails")[:4] == ["emails", "3", "0", "0"]
        assert cells(lines, "emails")[5] == "1"
        assert cells(lines, "reports")[-1] == "paused"
        assert cells(lines, "w1")[:3] == ["w1", "working", "2/4"]
        assert cells(lines, "nightly")[2] == "02:30:00Z"
        assert not seen.echoes
        assert not seen.cursor
        busy("message", "post", "emails", "10", "--priority", "4")
        seen.until(lambda lines: cells(lines, "emails")[1] == "4")
        busy.claim("emails")
        lines = seen.until(lambda lines: cells(lines, "emails")[1:3] == ["3", "1"])
        assert not seen.page.overflowed
        assert "q: quit" in lines
        seen.press("q")
        assert seen.end() == 0
        assert seen.restored
        assert seen.outside == ""


def test_what_happens_in_a_second_is_shown_from_the_second_look_on(busy: Cli) -> None:
    with terminal(busy, "top", "--interval", "1h") as seen:
        lines = seen.until(lambda lines: any("emails" in line for line in lines))
        assert cells(lines, "emails")[6:8] == ["-", "-"]
    with terminal(busy, *OFTEN) as seen:
        lines = seen.until(lambda lines: "+0" in cells(lines, "emails"))
        # Of what is deleted when it finishes nobody can tell.
        assert cells(lines, "emails")[6:8] == ["+0", "0"]
        assert cells(lines, "reports")[6:8] == ["+0", "-"]


def test_ctrl_c_ends_it_too(busy: Cli) -> None:
    with terminal(busy, *OFTEN) as seen:
        seen.until(lambda lines: any("emails" in line for line in lines))
        seen.press("\x03")
        assert seen.end() == 130
        assert seen.restored


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_terminal_is_as_it_was(
    busy: Cli, number: signal.Signals
) -> None:
    with terminal(busy, *OFTEN) as seen:
        seen.until(lambda lines: any("emails" in line for line in lines))
        seen.process.send_signal(number)
        assert seen.end() == 143
        assert seen.restored


def test_it_can_be_suspended_and_go_on(busy: Cli) -> None:
    with terminal(busy, *OFTEN) as seen:
        seen.until(lambda lines: any("emails" in line for line in lines))
        seen.press("\x1a")
        seen.until_restored()
        seen.process.send_signal(signal.SIGCONT)
        seen.until(lambda lines: any("emails" in line for line in lines))
        assert not seen.echoes
        seen.press("Q")
        assert seen.end() == 0
        assert seen.restored


def test_it_follows_the_size_of_the_terminal(busy: Cli) -> None:
    with terminal(busy, "top", "--interval", "1h", width=120, height=40) as seen:
        lines = seen.until(lambda lines: any("nightly" in line for line in lines))
        assert "STATUS" in cells(lines, "QUEUE")
        # Nobody looks again for an hour: only what is on the screen is drawn anew.
        seen.resize(30, 12)
        lines = seen.until(lambda lines: any("q: quit" in line for line in lines))
        assert not seen.page.overflowed
        header = cells(lines, "QUEUE")
        assert header[:2] == ["QUEUE", "PENDING"]
        assert "STATUS" not in header
        assert cells(lines, "emails")[1] == "3"
        assert any(line.startswith("w1") for line in lines)


@pytest.mark.parametrize(
    ("width", "height"), [(20, 24), (80, 5), (12, 3), (8, 2), (200, 100)]
)
def test_it_fits_whatever_size_there_is(busy: Cli, width: int, height: int) -> None:
    with_worker(busy, *(f"worker-with-a-long-name-{n}" for n in range(30)))
    with terminal(busy, *OFTEN, width=width, height=height) as seen:
        lines = seen.until(lambda lines: lines[0] and any(lines[1:]))
        assert not seen.page.overflowed
        assert len([line for line in lines if line]) >= min(height, 2)
        seen.press("q")
        assert seen.end() == 0
        assert seen.restored


def test_what_does_not_fit_is_counted(busy: Cli) -> None:
    with_worker(busy, *(f"x{n:02}" for n in range(30)))
    with terminal(busy, *OFTEN, height=20) as seen:
        lines = seen.until(lambda lines: any("nightly" in line for line in lines))
        (more,) = [line for line in lines if line.startswith("... and ")]
        shown = [line for line in lines if line.startswith(("w1", "x"))]
        assert more == f"... and {31 - len(shown)} more"
        assert len(shown) > 2


def test_names_cannot_move_the_cursor(tq: Cli) -> None:
    tq("migrate")
    with_worker(tq, "evil\x1b[2Jname")
    with terminal(tq, *OFTEN) as seen:
        seen.until(lambda lines: any("evil\\x1b[2Jname" in line for line in lines))


@on_both
def test_it_prints_everything_once(tq: Cli) -> None:
    tq("queue", "create", "emails")
    tq("message", "post", "emails", "1")
    lines = tq("top", "--once", "-o", "table").lines
    assert lines[0].split()[:3] == ["QUEUE", "PENDING", "RUNNING"]
    assert cells(lines, "emails")[:3] == ["emails", "1", "0"]
    assert "no worker is alive; start one with: trioqueue worker MODULE:APP" in lines
    assert "no schedule will run" in lines
    assert "\x1b" not in "".join(lines)


@on_both
def test_its_document_has_exact_counts(tq: Cli) -> None:
    tq("queue", "create", "emails")
    tq("message", "post", "emails", "1")
    tq("schedule", "create", "nightly", "emails", "--cron", "30 2 * * *")
    with_worker(tq, "w1")
    document = tq("top", "-o", "json").document
    assert set(document) == {"at", "queues", "workers", "schedules"}
    (queue,) = document["queues"]
    assert queue.pop("oldest_ready_seconds") >= 0
    assert queue == {
        "name": "emails",
        "counts": {
            "INVISIBLE": 0,
            "PENDING": 1,
            "RUNNING": 0,
            "COMPLETED": 0,
            "CANCELED": 0,
            "ERRORED": 0,
        },
        "paused": False,
        "keeps_finished": False,
    }
    assert document["workers"][0]["status"] == "working"
    (run,) = document["schedules"]
    assert run.pop("next_run").endswith("T02:30:00.000000Z")
    assert run == {"schedule_id": "nightly", "queue": "emails"}


def test_without_a_terminal_it_prints_once(busy: Cli) -> None:
    outcome = busy.process("top")
    assert (outcome.code, outcome.err) == (0, "")
    assert "\x1b" not in outcome.out
    with terminal(busy, "top", TERM="dumb") as seen:
        assert seen.end() == 0
        assert "emails" in seen.outside


def test_a_wrong_interval_is_refused(emails: Cli) -> None:
    for span in ("0", "10ms", "2h"):
        outcome = emails("top", "--interval", span, code=2)
        assert "must be from 50ms to 1h" in outcome.err


def test_a_database_that_is_not_there_is_said_in_one_line(tq: Cli) -> None:
    with terminal(tq, "top") as seen:
        assert seen.end() == 5
        assert "does not exist" in seen.outside
        assert seen.restored


async def test_a_database_that_is_away_is_said_below_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Paper:
        """Stands in for a screen, and keeps every page."""

        active = True
        keys = None

        def __init__(self) -> None:
            self.pages: list[list[str]] = []

        def size(self) -> tuple[int, int]:
            return 100, 30

        def draw(self, lines: list[str]) -> None:
            self.pages.append(list(lines))

    async with open_store("sqlite://:memory:") as store:
        await store.create_queue("emails")
        looks = iter([True, False, True, False, False, True])
        real = store.overview

        async def overview(**options: Any) -> Any:
            if next(looks, True):
                await trio.lowlevel.checkpoint()
                raise StoreUnavailableError("the disk is away")
            return await real(**options)

        monkeypatch.setattr(type(store), "overview", staticmethod(overview))
        paper: Any = Paper()
        async with trio.open_nursery() as nursery:
            top = Top(store, paper, 0.001, nursery.cancel_scope)
            nursery.start_soon(top.run)
            with trio.fail_after(20):
                while len(paper.pages) < 6:  # noqa: ASYNC110  nothing says so
                    await trio.sleep(0.001)
            nursery.cancel_scope.cancel()
    footers = [page[-1] for page in paper.pages[:6]]
    away = "the database is away: the disk is away; trying again"
    first = "the disk is away; trying again"
    assert footers == [first, "q: quit", away, "q: quit", "q: quit", away]
    # What was seen before stays on the screen.
    assert any("emails" in line for line in paper.pages[2])
