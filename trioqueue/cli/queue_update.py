"""``trioqueue queue update``: what a queue asks of new messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from trioqueue.model import Queue
    from trioqueue.store import Store


@click.command()
@click.argument("name")
@click.option("--max-attempts", type=int, metavar="N", help="-1: no limit.")
@click.option(
    "--max-payload-bytes",
    type=click.IntRange(min=0),
    metavar="N",
    help="The largest payload accepted.",
)
@click.option(
    "--max-metadata-bytes",
    type=click.IntRange(min=0),
    metavar="N",
    help="The largest metadata accepted.",
)
@click.option(
    "--content-type",
    "content_types",
    multiple=True,
    metavar="TYPE",
    help="Accept only this content type (repeat for more); '': all.",
)
@click.option(
    "--schema",
    "schema_id",
    metavar="ID",
    help="The schema of messages that name none themselves; '': none.",
)
@click.option(
    "--schema-required/--schema-optional",
    default=None,
    help="Whether to refuse messages without a schema, and those that are not JSON.",
)
@click.option(
    "--require-metadata",
    "required_metadata",
    multiple=True,
    metavar="KEY",
    help="Refuse messages whose metadata lacks this key (repeat for more); '': none.",
)
@click.option(
    "--validator",
    "validators",
    multiple=True,
    metavar="NAME",
    help="A function that every message must pass (repeat for more); '': none.",
)
@common_options
@with_session
def update(session: Session, /, *, name: str, **options: Any) -> None:
    """Change what a queue asks of new messages; what is not given stays.

    An option that may be repeated replaces all of its kind.  Messages that are there
    already stay as they are.

    \b
    Examples:
      trioqueue queue update orders --schema order --schema-required
      trioqueue queue update orders --require-metadata tenant --validator ''
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from trioqueue.cli.documents import queue_document

    changes = {
        option: _value(option, value)
        for option, value in options.items()
        if value is not None and value != ()
    }
    if not changes:
        raise click.UsageError("say what to change, such as --schema ID")

    async def work(store: Store) -> Queue:
        import attrs

        found = await store.get_queue(name)
        return await store.update_queue(name, attrs.evolve(found.options, **changes))

    changed = session.run(work)
    session.output.done(name, queue_document(changed), f"queue {name!r} updated")


def _value(option: str, value: Any) -> Any:
    """Read an option; an empty text takes what was there away."""
    if isinstance(value, tuple):
        named = tuple(each for each in value if each)
        return named or (None if option == "content_types" else ())
    return None if value == "" else value
