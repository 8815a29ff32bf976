"""Messages that take long to validate: in a thread, between two transactions.

Validating holds up whoever waits for the same transaction, and the Trio loop.  So
what is large is handed back by the operation, with the schema that counts; its verdict
goes with it when it is posted again, and holds if the schema is still the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trioqueue.store.operations.core import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioqueue.errors import Issue
    from trioqueue.model.message import PostResult
    from trioqueue.store.operations.post import Draft


class ManyUndecidedError(Exception):
    """Messages must be validated before any of them can be posted.

    Attributes:
        documents: The schema of each, by its index.
    """

    def __init__(self, documents: Mapping[int, str]) -> None:
        self.documents = documents
        super().__init__("messages must be validated first")


def undecided_in(answers: Sequence[PostResult | Failure]) -> dict[int, str] | None:
    """Return the schemas of those answers that must be decided, by index, if any."""
    found: dict[int, str] | None = None
    for index, answer in enumerate(answers):
        if type(answer) is Failure:
            from trioqueue.store.operations.schema_checks import UndecidedError

            if isinstance(answer.error, UndecidedError):
                found = found or {}
                found[index] = answer.error.document
    return found


async def decide(
    drafts: Sequence[Draft],
    documents: Mapping[int, str],
    limiter: trio.CapacityLimiter,
) -> list[Draft]:
    """Validate those drafts for which a schema is given, in a thread."""
    from trioqueue.store.operations.schema_checks import verdict_on

    def judge() -> list[Draft]:
        decided = list(drafts)
        for index, document in documents.items():
            verdict = verdict_on(document, drafts[index].content)
            decided[index] = drafts[index]._replace(verdict=verdict)
        return decided

    # Abandoned when canceled: it only computes, and its cost is bounded.
    return await trio.to_thread.run_sync(judge, abandon_on_cancel=True, limiter=limiter)


def together(issues: list[Issue], more: Sequence[Issue]) -> list[Issue]:
    """Add to a draft's issues what its queue says of the fields that are right."""
    named = {issue.field for issue in issues}
    return issues + [
        issue for issue in more if issue.field.partition("/")[0] not in named
    ]
