"""Queue options: checked before they are stored, written as JSON, read back."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

from trioqueue.errors import Issue
from trioqueue.model.lease_policy import LeasePolicy
from trioqueue.model.queue import (
    MAX_PAYLOAD_BYTES,
    UNLIMITED_ATTEMPTS,
    Fairness,
    QueueOptions,
    QueueType,
    RetentionPolicy,
    queue_name_issues,
)
from trioqueue.model.retry_policy import RetryPolicy

MAX_CHAIN: Final = 64
"""How many keys of metadata, or validators, a queue may name."""

_KINDS: Final = {
    "lease": LeasePolicy,
    "retry": RetryPolicy,
    "retention": RetentionPolicy,
    "dead_letter_retention": RetentionPolicy,
    "type": QueueType,
    "fairness": Fairness,
}


_LATER: Final = ("schema_id", "schema_required", "required_metadata", "validators")


def option_issues(options: object) -> list[Issue]:
    """List everything that is wrong with a queue's options."""
    if not isinstance(options, QueueOptions):
        return [Issue("options", f"expected QueueOptions, got {options!r}")]
    issues = [
        Issue(f"options.{name}", f"expected {kind.__name__}, got {value!r}")
        for name, kind in _KINDS.items()
        if not isinstance(value := getattr(options, name), kind)
    ]
    if issues:
        return issues
    issues += attempts_issues(options.max_attempts, "options.max_attempts")
    issues += _limit_issues(options)
    if options.retry.kind == "callable":
        issues.append(
            Issue(
                "options.retry",
                "a function cannot be stored with a queue; give it to the task, or "
                "use RetryPolicy.exponential, fixed or linear",
            )
        )
    if options.dead_letter_queue is not None:
        issues += queue_name_issues(
            options.dead_letter_queue, "options.dead_letter_queue"
        )
    kinds = options.content_types
    if kinds is not None and not (
        isinstance(kinds, tuple) and kinds and all(isinstance(k, str) for k in kinds)
    ):
        issues.append(
            Issue("options.content_types", "expected a sequence of content types")
        )
    issues += _chain_issues(options)
    return issues + _unavailable(options)


def _chain_issues(options: QueueOptions) -> list[Issue]:
    issues = []
    if options.schema_id is not None:
        issues += queue_name_issues(options.schema_id, "options.schema_id")
    required: object = options.schema_required
    if not isinstance(required, bool):
        issues.append(
            Issue(
                "options.schema_required",
                f"must be true or false, got {required!r}",
            )
        )
    for name in ("required_metadata", "validators"):
        value = getattr(options, name)
        if not (
            isinstance(value, tuple)
            and len(value) <= MAX_CHAIN
            and len(set(value)) == len(value)
            and all(isinstance(each, str) and 0 < len(each) <= 128 for each in value)
        ):
            issues.append(
                Issue(
                    f"options.{name}",
                    f"expected up to {MAX_CHAIN} different names of at most 128 "
                    f"characters, got {value!r}",
                )
            )
    return issues


def attempts_issues(value: object, field: str) -> list[Issue]:
    """Say what is wrong with a number of attempts, if anything."""
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and (1 <= value < 2**31 or value == UNLIMITED_ATTEMPTS)
    ):
        return []
    return [
        Issue(field, f"must be a whole number >= 1, or -1 for no limit, got {value!r}")
    ]


def _limit_issues(options: QueueOptions) -> list[Issue]:
    issues = []
    for name in ("max_payload_bytes", "max_metadata_bytes"):
        value = getattr(options, name)
        if (
            not isinstance(value, int)
            or isinstance(value, bool)
            or not 0 <= value <= MAX_PAYLOAD_BYTES
        ):
            issues.append(
                Issue(
                    f"options.{name}",
                    f"must be a whole number from 0 to {MAX_PAYLOAD_BYTES}, "
                    f"got {value!r}",
                )
            )
    return issues


def _unavailable(options: QueueOptions) -> list[Issue]:
    """Refuse what is named already but does not run yet: silence would mislead."""
    later = {
        "type": options.type is not QueueType.SIMPLE,
        "fairness": options.fairness.kind != "strict",
        "deduplication_seconds": options.deduplication_seconds != 0,
    }
    return [
        Issue(f"options.{name}", "is not available in this version; leave it unset")
        for name, used in later.items()
        if used
    ]


def encode_options(options: QueueOptions) -> str:
    """Write options as the JSON text that a queue's row holds."""
    document: dict[str, Any] = {
        "max_attempts": options.max_attempts,
        "lease": options.lease.settings(),
        "retry": options.retry.settings(),
        "retention": options.retention.settings(),
        "dead_letter_queue": options.dead_letter_queue,
        "dead_letter_retention": options.dead_letter_retention.settings(),
        "type": options.type.value,
        "fairness": options.fairness.settings(),
        "max_payload_bytes": options.max_payload_bytes,
        "max_metadata_bytes": options.max_metadata_bytes,
        "content_types": options.content_types,
    }
    # Left out where unset, as in rows that were written before there were such options.
    for name in _LATER:
        if value := getattr(options, name):
            document[name] = value
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=1024)
def decode_options(text: str) -> QueueOptions:
    """Read options from a queue's row; the same text gives the same object."""
    document: dict[str, Any] = json.loads(text)
    fairness = document["fairness"]
    return QueueOptions(
        max_attempts=document["max_attempts"],
        lease=LeasePolicy.from_settings(document["lease"]),
        retry=RetryPolicy(**document["retry"]),
        retention=RetentionPolicy(**document["retention"]),
        dead_letter_queue=document["dead_letter_queue"],
        dead_letter_retention=RetentionPolicy(**document["dead_letter_retention"]),
        type=QueueType(document["type"]),
        fairness=Fairness(
            fairness["kind"],
            tuple((level, share) for level, share in fairness["weights"]),
            fairness["age_boost_seconds"],
        ),
        max_payload_bytes=document["max_payload_bytes"],
        max_metadata_bytes=document["max_metadata_bytes"],
        content_types=document["content_types"],
        **{name: document[name] for name in _LATER if name in document},
    )
