"""What the demo says in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

import attrs

from trioqueue.cli.output import safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioqueue.cli.demonstration.accident import Accident, Recovery
    from trioqueue.cli.demonstration.audit import Audit
    from trioqueue.cli.demonstration.plan import Plan

SHOWN_PROBLEMS: Final = 3


@final
@attrs.frozen
class Report:
    """Everything that a run of the demo has shown.

    Attributes:
        plan: What was to be done.
        audit: What was found in the end.
        accident: The worker that was killed (None: the work was over too soon).
        recovery: What became of its messages.
        post_seconds: How long posting took.
        run_seconds: From the first claim until every message that ran once was done.
        total_seconds: How long all of it took.
    """

    plan: Plan
    audit: Audit
    accident: Accident | None
    recovery: Recovery | None
    post_seconds: float
    run_seconds: float
    total_seconds: float

    @property
    def problems(self) -> list[str]:
        """What is wrong, in words."""
        problems = list(self.audit.problems)
        if self.accident is not None and self.recovery is not None:
            held, back = len(self.accident.held), self.recovery.reclaimed
            if held != back:
                problems.append(
                    f"the killed worker held {held} messages, {back} came back"
                )
        return problems

    @property
    def verdict(self) -> str:
        """Whether every check has been passed, in words."""
        problems = self.problems
        if not problems:
            return "demo passed"
        more = len(problems) - SHOWN_PROBLEMS
        shown = "; ".join(map(safe, problems[:SHOWN_PROBLEMS]))
        return f"demo FAILED: {shown}" + (f"; and {more} more" if more > 0 else "")

    @property
    def post_rate(self) -> float:
        """Messages posted per second."""
        return len(self.plan.posts) / max(self.post_seconds, 1e-6)

    @property
    def run_rate(self) -> float:
        """Messages done per second, those that ran once: no lease was waited for."""
        once = self.audit.completed + self.audit.dead - self.audit.ran_again
        return max(0, once) / max(self.run_seconds, 1e-6)

    def document(self) -> dict[str, Any]:
        """Return all of it as one JSON document."""
        audit = self.audit
        return {
            "path": str(self.plan.root),
            "files": len(self.plan.posts),
            "bytes": audit.size,
            "lines": audit.lines,
            "workers": self.plan.workers,
            "posted": len(self.plan.posts),
            "completed": audit.completed,
            "dead": audit.dead,
            "lost": audit.lost,
            "ran_again": audit.ran_again,
            "completed_twice": audit.twice,
            "verified": audit.verified,
            "changed_since": audit.changed,
            "killed": self._killed(),
            "post_rate": round(self.post_rate, 1),
            "run_rate": round(self.run_rate, 1),
            "total_seconds": round(self.total_seconds, 3),
            "problems": self.problems,
            "passed": not self.problems,
            "verdict": self.verdict,
        }

    def _killed(self) -> dict[str, Any] | None:
        accident, recovery = self.accident, self.recovery
        if accident is None or recovery is None:
            return None
        return {
            "worker": accident.number,
            "pid": accident.pid,
            "held": len(accident.held),
            "reclaimed": recovery.reclaimed,
            "reclaimed_after_seconds": recovery.seconds,
            "run_again_by": list(recovery.run_again_by),
        }

    def lines(self) -> Iterable[str]:
        """Write it for people."""
        audit = self.audit
        posted = len(self.plan.posts)
        rows: tuple[tuple[str, str, str], ...] = (
            ("files", f"{posted:,}", f"in {safe(str(self.plan.root))}"),
            ("bytes", f"{audit.size:,}", ""),
            ("lines", f"{audit.lines:,}", ""),
            ("posted", f"{posted:,}", ""),
            ("completed", f"{audit.completed:,}", ""),
            ("dead", f"{audit.dead:,}", ""),
            ("lost", f"{audit.lost:,}", ""),
            ("ran again", f"{audit.ran_again:,}", self._why_again()),
            ("completed twice", f"{audit.twice:,}", "by the workers' own ledgers"),
            ("post rate", f"{self.post_rate:,.0f}", "messages/s, in one process"),
            (
                "run rate",
                f"{self.run_rate:,.0f}",
                f"messages/s, {_workers(self.plan.workers)}",
            ),
            ("total", f"{self.total_seconds:,.1f}", "s"),
        )
        names = max(len(name) for name, _, _ in rows)
        values = max(len(value) for _, value, _ in rows)
        for name, value, note in rows:
            yield f"{name:<{names}}  {value:>{values}}  {note}".rstrip()
        yield ""
        yield (
            f"posted {posted:,} = completed {audit.completed:,} + dead {audit.dead:,}, "
            f"lost {audit.lost:,}"
        )
        yield self._verified()
        yield self.verdict

    def _why_again(self) -> str:
        if self.accident is None:
            return ""
        held, number = len(self.accident.held), self.accident.number
        return f"{held:,} of them after worker {number} was killed"

    def _verified(self) -> str:
        audit = self.audit
        which = "every result" if audit.verified == audit.completed else "results"
        text = f"{which} verified against a direct computation: "
        text += f"{audit.verified:,} of {audit.completed:,}"
        if audit.changed:
            text += f" ({audit.changed:,} files have changed since)"
        return text


def _workers(count: int) -> str:
    return "1 worker process" if count == 1 else f"{count} worker processes"
