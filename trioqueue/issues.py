"""What is wrong with a piece of input: the parts of a `ValidationError`."""

from __future__ import annotations

from typing import Literal, final

import attrs


@attrs.frozen
class Issue:
    """One thing wrong with a piece of input.

    Attributes:
        field: Where it is, as the caller wrote it: ``payload``,
            ``messages[3].priority``.
        message: What is wrong and what would be right.
    """

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


@final
@attrs.frozen
class ValidationIssue(Issue):
    """One thing to know about a schedule's rules.

    Attributes:
        severity: ``error`` (it is refused), ``warning`` (it runs, perhaps not as meant)
            or ``info``.
        rule_index: Which rule, counted from 0; -1 where it is about the whole.
        suggestion: What to write instead.
    """

    severity: Literal["error", "warning", "info"] = "error"
    rule_index: int = -1
    suggestion: str = ""

    def __str__(self) -> str:
        where = f"rules[{self.rule_index}]." if self.rule_index >= 0 else ""
        advice = f"; {self.suggestion}" if self.suggestion else ""
        return f"{where}{self.field}: {self.message}{advice}"


@final
@attrs.frozen
class Violation(Issue):
    """One thing that a schema has against a payload.

    Attributes:
        code: The keyword of the schema that says so: ``required``, ``type``, ...
    """

    code: str = ""

    @property
    def path(self) -> str:
        """Return its JSON pointer into the payload, such as ``/items/0/price``."""
        return self.field.partition("payload")[2]
