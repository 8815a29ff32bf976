"""Judging a PostgreSQL database by what was seen of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import attrs

from trioqueue.doctor.common_rules import (
    Contents,
    judge_copy,
    judge_services,
    judge_version,
)
from trioqueue.doctor.postgres_settings import judge_settings
from trioqueue.doctor.verdicts import Verdict, ok, problem, show_span, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LISTEN_SECONDS: Final = 2.0
SLOW_LISTEN_SECONDS: Final = 0.5
SKEW_SECONDS: Final = 5.0
"""A difference of the clocks that people notice; leases do not mind it."""
LONG_SECONDS: Final = 300.0
"""A transaction that is open for longer keeps dead rows from being cleaned away."""
MANY_DEAD: Final = 100_000
DEAD_PER_LIVE: Final = 5
VACUUM_SECONDS: Final = 3600.0


@final
@attrs.frozen
class Pin:
    """Something that keeps dead rows from being cleaned away.

    Attributes:
        what: Which it is, for people.
        seconds: For how long; None if that is not known.
        advice: How to end it.
    """

    what: str
    seconds: float | None
    advice: str


@final
@attrs.frozen
class PostgresFacts:
    """What was seen of a server; None: it could not be seen.

    Attributes:
        place: Where it is, without passwords.
        error: Why it cannot be reached, if so.
        unseen: What could not be looked at, and why.
        server: Its version, as a number such as 180004.
        oldest_server: What trioqueue needs.
        encoding: The encoding of the database.
        standby: Whether it only follows another server.
        schema: Where the tables are.
        schema_exists: Whether there is such a schema.
        may_create: Whether this role may make it, or the tables in it.
        missing: Rights that this role lacks, such as ``DELETE on tq_messages``.
        may_copy: Whether `trioqueue copy` can copy into it, which needs one right more.
        version: The schema version; 0 without tables.
        known_version: What this program needs.
        listen_seconds: How long a notification took to come back; None: it did not.
        skew_seconds: This machine's clock minus the server's.
        skew_error_seconds: How wrong that may be.
        pins: What keeps dead rows alive, the longest first.
        live_rows: Rows of tq_messages, about.
        dead_rows: Dead ones.
        vacuum_seconds: How long ago it was last vacuumed; None: never.
        connections: How many are open.
        settings: The server's settings by name, spans in milliseconds.
        contents: What is due.
    """

    place: str
    error: str | None = None
    unseen: Mapping[str, str] = attrs.field(factory=dict)
    server: int = 0
    oldest_server: int = 0
    encoding: str | None = None
    standby: bool = False
    schema: str = "trioqueue"
    schema_exists: bool = True
    may_create: bool = True
    missing: tuple[str, ...] = ()
    may_copy: bool = True
    version: int | None = None
    known_version: int = 0
    listen_seconds: float | None = None
    skew_seconds: float | None = None
    skew_error_seconds: float = 0.0
    pins: tuple[Pin, ...] = ()
    live_rows: int | None = None
    dead_rows: int | None = None
    vacuum_seconds: float | None = None
    connections: int | None = None
    settings: Mapping[str, str] = attrs.field(factory=dict)
    contents: Contents | None = None


def judge(facts: PostgresFacts) -> list[Verdict]:
    """Judge everything that was seen."""
    return list(_judge(facts))


def _judge(facts: PostgresFacts) -> Iterator[Verdict]:
    yield judge_reachable(facts)
    if facts.error is not None:
        return
    yield judge_server(facts)
    yield judge_rights(facts)
    yield judge_version(facts.version, facts.known_version)
    yield judge_listen(facts)
    yield judge_clock(facts)
    yield judge_pins(facts)
    yield judge_dead_rows(facts)
    yield from judge_settings(facts.settings, facts.connections)
    if facts.contents is not None:
        yield judge_services(facts.contents)
        yield judge_copy(facts.contents)
    for what, why in facts.unseen.items():
        yield warning(
            what, f"could not be looked at: {why}", "look with a role that may"
        )


def judge_reachable(facts: PostgresFacts) -> Verdict:
    """Judge whether the server can be reached."""
    if facts.error is not None:
        return problem(
            "server",
            f"{facts.place} cannot be reached: {facts.error}",
            "check the URL, the password, that the server runs and listens there, "
            "pg_hba.conf, and the network between",
        )
    return ok("server", f"{facts.place} answers")


def judge_server(facts: PostgresFacts) -> Verdict:
    """Judge what kind of server it is."""
    version = f"{facts.server // 10_000}.{facts.server % 10_000}"
    if facts.server < facts.oldest_server:
        return problem(
            "version",
            f"PostgreSQL {version} is too old",
            f"use PostgreSQL {facts.oldest_server // 10_000} or newer",
        )
    if facts.standby:
        return problem(
            "version",
            f"PostgreSQL {version} is a standby: it only follows another server",
            "connect to the primary, or put target_session_attrs=read-write in the URL",
        )
    if facts.encoding not in (None, "UTF8"):
        return problem(
            "version",
            f"the database's encoding is {facts.encoding}, which cannot hold all text",
            "make another database: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE "
            "template0",
        )
    return ok("version", f"PostgreSQL {version}, {facts.encoding}")


def judge_rights(facts: PostgresFacts) -> Verdict:
    """Judge what this role may do."""
    check, schema = "rights", facts.schema
    if not facts.schema_exists:
        if facts.may_create:
            return ok(check, f"schema {schema!r} is not there, and can be made")
        return problem(
            check,
            f"schema {schema!r} is not there, and this role may not make it",
            f'let its owner run: CREATE SCHEMA "{schema}" AUTHORIZATION role, or what '
            "'trioqueue migrate --sql' prints",
        )
    if facts.missing:
        return problem(
            check,
            f"this role lacks {', '.join(facts.missing)}",
            "let the tables' owner grant it: USAGE on the schema; SELECT, INSERT, "
            "UPDATE, DELETE on all tables; USAGE, UPDATE on all sequences (see the "
            "last lines of 'trioqueue migrate --sql')",
        )
    if not facts.may_copy:
        return warning(
            check,
            f"enough to work in schema {schema!r}, not to copy into it: this role "
            "lacks UPDATE on tq_tickets",
            "only 'trioqueue copy' into this database needs it; for that, let the "
            f'owner run: GRANT UPDATE ON SEQUENCE "{schema}".tq_tickets TO role',
        )
    if not facts.may_create:
        return ok(
            check,
            f"enough to work in schema {schema!r}, not to migrate it (see "
            "'trioqueue migrate --sql')",
        )
    return ok(check, f"enough to work in schema {schema!r} and to migrate it")


def judge_listen(facts: PostgresFacts) -> Verdict:
    """Judge whether notifications arrive."""
    seconds = facts.listen_seconds
    if seconds is None:
        return warning(
            "LISTEN",
            f"a notification did not come back within {LISTEN_SECONDS:g} s; workers "
            "find new messages only by polling",
            "PgBouncer hands notifications on only with pool_mode=session: connect to "
            "the server itself, or to a session pool, for quick starts",
        )
    text = f"a notification came back in {show_span(seconds)}"
    if seconds > SLOW_LISTEN_SECONDS:
        return warning(
            "LISTEN",
            text,
            "look for a long transaction or a full notification queue: "
            "SELECT pg_notification_queue_usage()",
        )
    return ok("LISTEN", text)


def judge_clock(facts: PostgresFacts) -> Verdict:
    """Judge the difference of the clocks."""
    if facts.skew_seconds is None:
        return warning("clock", "the server's clock was not read", "look again")
    skew = facts.skew_seconds
    about = f"give or take {show_span(facts.skew_error_seconds)}"
    if abs(skew) - facts.skew_error_seconds > SKEW_SECONDS:
        word = "ahead of" if skew > 0 else "behind"
        return warning(
            "clock",
            f"this machine is {show_span(abs(skew))} {word} the server ({about}); "
            "leases go by the server's clock and do not mind, but instants that "
            "programs here work out are wrong for it",
            "set both clocks by NTP",
        )
    return ok("clock", f"{show_span(abs(skew))} from the server's ({about})")


def judge_pins(facts: PostgresFacts) -> Verdict:
    """Judge what keeps dead rows alive."""
    long = [
        pin for pin in facts.pins if pin.seconds is None or pin.seconds > LONG_SECONDS
    ]
    if long:
        first = long[0]
        span = "" if first.seconds is None else f" for {show_span(first.seconds)}"
        more = f" (and {len(long) - 1} more)" if len(long) > 1 else ""
        return warning(
            "transactions",
            f"{first.what} is open{span}{more}: no row that died since can be cleaned "
            "away, and claims get slower",
            first.advice,
        )
    if facts.pins:
        oldest = max(pin.seconds or 0 for pin in facts.pins)
        return ok("transactions", f"the oldest is open for {show_span(oldest)}")
    return ok("transactions", "none is open")


def judge_dead_rows(facts: PostgresFacts) -> Verdict:
    """Judge whether autovacuum keeps up."""
    check, dead, live = "dead rows", facts.dead_rows, facts.live_rows
    if dead is None or live is None:
        return ok(check, "there is no table yet")
    ago = (
        "never vacuumed"
        if facts.vacuum_seconds is None
        else f"vacuumed {show_span(facts.vacuum_seconds)} ago"
    )
    text = f"about {dead} dead and {live} live rows in tq_messages, {ago}"
    stale = facts.vacuum_seconds is None or facts.vacuum_seconds > VACUUM_SECONDS
    if dead > MANY_DEAD and (dead > DEAD_PER_LIVE * live or stale):
        return warning(
            check,
            f"{text}: autovacuum does not keep up, and claims get slower",
            "end what keeps them alive (see transactions); then VACUUM tq_messages, "
            "and give autovacuum more workers or less delay",
        )
    return ok(check, text)
