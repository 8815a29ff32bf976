"""A journal that the server keeps of what happens to messages, and what it must show.

Triggers write it, so each entry is of the transaction that it tells of, and says when
that was by the server's own clock.  Changes of one message are in it in their order,
for they wait for each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import psycopg

from tests.postgres_server import Server
from trioqueue import MessageState

PENDING: Final = int(MessageState.PENDING)
RUNNING: Final = int(MessageState.RUNNING)
CLOCK_ERROR: Final = 100_000
"""Microseconds by which a process may misjudge the server's clock, on a busy machine.

It knows it to half a round trip; the leases of these tests are ten times as long.
"""

_JOURNAL: Final = """
CREATE TABLE {schema}.journal (
    entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::int8,
    what text NOT NULL, message_id text NOT NULL, state int NOT NULL,
    attempts int NOT NULL, max_attempts int NOT NULL, attempt_id bigint,
    lease_expires_at bigint, renewals bigint
);
CREATE FUNCTION {schema}.live() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO {schema}.journal (what, message_id, state, attempts, max_attempts)
        VALUES ('gone', OLD.message_id, OLD.state, OLD.attempts, OLD.max_attempts);
    ELSE
        INSERT INTO {schema}.journal (what, message_id, state, attempts, max_attempts,
            attempt_id, lease_expires_at, renewals)
        VALUES (CASE TG_OP WHEN 'INSERT' THEN 'posted' ELSE 'changed' END,
            NEW.message_id, NEW.state, NEW.attempts, NEW.max_attempts, NEW.attempt_id,
            NEW.lease_expires_at, NEW.renewals);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION {schema}.finished() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO {schema}.journal (what, message_id, state, attempts, max_attempts)
    VALUES ('finished', NEW.message_id, NEW.state, NEW.attempts, NEW.max_attempts);
    RETURN NULL;
END $$;
CREATE TRIGGER journal AFTER INSERT OR UPDATE OR DELETE ON {schema}.tq_messages
    FOR EACH ROW EXECUTE FUNCTION {schema}.live();
CREATE TRIGGER journal AFTER INSERT ON {schema}.tq_history
    FOR EACH ROW EXECUTE FUNCTION {schema}.finished();
"""


class Entry(NamedTuple):
    """One change of one message."""

    at: int
    what: str
    message_id: str
    state: int
    attempts: int
    max_attempts: int
    attempt_id: int | None
    lease_expires_at: int | None
    renewals: int | None


def keep_journal(server: Server, schema: str) -> None:
    """Begin to keep it; the store's tables must be there."""
    with server.connect() as connection:
        connection.execute(_JOURNAL.replace("{schema}", schema).encode())


def rows(server: Server, schema: str, query: str) -> list[tuple[Any, ...]]:
    """Run a query in the schema, beside the store."""
    with server.connect(options=f"-c search_path={schema}") as connection:
        return connection.execute(query.encode()).fetchall()


def number(server: Server, schema: str, query: str) -> int:
    """Run a query that has one number for an answer."""
    ((value,),) = rows(server, schema, query)
    return int(value)


def counting(server: Server, schema: str, query: str) -> Callable[[], int]:
    """Return what asks for a number again and again."""
    return lambda: number(server, schema, query)


class Findings(NamedTuple):
    """What a sound journal tells."""

    posted: int
    claims: int
    completed: int
    dead: int
    expired: int
    earliest_expiry: int
    """Microseconds before the end of a lease that an attempt was taken for expired."""


def check_journal(
    connection: psycopg.Connection, schema: str, accepted: Iterable[Sequence[str]]
) -> Findings:
    """Check that nothing went wrong with any message.

    Args:
        connection: To the server.
        schema: Where the journal is.
        accepted: The (message id, attempt id, attempt) of completions that the workers
            were told to have been accepted.
    """
    query = f"SELECT {', '.join(Entry._fields)} FROM {schema}.journal ORDER BY entry"
    lives: dict[str, list[Entry]] = defaultdict(list)
    for row in connection.execute(query.encode()).fetchall():
        entry = Entry(*row)
        lives[entry.message_id].append(entry)
    ended = {
        message_id: (attempt_id, int(attempt))
        for message_id, attempt_id, attempt in accepted
    }
    findings = [_check_life(life, ended.get(name)) for name, life in lives.items()]
    unknown = ended.keys() - lives.keys()
    assert not unknown, f"completed, but never posted: {unknown}"
    claims, completed, dead, expired, early = zip(*findings, strict=True)
    return Findings(
        len(lives), sum(claims), sum(completed), sum(dead), sum(expired), max(early)
    )


def _check_life(
    life: Sequence[Entry], ended: tuple[str, int] | None
) -> tuple[int, int, int, int, int]:
    """Check all that happened to one message; it must be over."""
    first, *changes = life
    assert first.what == "posted", life
    assert first.state in {0, PENDING}, life
    before, attempt_id, claims, expired, early = first, 0, 0, 0, 0
    finals: list[Entry] = []
    for entry in changes:
        # Nothing is done to a message that has finished, but to remove it.
        assert not finals or entry.what == "gone", life
        most = entry.max_attempts
        assert entry.attempts <= most or most == -1, life
        if entry.what == "finished":
            assert before.state == RUNNING, life
            finals.append(entry)
            if entry.state != int(MessageState.COMPLETED):
                early = max(early, _earliness(before, entry))
                expired += 1
        elif entry.what == "gone":
            assert finals, life
        elif entry.state == RUNNING and entry.attempt_id != before.attempt_id:
            # A claim: of one that nobody held, under a higher number than ever.
            assert before.state == PENDING, life
            assert entry.attempt_id is not None, life
            assert entry.attempt_id > attempt_id, life
            attempt_id = entry.attempt_id
            claims += 1
        elif before.state == RUNNING != entry.state:
            early = max(early, _earliness(before, entry))
            expired += 1
        if entry.what == "changed":
            before = entry
    assert early <= CLOCK_ERROR, life
    assert len(finals) == 1, life
    assert life[-1].what == "gone", life
    done = finals[0].state == int(MessageState.COMPLETED)
    if ended is not None:
        # Whoever was told that it completed the message held it last, and alone.
        assert done, life
        assert ended == (str(attempt_id), finals[0].attempts), life
    return claims, done, not done, expired, early


def _earliness(before: Entry, entry: Entry) -> int:
    """Return how long before its lease ended an attempt was taken for expired.

    The workers of these tests never fail or release.
    """
    assert before.lease_expires_at is not None
    return before.lease_expires_at - entry.at
