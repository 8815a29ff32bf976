"""The store's schema methods: a registry of JSON Schemas, and what they say."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.payload import EncodingProblem, encode_json
from trioqueue.model.queue import queue_name_issues
from trioqueue.store.base import StoreBase, check_count, check_text
from trioqueue.store.operations import schemas

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioqueue.errors import Violation
    from trioqueue.model.schema import SchemaVersion

T = TypeVar("T")


class SchemaMethods(StoreBase):
    """Keep JSON Schemas in versions; see what they say of payloads."""

    async def register_schema(
        self,
        schema_id: str,
        document: Any,
        *,
        description: str = "",
        compatible: bool = False,
    ) -> SchemaVersion:
        """Store a JSON Schema as the next version, which messages use from now on.

        The same document as the newest version's, if that is active, is that version.

        Args:
            schema_id: 1 to 128 characters of ``A-Z a-z 0-9 . _ -``.
            document: A JSON Schema, 2020-12 unless its ``$schema`` says otherwise; at
                most 128 KiB and 64 levels.  It refers to nothing outside itself, and
                its patterns have no look-around and no back-references.
            description: What people may want to know.
            compatible: Refuse it unless it surely accepts all that the latest active
                version accepts; see `trioqueue.schema.check_compatibility`.

        Raises:
            ValidationError: It is no such schema, with every problem; or it may not be
                compatible; or jsonschema is not installed.
        """
        from trioqueue.schema.documents import check_document

        issues = queue_name_issues(schema_id, "schema_id")
        about = _description(description, issues)
        try:
            text = await self._compute(partial(check_document, document))
        except ValidationError as error:
            raise ValidationError([*issues, *error.issues]) from None
        if issues:
            raise ValidationError(issues)
        return await self._write(
            schemas.register_schema, schema_id, text, about, compatible=compatible
        )

    async def get_schema(
        self, schema_id: str, version: int | None = None
    ) -> SchemaVersion:
        """Return a version of a schema (default: the latest that is active).

        Raises:
            SchemaNotFoundError: There is none.
        """
        return await self._read(schemas.get_schema, *_place(schema_id, version))

    async def list_schemas(
        self,
        prefix: str = "",
        *,
        limit: int = 100,
        after: tuple[str, int] | None = None,
        active_only: bool = False,
    ) -> list[SchemaVersion]:
        """List versions of schemas by id and version.

        Args:
            prefix: Only ids that begin with it.
            limit: At most so many.
            after: Go on after this id and version: the last ones of the page before.
            active_only: Only versions that are active.
        """
        text = check_text(prefix, "prefix") or ""
        start = None
        if after is not None:
            if not isinstance(after, tuple) or len(after) != 2:
                raise ValidationError.of(
                    "after", f"expected (schema_id, version), got {after!r}"
                )
            schema_id, version = _place(*after)
            start = (schema_id, version or 0)
        return await self._read(
            schemas.list_schemas,
            text,
            check_count(limit, "limit"),
            start,
            active_only=bool(active_only),
        )

    async def deactivate_schema(self, schema_id: str, version: int) -> SchemaVersion:
        """Let no new message use a version; those that do stay as they are.

        Messages that name none get the latest one that is still active; if there is
        none, they are refused.

        Raises:
            SchemaNotFoundError: There is no such version.
        """
        place = _place(schema_id, _version(version))
        return await self._write(schemas.set_schema_active, *place, active=False)

    async def reactivate_schema(self, schema_id: str, version: int) -> SchemaVersion:
        """Let new messages use a version again.

        Raises:
            SchemaNotFoundError: There is no such version.
        """
        place = _place(schema_id, _version(version))
        return await self._write(schemas.set_schema_active, *place, active=True)

    async def delete_schema(self, schema_id: str, version: int | None = None) -> int:
        """Delete a version that nothing uses (default: all of them).

        It looks at every message that is kept; its number is never used again.

        Returns:
            How many versions it has deleted.

        Raises:
            SchemaNotFoundError: There is none.
            IllegalStateError: Messages were posted under it and are there still, live,
                retained or dead; or queues name the schema and would have none left.
        """
        return await self._write(schemas.delete_schema, *_place(schema_id, version))

    async def validate_payload(
        self, schema_id: str, payload: Any, version: int | None = None
    ) -> list[Violation]:
        """List what a schema has against a payload; nothing is stored.

        Args:
            schema_id: Which schema.
            payload: Any JSON value.
            version: Which version, active or not (the latest that is active).

        Raises:
            ValidationError: The payload is no JSON value, or jsonschema is missing.
            SchemaNotFoundError: There is no such schema.
        """
        from trioqueue.schema.validating import judge_fully

        place = _place(schema_id, version)
        try:
            content = encode_json(payload)
        except EncodingProblem as error:
            raise ValidationError.of("payload", str(error)) from None
        document = await self._read(schemas.document_of, *place)
        return list(await self._compute(partial(judge_fully, document, content)))

    async def _compute(self, work: Callable[[], T]) -> T:
        """Do what takes its time in a thread; in virtual time, in place."""
        if self._clock.is_virtual:
            await trio.lowlevel.checkpoint()
            return work()
        return await trio.to_thread.run_sync(
            work, abandon_on_cancel=True, limiter=self._planners
        )


def _place(schema_id: object, version: object) -> Any:
    issues = queue_name_issues(schema_id, "schema_id")
    if version is not None and (type(version) is not int or not 0 < version < 2**31):
        message = f"must be a whole number from 1 on, got {version!r}"
        issues.append(Issue("version", message))
    if issues:
        raise ValidationError(issues)
    return schema_id, version


def _version(version: object) -> object:
    """Refuse None, which elsewhere means the latest."""
    if version is None:
        raise ValidationError.of("version", "say which version")
    return version


def _description(value: object, issues: list[Issue]) -> str:
    try:
        return check_text(value, "description") or ""
    except ValidationError as error:
        issues += error.issues
        return ""
