"""What is made of the answers to drafts: results, or one error for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from trioqueue.errors import Issue, ValidationError
from trioqueue.store.deciding import ManyUndecidedError, together, undecided_in
from trioqueue.store.operations.core import unwrap
from trioqueue.store.operations.post import limit_issues, post

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trioqueue.model.message import PostResult
    from trioqueue.model.queue import QueueOptions
    from trioqueue.store.operations.core import Context, Operation
    from trioqueue.store.operations.post import Draft


def all_issues(draft: Draft, issues: list[Issue], options: QueueOptions) -> list[Issue]:
    """Add what the queue's own limits say, so that every problem is reported."""
    return together(issues, limit_issues(draft, options))


def post_all(context: Context, drafts: Sequence[Draft]) -> Operation[list[PostResult]]:
    """Post every draft or, by raising, none."""
    answers = yield from post(context, drafts)
    if (undecided := undecided_in(answers)) is not None:
        raise ManyUndecidedError(undecided)
    results = [unwrap(answer) for answer in answers]
    refused = {i: r.error for i, r in enumerate(results) if r.error is not None}
    if refused:
        for error in refused.values():
            if not isinstance(error, ValidationError):
                raise error
        raise numbered(
            {
                index: list(error.issues)
                for index, error in refused.items()
                if isinstance(error, ValidationError)
            }
        )
    return results


def error_of(answer: PostResult, draft: Draft) -> Exception:
    """Return why a message was not stored."""
    return answer.error or RuntimeError(f"no answer for {draft.message_id}")


def numbered(issues: Mapping[int, Sequence[Issue]]) -> ValidationError:
    """Make one error of what is wrong with several messages, by their indexes."""
    return ValidationError(
        attrs.evolve(issue, field=f"messages[{index}].{issue.field}")
        for index, problems in issues.items()
        for issue in problems
    )
