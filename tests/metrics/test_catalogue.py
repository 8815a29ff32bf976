"""The catalogue, what is exposed, and the documentation name the same metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
import trio
from trio.testing import MockClock

from tests.helpers import QUEUE, SteppedClock
from tests.metrics.scraping import Scrape, scrape
from tests.postgres_server import Server
from trioqueue import (
    Cron,
    Job,
    LeaseLostError,
    LeasePolicy,
    QueueOptions,
    RetryPolicy,
    Schedule,
    Worker,
    open_services,
    open_store,
)
from trioqueue.metrics.catalogue import CATALOGUE

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "metrics.rst"
UNITS: Final = ("_seconds", "_bytes")


async def everything(url: str, clock: SteppedClock | None) -> Scrape:
    """Let everything happen once that a process by itself can do."""
    async with open_store(url, clock=clock) as store, open_services(store) as services:
        options = QueueOptions(retry=RetryPolicy.fixed(0), max_attempts=1)
        await store.create_queue(QUEUE, options)
        await store.create_schedule(Schedule("s", QUEUE, when=Cron("0 0 1 1 *")))
        for _ in range(2):
            await store.post(QUEUE, 1, message_id="a")
        (job,) = await store.claim(QUEUE)
        await store.heartbeat(job)
        await store.complete(job)
        with pytest.raises(LeaseLostError):
            await store.heartbeat(job)
        for name in ("dead", "deader"):
            await store.post(QUEUE, 1, message_id=name)
            (job,) = await store.claim(QUEUE)
            await store.fail(job, "no")
        await store.requeue(QUEUE, "dead")
        await store.cancel(QUEUE, "dead")
        await store.delete_dead_letter(QUEUE, "deader")
        await store.post(QUEUE, 1)
        (job,) = await store.claim(QUEUE, lease=LeasePolicy(base_seconds=0.01))
        if clock is None:
            await trio.sleep(1)
        else:
            clock.advance(1)
        await store.reclaim_expired_messages(await store.find_expired_messages())
        await store.trigger_schedule("s")
        if clock is None:
            await trio.sleep(370 * 86400)
        else:
            clock.advance(370 * 86400)
            await services.cron.run_once()

        async def handle(job: Job) -> None:
            await trio.lowlevel.checkpoint()

        await services.cleanup.run_once()
        services.cleanup.meters.count("trioqueue_service_failures_total", "cleanup")
        await services.metrics_reporter.run_once()
        worker = Worker(store, {QUEUE: handle})
        return scrape(store, services=services, workers=[worker])


def check(found: Scrape, backend: str) -> None:
    expected = {
        metric.name
        for metric in CATALOGUE.values()
        if metric.backend in (None, backend)
    }
    assert set(found.kinds) == expected
    for name, kind in found.kinds.items():
        assert kind == CATALOGUE[name].kind
        assert found.labels[name] == {frozenset(CATALOGUE[name].labels)}
    assert "_created" not in found.text


def test_everything_that_is_exposed_of_a_file_is_in_the_catalogue(
    tmp_path: Path,
) -> None:
    found = trio.run(everything, f"sqlite:///{tmp_path}/jobs.db", SteppedClock())
    check(found, "sqlite")


def test_everything_that_is_exposed_in_virtual_time_is_in_the_catalogue(
    tmp_path: Path,
) -> None:
    clock = MockClock(autojump_threshold=0)
    url = f"sqlite:///{tmp_path}/jobs.db"
    check(trio.run(everything, url, None, clock=clock), "sqlite")


def test_everything_that_is_exposed_of_postgresql_is_in_the_catalogue(
    postgres: Server,
) -> None:
    with postgres.schema("catalogue") as schema:
        found = trio.run(everything, postgres.store_url(schema), SteppedClock())
    check(found, "postgresql")


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_name_follows_the_conventions(name: str) -> None:
    metric = CATALOGUE[name]
    assert re.fullmatch(r"trioqueue_[a-z]+(_[a-z]+)*", name)
    assert (metric.kind == "counter") == name.endswith("_total")
    assert not name.endswith(("_count", "_sum", "_bucket", "_created", "_info_total"))
    assert "milli" not in name
    assert "micro" not in name
    if metric.scale != 1:
        assert name.endswith(UNITS)
    assert metric.help[0].isupper()
    assert metric.help.endswith(".")
    assert "queue" not in metric.labels[1:]
    assert len(metric.labels) <= 2 or name.endswith("_build_info")
    assert not {"id", "message_id", "worker", "schedule_id"} & set(metric.labels)
    assert (metric.kind == "histogram") == bool(metric.bounds)
    assert list(metric.bounds) == sorted(set(metric.bounds))


def documented() -> dict[str, tuple[str, str, str]]:
    """Read the table of the documentation: name, type, labels, meaning."""
    rows = {}
    cells: list[str] = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("   * - "):
            if len(cells) == 4:
                rows[cells[0]] = (cells[1], cells[2], cells[3])
            cells = [line.removeprefix("   * - ").strip()]
        elif line.startswith("     - "):
            cells.append(line.removeprefix("     - ").strip())
        elif line.startswith("       ") and cells:
            cells[-1] += " " + line.strip()
        elif cells and len(cells) == 4:
            rows[cells[0]] = (cells[1], cells[2], cells[3])
            cells = []
    return {name.strip("`"): rest for name, rest in rows.items() if "`" in name}


def test_the_documentation_has_each_metric_as_it_is() -> None:
    found = documented()
    assert sorted(found) == sorted(CATALOGUE)
    for name, (kind, labels, text) in found.items():
        metric = CATALOGUE[name]
        assert kind == metric.kind
        assert re.findall(r"``(\w+)``", labels) == list(metric.labels)
        assert text.startswith(metric.help)
        where = {"sqlite": "SQLite", "postgresql": "PostgreSQL", None: ""}
        assert (
            text.removeprefix(metric.help)
            .strip(" .")
            .endswith(f"{where[metric.backend]} only" if metric.backend else "")
        )
