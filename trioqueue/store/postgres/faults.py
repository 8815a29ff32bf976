"""From the driver's errors to ours: what happened, what to do, and will it pass.

While connecting, libpq gives no SQLSTATE, only a text; that is searched for phrases.  A
server that speaks another language than English is then described less well, never
wrongly.

Of the server's words only the primary message is repeated, and of a connection string
nothing: so no password and no data gets into an error.
"""

from __future__ import annotations

import re
from typing import Final, final

import attrs
import psycopg
from psycopg.errors import PipelineAborted

from trioqueue.errors import SchemaVersionError, StoreUnavailableError, TrioQueueError


@final
@attrs.frozen
class Fault:
    """A kind of trouble with the database.

    Attributes:
        advice: What it is, and what to do.
        transient: Whether it may pass by itself, so that trying again makes sense.
        schema: Whether the tables are not those of this trioqueue.
        quiet: Whether the driver's words are left out, as they may repeat a secret.
    """

    advice: str
    transient: bool = False
    schema: bool = False
    quiet: bool = False


_PASSWORD: Final = Fault(
    "the server refuses the password; check it, or the role's name"
)
_NO_DATABASE: Final = Fault("the database does not exist; create it, or name another")
_NO_ROLE: Final = Fault("the role does not exist or may not log in; check its name")
_RIGHTS: Final = Fault(
    "the role lacks a right; grant it (see the chapter on permissions), or use the "
    "role that owns the tables"
)
_BUSY: Final = Fault(
    "the server has no free connection; close some, or raise its max_connections",
    transient=True,
)
_STARTING: Final = Fault("the server is starting up or shutting down", transient=True)
_LOST: Final = Fault(
    "the connection was lost before the server answered, so the change may or may not "
    "be stored; repeat the call (a post with its message_id is stored once)",
    transient=True,
)
_LOST_IDLY: Final = Fault("the connection was lost", transient=True)
_CONFLICT: Final = Fault(
    "another transaction was in the way; try again", transient=True
)
_TABLES: Final = Fault(
    "the tables are not those of this trioqueue; open the store with migrate=True, or "
    "run `trioqueue migrate`",
    schema=True,
)
_IDLE: Final = Fault(
    "the server ended the connection because it was idle or slow for too long; raise "
    "its idle and transaction timeouts for this role",
    transient=True,
)
_UNREACHABLE: Final = Fault(
    "the server cannot be reached; is it running, are host and port right?",
    transient=True,
)
_RESOURCES: Final = Fault("the server ran out of a resource", transient=True)
_SETTINGS: Final = Fault(
    "the connection string is not valid; check its options, and write special "
    "characters in it as %XX",
    quiet=True,
)
_DISK: Final = Fault(
    "the server's disk is full; free some space, then try again: nothing was stored",
    transient=True,
)
_UNKNOWN_HOST: Final = Fault("the server's host name is unknown; check it", quiet=True)

_BY_STATE: Final = {
    "08": _LOST,
    "25006": Fault(
        "the server is read-only, perhaps a standby; connect to the primary",
        transient=True,
    ),
    "25P03": _IDLE,
    "25P04": _IDLE,
    "28000": _NO_ROLE,
    "28P01": _PASSWORD,
    "3D000": _NO_DATABASE,
    "3F000": _TABLES,
    "40001": _CONFLICT,
    "40P01": _CONFLICT,
    "23505": _CONFLICT,
    "55P03": _CONFLICT,
    "42501": _RIGHTS,
    "42703": _TABLES,
    "42P01": _TABLES,
    "53": _RESOURCES,
    "53100": _DISK,
    "53200": Fault("the server ran out of memory", transient=True),
    "53300": _BUSY,
    "57014": Fault(
        "the server canceled the statement (its statement_timeout, or an "
        "administrator); is it overloaded?",
        transient=True,
    ),
    "57P": _STARTING,
    "57P04": _NO_DATABASE,
    "57P05": _IDLE,
    "58": Fault("the server's disk reports an error; look into its log"),
    "XX001": Fault("the database is damaged; restore it from a backup"),
    "XX002": Fault("an index is damaged; rebuild it with REINDEX"),
}
"""By the SQLSTATE, or the longest beginning of it that is here."""

_BY_TEXT: Final = (
    (r"password authentication failed|no password supplied|SASL auth", _PASSWORD),
    (r"permission denied for database", _RIGHTS),
    (r'database ".*" does not exist|no such database', _NO_DATABASE),
    (r'role ".*" does not exist|not permitted to log in|no such user', _NO_ROLE),
    (
        r"pg_hba\.conf.*(no encryption|SSL off)|SSL required|requires SSL",
        Fault(
            "the server takes no unencrypted connection from here; add sslmode=require"
        ),
    ),
    (
        r"pg_hba\.conf|authentication failed|authentication method",
        Fault("the server's pg_hba.conf does not let this role in from this host"),
    ),
    (
        r"does not support SSL",
        Fault("the server does not speak SSL; set it up there, or change sslmode"),
    ),
    (
        r"certificate|SSL error",
        Fault("the server's SSL certificate is not accepted; check sslrootcert"),
    ),
    (r"too many (clients|connections)|connection slots|more connections", _BUSY),
    (
        r"starting up|shutting down|recovery mode|not (yet )?accepting",
        _STARTING,
    ),
    (r"No space left", _DISK),
    (
        r"unrecognized configuration parameter|invalid value for parameter",
        Fault("the server does not know a setting that the connection string asks for"),
    ),
    (
        r"Temporary failure in name resolution",
        Fault("the host's name cannot be looked up now", transient=True, quiet=True),
    ),
    (r"resolve host|translate host name|not known|getaddrinfo", _UNKNOWN_HOST),
    (
        r"Permission denied",
        Fault("this process may not use the server's socket; check its permissions"),
    ),
)
_CONNECTING: Final = re.compile(
    r"connection failed|connection is bad|connection to server|resolve host|timeout"
    r"|translate host name"
)
_PARSING: Final = re.compile(
    r"connection (option|info|string)|URI|percent-encoded|quoted"
)
_WORDS: Final = re.compile(r"(?:.*(?:FATAL|ERROR|failed|bad):\s+)?(.*)")
_UNKNOWN: Final = Fault("unexpected database error, please report")

_LOST_STATES: Final = ("08", "57P01", "57P02", "57P03", "57P04", "57P05", "25P03")
_CONFLICTS: Final = frozenset({"40001", "40P01", "23505", "55P03"})


def diagnose(error: BaseException) -> Fault:
    """Find out what kind of trouble an error of the driver tells of."""
    if isinstance(error, OSError):
        return _UNREACHABLE
    if not isinstance(error, psycopg.Error):
        return _UNKNOWN
    if state := error.sqlstate:
        prefixes = (state[:size] for size in (5, 3, 2))
        return next((_BY_STATE[p] for p in prefixes if p in _BY_STATE), _UNKNOWN)
    return _diagnose_text(error, str(error))


def _diagnose_text(error: psycopg.Error, text: str) -> Fault:
    if isinstance(error, psycopg.OperationalError):
        if not _CONNECTING.search(text):
            return _UNKNOWN if isinstance(error, PipelineAborted) else _LOST
        found = (fault for pattern, fault in _BY_TEXT if re.search(pattern, text))
        return next(found, _UNREACHABLE)
    # libpq's words about a connection string may repeat any part of it.
    if isinstance(error, psycopg.ProgrammingError) and _PARSING.search(text):
        return _SETTINGS
    return _UNKNOWN


def advice(error: BaseException) -> str:
    """Return what an error of the driver means and what to do."""
    return diagnose(error).advice


def translate(
    error: BaseException, where: str, *, changes: bool = True
) -> TrioQueueError:
    """Turn a driver's error into one of ours, of one line; ours come back unchanged.

    Raise the result ``from`` the error: `is_transient` looks at the cause.

    Args:
        error: What the driver raised.
        where: What to call the database, without its password.
        changes: Whether what failed may have changed something that is to be kept.
    """
    if isinstance(error, TrioQueueError):
        return error
    fault = diagnose(error)
    if fault is _LOST and not changes:
        fault = _LOST_IDLY
    words = "" if fault.quiet else _words(error)
    text = f"{where}: {fault.advice}" + (f" ({words})" if words else "")
    if fault.schema:
        from trioqueue.store.postgres.migrations import SCHEMA_VERSION

        return SchemaVersionError(text, found=0, known=SCHEMA_VERSION)
    return TrioQueueError(text) if fault is _UNKNOWN else StoreUnavailableError(text)


def _words(error: BaseException) -> str:
    """Return what the server or the driver said, in short."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    lines = str(error).strip().splitlines() or [type(error).__name__]
    match = _WORDS.fullmatch(lines[0].strip())
    return match[1] if match else lines[0]


def is_transient(error: Exception) -> bool:
    """Say whether an error may pass by itself; one of ours is judged by its cause."""
    if isinstance(error, StoreUnavailableError):
        cause = error.__cause__
        return cause is None or is_transient_cause(cause)
    return not isinstance(error, TrioQueueError) and is_transient_cause(error)


def is_transient_cause(error: BaseException) -> bool:
    """Say whether an error of the driver may pass by itself."""
    return diagnose(error).transient


def is_conflict(error: BaseException) -> bool:
    """Say whether another transaction was in the way, so that trying again helps."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _CONFLICTS


def is_connection_lost(error: BaseException) -> bool:
    """Say whether the connection is gone for good after this error."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        lost = psycopg.OperationalError | psycopg.InterfaceError
        return isinstance(error, lost) and not isinstance(error, PipelineAborted)
    fatal = error.diag.severity_nonlocalized in ("FATAL", "PANIC")
    return fatal or error.sqlstate.startswith(_LOST_STATES)
