"""What is judged alike in every kind of database."""

from __future__ import annotations

from typing import final

import attrs

from trioqueue.doctor.verdicts import (
    LATE_SECONDS,
    SECOND,
    Verdict,
    ok,
    problem,
    show_span,
    warning,
)


@final
@attrs.frozen
class Contents:
    """What the tables say of who works on them.

    Attributes:
        now: The present instant by the database's clock, in microseconds.
        next_due: When the first delayed message falls due, or fell due.
        next_expiry: When the first lease ends, or ended.
        next_schedule: When the first schedule runs, or should have run.
        unfinished_copy: Whether a copy into this database was interrupted.
    """

    now: int
    next_due: int | None = None
    next_expiry: int | None = None
    next_schedule: int | None = None
    unfinished_copy: bool = False


def judge_version(found: int | None, known: int) -> Verdict:
    """Judge the schema version; None: it could not be read."""
    check = "schema"
    if found is None:
        return problem(
            check, "the schema version cannot be read", "see the checks above"
        )
    if found == 0:
        return warning(
            check,
            "there are no tables yet",
            "make them with: trioqueue migrate (opening the store does it as well)",
        )
    if found < known:
        return problem(
            check,
            f"the schema is at version {found}, this trioqueue needs {known}",
            "bring it up to date with: trioqueue migrate",
        )
    if found > known:
        return problem(
            check,
            f"the schema is at version {found}, this trioqueue knows versions up to "
            f"{known}",
            "upgrade trioqueue on this machine",
        )
    return ok(check, f"version {found}, as this trioqueue needs it")


def judge_services(contents: Contents) -> Verdict:
    """Judge whether services do what is due."""
    late = []
    for what, service, instant in (
        ("a delayed message fell due", "scheduler", contents.next_due),
        ("a lease ended", "reclaim", contents.next_expiry),
        ("a schedule should have run", "cron or calendar", contents.next_schedule),
    ):
        if instant is not None:
            seconds = (contents.now - instant) / SECOND
            if seconds > LATE_SECONDS:
                span = show_span(seconds)
                late.append(f"{what} {span} ago, so no {service} service runs")
    if late:
        return warning(
            "services",
            "; ".join(late),
            "start a worker (it runs the services), or open_services(store); on a "
            "machine that sleeps, or is busy, they may only be late",
        )
    return ok("services", "nothing is overdue")


def judge_copy(contents: Contents) -> Verdict:
    """Judge whether a copy was interrupted."""
    if contents.unfinished_copy:
        return warning(
            "copy",
            "a copy into this database is unfinished; what it brought is paused",
            "run the same 'trioqueue copy' again: it begins again and completes it",
        )
    return ok("copy", "no copy is unfinished")
