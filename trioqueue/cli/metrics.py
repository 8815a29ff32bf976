"""``trioqueue metrics``: what Prometheus sees, and the files to set it up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from trioqueue.cli import parameters
from trioqueue.cli.failures import CONFLICT, FAILED, Failure
from trioqueue.cli.output import Column, field, write
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioqueue.store import Store

EXPORTS: Final = ("grafana", "alerts", "scrape")
COLUMNS: Final = (
    Column("METRIC", field("name")),
    Column("TYPE", field("type")),
    Column("LABELS", lambda document: ", ".join(document["labels"])),
    Column("MEANING", field("meaning"), free=True),
)


@click.group()
@common_options
def metrics() -> None:
    """Show what Prometheus sees; print a dashboard and alert rules.

    Workers serve their own metrics: trioqueue worker jobs:app --metrics 9464
    """


@metrics.command()
@common_options
@with_session
def show(session: Session, /) -> None:
    """Look at the database and print its metrics.

    As Prometheus would read them, whatever -o.  What a process counts for itself is not
    there: ask that process, at the address that it was given with --metrics.
    """

    async def work(store: Store) -> bytes:
        from prometheus_client import generate_latest

        await store.measure()
        text: bytes = generate_latest(_Sampled(store))
        return text

    write(session.run(work).decode().rstrip("\n"))


class _Sampled:
    """What was seen in the database, without what only concerns this process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Any]:
        """List the families."""
        from trioqueue.metrics import Metrics
        from trioqueue.metrics.catalogue import CATALOGUE

        kept = {
            metric.family
            for metric in CATALOGUE.values()
            if metric.source == "sampled" or metric.backend == "sqlite"
        }
        families = Metrics(self._store).collect()
        return (family for family in families if family.name in kept)


@metrics.command("list")
@common_options
@with_session
def list_command(session: Session, /) -> None:
    """List every metric: its type, its labels, what it means."""
    from trioqueue.metrics.catalogue import CATALOGUE

    documents: list[dict[str, Any]] = [
        {
            "name": metric.name,
            "type": metric.kind,
            "labels": list(metric.labels),
            "source": metric.source,
            "backend": metric.backend,
            "meaning": metric.help,
        }
        for metric in CATALOGUE.values()
    ]
    session.output.items(documents, COLUMNS, empty="there are no metrics")


@metrics.command()
@click.argument("what", type=click.Choice(EXPORTS))
@click.argument("file", default="-", metavar="[FILE]")
@common_options
@with_session
def export(session: Session, /, *, what: str, file: str) -> None:
    """Print a file to set up monitoring with, or write it to FILE.

    grafana: a dashboard to import; alerts: rules for Prometheus; scrape: an entry for
    scrape_configs in prometheus.yml.  A FILE that exists is not overwritten.

    \b
    Examples:
      trioqueue metrics export grafana trioqueue-dashboard.json
      trioqueue metrics export alerts > /etc/prometheus/rules/trioqueue.yml
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.metrics.files import read

    text = read(what)
    if file == "-":
        write(text.rstrip("\n"))
        return
    try:
        with Path(file).open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise Failure(f"{file} exists already; name another file", CONFLICT) from None
    except OSError as error:
        raise Failure(f"cannot write {file}: {error.strerror}", FAILED) from None
    session.output.done(file, {"file": file, "kind": what}, f"{file} written")


@metrics.command()
@click.argument("address", metavar="[HOST:]PORT")
@click.option(
    "--interval",
    type=parameters.duration,
    default="30s",
    show_default=True,
    metavar="SPAN",
    help="How often to look at the database; a look reads an entry for each message.",
)
@common_options
@with_session
def serve(session: Session, /, *, address: str, interval: float) -> None:
    """Serve a database's metrics over HTTP until stopped.

    It runs nothing: for databases whose workers do not serve their own.  /metrics is
    for Prometheus; /healthz says that the process lives, /readyz whether the database
    can be used.  A PORT alone listens on this machine only, :PORT on every address;
    there is no login.

    \b
    Examples:
      trioqueue metrics serve 9464
      trioqueue --db postgresql://app@db/jobs metrics serve :9464
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.cli.serving import serve_until_stopped

    async def work(store: Store) -> None:
        await serve_until_stopped(store, address, interval_seconds=interval)

    session.run(work)
