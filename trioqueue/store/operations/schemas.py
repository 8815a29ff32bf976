"""The registry: versions of schemas, which never change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from trioqueue.errors import (
    IllegalStateError,
    SchemaNotFoundError,
    ValidationError,
)
from trioqueue.model.payload import same_json
from trioqueue.model.schema import SchemaVersion
from trioqueue.model.spans import micros_to_instant
from trioqueue.store.operations.core import Execute, Fetch, schema_lock
from trioqueue.store.operations.rows import QueueRow

if TYPE_CHECKING:
    from trioqueue.model.queue import QueueOptions
    from trioqueue.store.operations.core import Context, Operation

_PAGE = 1000
_COUNTED = 1000


class SchemaRow(NamedTuple):
    """A version of a schema."""

    schema_id: str
    version: int
    document: str
    description: str | None
    active: int
    created_at: int

    def to_version(self) -> SchemaVersion:
        """Show it to users."""
        return SchemaVersion(
            self.schema_id,
            self.version,
            json.loads(self.document),
            self.description or "",
            bool(self.active),
            micros_to_instant(self.created_at),
        )


def register_schema(
    context: Context,
    schema_id: str,
    document: str,
    description: str,
    *,
    compatible: bool,
) -> Operation[SchemaVersion]:
    """Store the next version; the document of the newest one again returns that.

    Raises:
        ValidationError: It may not be compatible, and has to be.
    """
    yield schema_lock(schema_id, exclusive=True)
    rows = yield Fetch("newest_schema", {"schema_id": schema_id})
    number = 1
    if rows:
        newest = SchemaRow._make(rows[0])
        if newest.active and same_json(newest.document, document):
            return newest.to_version()
        number = newest.version + 1
    rows = yield Fetch("kept_schema_number", {"key": _number_key(schema_id)})
    if rows:
        number = max(number, int(rows[0][0]) + 1)
    if compatible:
        yield from _check_compatible(schema_id, document)
    row = SchemaRow(schema_id, number, document, description, 1, context.now)
    yield Execute("insert_schema", row._asdict())
    return row.to_version()


def _number_key(schema_id: str) -> str:
    """Return under which name the highest number is kept once its version is gone."""
    return f"schema:{schema_id}"


def _check_compatible(schema_id: str, document: str) -> Operation[None]:
    from trioqueue.schema.compatibility import check_compatibility

    rows = yield Fetch("active_schemas", {"schema_ids": [schema_id]})
    for row in rows:
        found = check_compatibility(json.loads(row[2]), json.loads(document))
        if not found.compatible:
            reasons = "; ".join([*found.problems, *found.undecided])
            raise ValidationError.of(
                "document",
                f"may refuse payloads that version {row[1]} accepts: {reasons}",
            )


def get_schema(schema_id: str, version: int | None) -> Operation[SchemaVersion]:
    """Fetch one version, or the latest that is active.

    Raises:
        SchemaNotFoundError: There is none.
    """
    return (yield from _row_of(schema_id, version)).to_version()


def document_of(schema_id: str, version: int | None) -> Operation[str]:
    """Fetch the document of one version, or of the latest that is active, as text.

    Raises:
        SchemaNotFoundError: There is none.
    """
    return (yield from _row_of(schema_id, version)).document


def _row_of(schema_id: str, version: int | None) -> Operation[SchemaRow]:
    if version is None:
        rows = yield Fetch("active_schemas", {"schema_ids": [schema_id]})
    else:
        rows = yield Fetch(
            "schema_version_of", {"schema_id": schema_id, "version": version}
        )
    if not rows:
        raise SchemaNotFoundError(schema_id, version)
    return SchemaRow._make(rows[0])


def list_schemas(
    prefix: str,
    limit: int,
    after: tuple[str, int] | None,
    *,
    active_only: bool,
) -> Operation[list[SchemaVersion]]:
    """List versions by id and number, a page at a time."""
    after_id, after_version = after or ("", 0)
    rows = yield Fetch(
        "list_schemas",
        {
            "prefix": prefix,
            "length": len(prefix),
            "after_id": after_id,
            "after_version": after_version,
            "least": int(active_only),
            "limit": limit,
        },
    )
    return [SchemaRow._make(row).to_version() for row in rows]


def set_schema_active(
    context: Context, schema_id: str, version: int, *, active: bool
) -> Operation[SchemaVersion]:
    """Let new messages use a version, or not.

    Raises:
        SchemaNotFoundError: There is no such version.
    """
    del context
    yield schema_lock(schema_id, exclusive=True)
    row = yield from _row_of(schema_id, version)
    yield Execute(
        "set_schema_active",
        {"schema_id": schema_id, "version": version, "active": int(active)},
    )
    return row._replace(active=int(active)).to_version()


def delete_schema(
    context: Context, schema_id: str, version: int | None
) -> Operation[int]:
    """Delete one version or all; return how many.

    Raises:
        SchemaNotFoundError: There is none.
        IllegalStateError: Messages or queues use it.
    """
    del context
    yield schema_lock(schema_id, exclusive=True)
    rows = yield Fetch("newest_schema", {"schema_id": schema_id})
    if version is not None:
        yield from _row_of(schema_id, version)
    elif not rows:
        raise SchemaNotFoundError(schema_id)
    yield from _check_unused(schema_id, version)
    # So that no number ever means another document.
    number = {"key": _number_key(schema_id), "value": str(rows[0][1])}
    yield Execute("keep_schema_number", number)
    deleted = yield Fetch(
        "delete_schemas", {"schema_id": schema_id, "version": version}
    )
    return len(deleted)


def _check_unused(schema_id: str, version: int | None) -> Operation[None]:
    """Refuse that what is needed goes.

    Raises:
        IllegalStateError: It is needed.
    """
    what = f"schema {schema_id!r}"
    if version is not None:
        what = f"version {version} of {what}"
    ((live, finished),) = yield Fetch(
        "schema_uses",
        {"schema_id": schema_id, "version": version, "most": _COUNTED},
    )
    if live or finished:
        message = (
            f"messages use {what}: {_count(live)} that have not finished, "
            f"{_count(finished)} that are kept or dead; deactivate it instead, or "
            "delete them first"
        )
        raise IllegalStateError(message)
    if version is not None:
        rows = yield Fetch("active_schemas", {"schema_ids": [schema_id]})
        others = yield Fetch(
            "other_active_schemas", {"schema_id": schema_id, "version": version}
        )
        if not rows or others:
            return  # queues that use it do as before
    if names := (yield from _queues_of(schema_id)):
        shown = ", ".join(repr(name) for name in names[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        message = (
            f"queues use {what}: {shown}{more}; give them another schema, or none, "
            "with update_queue first"
        )
        raise IllegalStateError(message)


def _count(number: int) -> str:
    return f"{number} or more" if number >= _COUNTED else str(number)


def _queues_of(schema_id: str) -> Operation[list[str]]:
    names: list[str] = []
    after = ""
    while True:
        page: dict[str, Any] = {"prefix": "", "length": 0}
        rows = yield Fetch("list_queues", {**page, "after": after, "limit": _PAGE})
        found = [QueueRow._make(row) for row in rows]
        names += [row.name for row in found if row.options.schema_id == schema_id]
        if len(found) < _PAGE:
            return names
        after = found[-1].name


def hold_schema_of(options: QueueOptions) -> Operation[None]:
    """Keep the schema that a queue is to use.

    Raises:
        ValidationError: It has no active version.
    """
    schema_id = options.schema_id
    if schema_id is None:
        return
    yield schema_lock(schema_id)
    if not (yield Fetch("active_schemas", {"schema_ids": [schema_id]})):
        raise ValidationError.of(
            "options.schema_id",
            f"schema {schema_id!r} has no active version; register one with "
            "register_schema",
        )
