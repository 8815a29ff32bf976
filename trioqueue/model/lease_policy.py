"""How long a worker may hold a message, and how it prolongs its hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, final

import attrs

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.spans import Seconds, to_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_BASE_SECONDS: Final = 30.0
MAX_LEASE_SECONDS: Final = 366 * 24 * 3600.0

_SPANS: Final = (
    "base_seconds",
    "extend_seconds",
    "max_extension_seconds",
    "heartbeat_seconds",
    "execution_limit_seconds",
)


@final
@attrs.frozen(init=False)
class LeasePolicy:
    """The terms of a lease; a field left unset inherits.

    Policies are merged field by field: the message's over the claim's over the
    queue's over the defaults given here.  ``math.inf`` says "none" where a lower
    policy sets a bound.

    Attributes:
        base_seconds: From the claim to the first deadline (30).
        extend_seconds: A heartbeat's step (None: as long as the base).
        max_extension_seconds: The most that heartbeats add in all (None: no cap,
            so a live worker keeps its long jobs).
        max_renewals: How many heartbeats may prolong the lease (None: any number).
        heartbeat_seconds: The longest gap allowed between heartbeats (None: only
            the lease's own deadline counts).
        execution_limit_seconds: The longest a handler may run (None: no limit).

    Raises:
        ValidationError: A value that can never work, every one named.
    """

    _base: float | None
    extend_seconds: float | None
    max_extension_seconds: float | None
    max_renewals: int | None
    heartbeat_seconds: float | None
    execution_limit_seconds: float | None

    def __init__(  # noqa: PLR0917  the published signature
        self,
        base_seconds: Seconds | None = None,
        extend_seconds: Seconds | None = None,
        max_extension_seconds: Seconds | None = None,
        max_renewals: int | None = None,
        heartbeat_seconds: Seconds | None = None,
        execution_limit_seconds: Seconds | None = None,
    ) -> None:
        given = {
            "base_seconds": base_seconds,
            "extend_seconds": extend_seconds,
            "max_extension_seconds": max_extension_seconds,
            "heartbeat_seconds": heartbeat_seconds,
            "execution_limit_seconds": execution_limit_seconds,
        }
        spans = {
            name: None if value is None else to_seconds(value, f"lease.{name}")
            for name, value in given.items()
        }
        issues = _field_issues(spans, max_renewals)
        if issues:
            raise ValidationError(issues)
        self._set({**spans, "max_renewals": max_renewals})

    def _set(self, settings: Mapping[str, Any]) -> None:
        self.__attrs_init__(  # pyright: ignore[reportAttributeAccessIssue]
            base=settings.get("base_seconds"),
            extend_seconds=settings.get("extend_seconds"),
            max_extension_seconds=settings.get("max_extension_seconds"),
            max_renewals=settings.get("max_renewals"),
            heartbeat_seconds=settings.get("heartbeat_seconds"),
            execution_limit_seconds=settings.get("execution_limit_seconds"),
        )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> LeasePolicy:
        """Make a policy of what `settings` gave, field by field, without checks.

        Fields that were checked one policy at a time may not fit together: a gap
        between heartbeats longer than the whole hold does no harm, and a message must
        not become unclaimable for it.
        """
        policy = cls.__new__(cls)
        policy._set(settings)  # noqa: SLF001  a constructor of this class
        return policy

    @property
    def base_seconds(self) -> float:
        """From the claim to the first deadline, in seconds."""
        return DEFAULT_BASE_SECONDS if self._base is None else self._base

    def settings(self) -> dict[str, float | int]:
        """Return only the fields that are set, as keyword arguments."""
        values = {
            "base_seconds": self._base,
            "extend_seconds": self.extend_seconds,
            "max_extension_seconds": self.max_extension_seconds,
            "max_renewals": self.max_renewals,
            "heartbeat_seconds": self.heartbeat_seconds,
            "execution_limit_seconds": self.execution_limit_seconds,
        }
        return {name: value for name, value in values.items() if value is not None}

    def over(self, lower: LeasePolicy | None) -> LeasePolicy:
        """Merge field by field: what is set here wins over `lower`."""
        if lower is None:
            return self
        return LeasePolicy.from_settings({**lower.settings(), **self.settings()})


def _field_issues(spans: dict[str, float | None], renewals: int | None) -> list[Issue]:
    issues = []
    for name in _SPANS:
        value = spans[name]
        if value is None:
            continue
        least = 0.0 if name == "max_extension_seconds" else 1e-6
        if value < least:
            issues.append(
                Issue(f"lease.{name}", f"must be greater than 0, got {value:g}")
            )
        elif value > MAX_LEASE_SECONDS and not (
            math.isinf(value) and name not in ("base_seconds", "extend_seconds")
        ):
            issues.append(
                Issue(f"lease.{name}", f"must be at most a year, got {value:g}")
            )
    if renewals is not None and (
        isinstance(renewals, bool) or not isinstance(renewals, int) or renewals < 0
    ):
        issues.append(
            Issue("lease.max_renewals", f"must be a whole number >= 0, got {renewals}")
        )
    base, beat = spans["base_seconds"], spans["heartbeat_seconds"]
    extension = spans["max_extension_seconds"]
    # With both ends of the hold set here, a gap that long could never be exceeded.
    # (Against what is inherited it is not checked: it may change after the message.)
    if (
        base is not None
        and beat is not None
        and extension is not None
        and math.isfinite(beat)
        and beat >= base + extension
    ):
        issues.append(
            Issue(
                "lease.heartbeat_seconds",
                f"must be shorter than base + max_extension ({base + extension:g} s), "
                f"got {beat:g}",
            )
        )
    return issues
