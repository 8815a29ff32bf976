"""Which settings of a PostgreSQL server hurt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trioqueue.doctor.verdicts import Verdict, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHORT_MS: Final = 10_000
"""A statement may wait this long for a disk or a lock, and still be right to."""
NEARLY_ALL: Final = 0.9
MOST: Final = 0.75

NAMES: Final = (
    "autovacuum",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "fsync",
    "full_page_writes",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "max_connections",
    "statement_timeout",
    "superuser_reserved_connections",
    "synchronous_commit",
    "track_counts",
    "transaction_timeout",
)
"""What is asked for; a server that does not know one does not name it."""

_TURNED_OFF: Final = {
    "fsync": "a power cut may destroy the whole database",
    "full_page_writes": "a power cut may leave half-written pages behind",
    "autovacuum": "dead rows are never cleaned away, and claims get slower and slower",
    "track_counts": "autovacuum does not see where dead rows are, and does nothing",
}


def judge_settings(
    settings: Mapping[str, str], connections: int | None
) -> Iterator[Verdict]:
    """Judge the settings, one verdict for each that hurts.

    Args:
        settings: Values by name, spans in milliseconds.
        connections: How many are open.
    """
    found = [*_broken(settings), *_doubtful(settings), *_spans(settings)]
    yield from found
    if not found:
        yield ok("settings", f"none that hurts{_hint(settings)}")
    yield judge_connections(settings, connections)


def _broken(settings: Mapping[str, str]) -> Iterator[Verdict]:
    for name, harm in _TURNED_OFF.items():
        if settings.get(name) == "off":
            yield problem(
                "settings", f"{name} is off: {harm}", f"set {name} = on, and reload"
            )
    if settings.get("default_transaction_read_only") == "on":
        yield problem(
            "settings",
            "default_transaction_read_only is on: nothing can be written",
            "turn it off for this role: ALTER ROLE ... SET "
            "default_transaction_read_only = off",
        )


def _doubtful(settings: Mapping[str, str]) -> Iterator[Verdict]:
    if settings.get("synchronous_commit") == "off":
        yield warning(
            "settings",
            "synchronous_commit is off: a crash of the server may lose the last "
            "messages posted",
            "turn it on for this role, unless that is wanted",
        )
    level = settings.get("default_transaction_isolation", "read committed")
    if level != "read committed":
        yield warning(
            "settings",
            f"default_transaction_isolation is {level}: work on the same queue fails "
            "and is repeated more often",
            "set it to 'read committed' for this role",
        )


def _spans(settings: Mapping[str, str]) -> Iterator[Verdict]:
    for name in ("statement_timeout", "lock_timeout", "transaction_timeout"):
        span = int(settings.get(name, "0"))
        if 0 < span < SHORT_MS:
            yield warning(
                "settings",
                f"{name} is {span} ms: busy moments make good work fail",
                f"set it to {SHORT_MS // 1000} s or more, or to 0, for this role",
            )


def _hint(settings: Mapping[str, str]) -> str:
    """Say what could be better, and hurts only once another program misbehaves."""
    if settings.get("idle_in_transaction_session_timeout") != "0":
        return ""
    return (
        "; idle_in_transaction_session_timeout is 0, as by default: trioqueue's own "
        "sessions have a limit, but another program that hangs in a transaction keeps "
        "dead rows alive as long as it hangs (if there are such programs, set it to "
        "some minutes)"
    )


def judge_connections(settings: Mapping[str, str], connections: int | None) -> Verdict:
    """Judge how many more connections there can be."""
    if connections is None or "max_connections" not in settings:
        return ok("connections", "not counted")
    reserved = int(settings.get("superuser_reserved_connections", "0"))
    most = int(settings["max_connections"]) - reserved
    text = f"{connections} of {most} are in use"
    advice = "raise max_connections, use smaller pools, or put PgBouncer in between"
    if connections >= NEARLY_ALL * most:
        return problem("connections", f"{text}: new ones will be refused", advice)
    if connections >= MOST * most:
        return warning("connections", text, advice)
    return ok("connections", text)
