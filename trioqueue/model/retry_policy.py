"""How long a failed message waits before its next attempt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, Literal, final

import attrs

from trioqueue.errors import Issue, ValidationError
from trioqueue.model.spans import Seconds, to_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DELAY_SECONDS: Final = 10 * 366 * 24 * 3600.0


@final
@attrs.frozen
class RetryPolicy:
    """A rule from the number of the failed attempt to a delay.

    Make one with `exponential`, `fixed`, `linear` or `calling`.
    """

    kind: Literal["exponential", "fixed", "linear", "callable"]
    base_seconds: float = 1.0
    factor: float = 2.0
    cap_seconds: float = 3600.0
    jitter: bool = False
    function: Callable[[int], float] | None = None

    @classmethod
    def exponential(
        cls,
        base_seconds: Seconds = 1,
        factor: float = 2,
        cap_seconds: Seconds = 3600,
        jitter: bool = True,  # noqa: FBT001, FBT002  part of the published signature
    ) -> RetryPolicy:
        """Wait ``min(cap, base * factor ** (attempt - 1))`` seconds.

        Args:
            base_seconds: The delay after the first attempt.
            factor: What each further attempt multiplies it by, at least 1.
            cap_seconds: The longest delay.
            jitter: Draw the delay evenly between 0 and that ("full jitter"), so that
                messages that failed together do not come back together.
        """
        base = _span(base_seconds, "retry.base_seconds")
        cap = _span(cap_seconds, "retry.cap_seconds")
        if (
            isinstance(factor, bool)
            or not isinstance(factor, (int, float))
            or not 1 <= factor < math.inf
        ):
            raise ValidationError.of(
                "retry.factor", f"must be a number of at least 1, got {factor!r}"
            )
        return cls("exponential", base, float(factor), cap, bool(jitter))

    @classmethod
    def fixed(cls, seconds: Seconds) -> RetryPolicy:
        """Wait the same time after each attempt (0: ready again at once)."""
        span = _span(seconds, "retry.seconds")
        return cls("fixed", span, 1.0, span)

    @classmethod
    def linear(cls, step_seconds: Seconds, cap_seconds: Seconds = 3600) -> RetryPolicy:
        """Wait ``min(cap, step * attempt)`` seconds."""
        return cls(
            "linear",
            _span(step_seconds, "retry.step_seconds"),
            1.0,
            _span(cap_seconds, "retry.cap_seconds"),
        )

    @classmethod
    def calling(cls, function: Callable[[int], float]) -> RetryPolicy:
        """Ask a function of the attempt's number for the delay in seconds.

        Code cannot be kept in a database, so such a policy belongs to a task, not
        to a queue's options.
        """
        if not callable(function):
            raise ValidationError.of("retry", f"expected a callable, got {function!r}")
        return cls("callable", function=function)

    def settings(self) -> dict[str, Any]:
        """Return what is stored with a queue."""
        return {
            "kind": self.kind,
            "base_seconds": self.base_seconds,
            "factor": self.factor,
            "cap_seconds": self.cap_seconds,
            "jitter": self.jitter,
        }


def _span(value: Seconds, field: str) -> float:
    seconds = to_seconds(value, field)
    if not 0 <= seconds <= MAX_DELAY_SECONDS:
        raise ValidationError(
            [Issue(field, f"must be between 0 and ten years, got {seconds:g}")]
        )
    return seconds
