"""``trioqueue schema``: the registry of JSON Schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from trioqueue.cli import parameters
from trioqueue.cli.asking import confirm
from trioqueue.cli.failures import FAILED, Failure
from trioqueue.cli.output import Column, field, pairs, say
from trioqueue.cli.schedule_input import read_text
from trioqueue.cli.session import Session, common_options, with_session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.cli.documents import Document
    from trioqueue.errors import Violation
    from trioqueue.model import SchemaVersion
    from trioqueue.store import Store

SCHEMA_COLUMNS: Final = (
    Column("ID", field("schema_id")),
    Column("VERSION", field("version")),
    Column("ACTIVE", field("active"), lambda active: "yes" if active else "no"),
    Column("CREATED", field("created_at")),
    Column("DESCRIPTION", field("description"), free=True),
)
VIOLATION_COLUMNS: Final = (
    Column("PATH", field("path"), lambda path: path or "(whole)"),
    Column("CODE", field("code")),
    Column("MESSAGE", field("message"), free=True),
)
COMPARISON_COLUMNS: Final = (
    Column("CERTAIN", field("certain"), lambda known: "yes" if known else "no"),
    Column("REASON", field("reason"), free=True),
)


@click.group()
@common_options
def schema() -> None:
    """Register, look at and try JSON Schemas, which payloads must fit.

    A queue names the schema of its messages: trioqueue queue create NAME --schema ID.
    """


@schema.command()
@click.argument("schema_id", metavar="ID")
@click.argument("file")
@click.option("--description", default="", metavar="TEXT", help="What it is about.")
@click.option(
    "--compatible",
    is_flag=True,
    help="Refuse it unless it surely accepts all that the latest version accepts.",
)
@common_options
@with_session
def register(session: Session, /, *, schema_id: str, file: str, **options: Any) -> None:
    """Store a JSON Schema from FILE, or - for standard input, as the next version.

    Registering the newest version's document again does nothing.  The database file is
    created if there is none.

    \b
    Example:
      echo '{"type": "object", "required": ["to"]}' | trioqueue schema register mail -
    """  # noqa: D301  \b tells click not to wrap a paragraph
    document = _read(file, "'FILE'")

    async def work(store: Store) -> tuple[SchemaVersion, bool]:
        began = store.now()
        made = await store.register_schema(schema_id, document, **options)
        return made, made.created_at >= began

    made, is_new = session.run(work, create=True)
    session.output.done(
        made.version,
        _document(made),
        f"schema {schema_id!r} version {made.version} "
        + ("registered" if is_new else "is there already, with this document"),
    )


@schema.command("list")
@click.argument("prefix", default="")
@parameters.limit_option(100)
@click.option(
    "--after",
    type=parameters.schema_place,
    metavar="ID:VERSION",
    help="Go on after this version.",
)
@click.option("--active", "active_only", is_flag=True, help="Only active versions.")
@common_options
@with_session
def list_command(
    session: Session,
    /,
    *,
    prefix: str,
    limit: int,
    after: tuple[str, int | None] | None,
    active_only: bool,
) -> None:
    """List versions of schemas by id and version.

    PREFIX: only ids that begin with it.
    """
    start = None if after is None else (after[0], after[1] or parameters.LAST_VERSION)

    async def work(store: Store) -> list[SchemaVersion]:
        return await store.list_schemas(
            prefix, limit=limit + 1, after=start, active_only=active_only
        )

    documents = [_document(each) for each in session.run(work)]
    session.output.items(
        documents[:limit],
        SCHEMA_COLUMNS,
        empty="no such schemas"
        if prefix or after or active_only
        else "no schemas; register one with: trioqueue schema register ID FILE",
    )
    if len(documents) > limit:
        last = documents[limit - 1]
        say(f"there are more: go on with --after {last['schema_id']}:{last['version']}")


@schema.command()
@click.argument("place", metavar="ID[:VERSION]", type=parameters.schema_place)
@common_options
@with_session
def get(session: Session, /, *, place: tuple[str, int | None]) -> None:
    """Show a schema: the latest active version, or the one named.

    \b
    Example:
      trioqueue schema get order:2
    """  # noqa: D301  \b tells click not to wrap a paragraph

    async def work(store: Store) -> SchemaVersion:
        return await store.get_schema(*place)

    document = _document(session.run(work))
    session.output.item(document, lambda: _lines(document))


def _lines(document: Document) -> Iterable[str]:
    active = "yes" if document["active"] else "no"
    rows = [("id", document["schema_id"]), ("version", str(document["version"]))]
    if document["description"]:
        rows.append(("description", document["description"]))
    yield from pairs([*rows, ("active", active), ("created", document["created_at"])])
    yield ""
    yield from json.dumps(document["document"], indent=2).splitlines()


@schema.command()
@click.argument("place", metavar="ID:VERSION", type=parameters.schema_place)
@click.option("--undo", is_flag=True, help="Make it active again.")
@common_options
@with_session
def deactivate(
    session: Session, /, *, place: tuple[str, int | None], undo: bool
) -> None:
    """Let no new message use a version; those that do stay as they are.

    Messages that name no version get the latest that is still active; if there is none,
    they are refused.
    """
    schema_id, version = place
    if version is None:
        raise click.UsageError(f"say which version, such as {schema_id}:1")

    async def work(store: Store) -> SchemaVersion:
        if undo:
            return await store.reactivate_schema(schema_id, version)
        return await store.deactivate_schema(schema_id, version)

    document = _document(session.run(work))
    state = "active" if document["active"] else "not active any more"
    session.output.done(
        f"{schema_id}:{version}",
        document,
        f"schema {schema_id!r} version {version} is {state}",
    )


@schema.command()
@click.argument("place", metavar="ID[:VERSION]", type=parameters.schema_place)
@click.option("--yes", is_flag=True, help="Do not ask.")
@common_options
@with_session
def delete(session: Session, /, *, place: tuple[str, int | None], yes: bool) -> None:
    """Delete a version of a schema, or all of them, if nothing uses it.

    At a terminal it asks first; elsewhere it needs --yes.
    """
    schema_id, version = place
    which = f"schema {schema_id!r}"
    if version is not None:
        which = f"version {version} of {which}"
    if not yes:
        confirm(f"delete {which}")

    async def work(store: Store) -> int:
        return await store.delete_schema(schema_id, version)

    count = session.run(work)
    session.output.done(count, {"deleted": count}, f"{which} deleted")


@schema.command()
@click.argument("place", metavar="ID[:VERSION]", type=parameters.schema_place)
@click.argument("payload")
@common_options
@with_session
def validate(
    session: Session, /, *, place: tuple[str, int | None], payload: str
) -> None:
    """Say what a schema has against a payload; exit with 1 if anything.

    PAYLOAD is a JSON value, @FILE, or - for standard input.
    """
    schema_id, version = place
    value = parameters.payload(payload, "application/json")

    async def work(store: Store) -> list[Violation]:
        return await store.validate_payload(schema_id, value, version)

    found = session.run(work)
    documents = [
        {"path": each.path, "code": each.code, "message": each.message}
        for each in found
    ]
    session.output.items(documents, VIOLATION_COLUMNS, empty="it fits")
    if found:
        count = len(found)
        raise Failure(
            f"{count} violation{'' if count == 1 else 's'} of schema {schema_id!r}",
            FAILED,
        )


@schema.command()
@click.argument("place", metavar="ID[:VERSION]", type=parameters.schema_place)
@click.argument("file")
@common_options
@with_session
def compat(session: Session, /, *, place: tuple[str, int | None], file: str) -> None:
    """Say whether a JSON Schema in FILE accepts all that a version accepts.

    Exit with 1 if it does not, or if that cannot be known.
    """
    document = _read(file, "'FILE'")

    async def work(store: Store) -> SchemaVersion:
        return await store.get_schema(*place)

    old = session.run(work)
    from trioqueue.schema import check_compatibility

    found = check_compatibility(old.document, document)
    documents = [{"certain": True, "reason": each} for each in found.problems]
    documents += [{"certain": False, "reason": each} for each in found.undecided]
    session.output.items(
        documents,
        COMPARISON_COLUMNS,
        empty=f"it accepts all that version {old.version} accepts",
    )
    if found.problems:
        raise Failure(f"it refuses what version {old.version} accepts", FAILED)
    if found.undecided:
        raise Failure(f"it may refuse what version {old.version} accepts", FAILED)


def _document(found: SchemaVersion) -> Document:
    from trioqueue.cli.documents import iso

    return {
        "schema_id": found.schema_id,
        "version": found.version,
        "active": found.active,
        "created_at": iso(found.created_at),
        "description": found.description,
        "document": found.document,
    }


def _read(name: str, hint: str) -> Any:
    try:
        return json.loads(read_text(name, hint))
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(
            f"{name!r} is not JSON: {error}", param_hint=hint
        ) from None
