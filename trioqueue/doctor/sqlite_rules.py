"""Judging an SQLite database by what was seen of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import attrs

from trioqueue.doctor.common_rules import (
    Contents,
    judge_copy,
    judge_services,
    judge_version,
)
from trioqueue.doctor.verdicts import (
    SECOND,
    Verdict,
    ok,
    problem,
    show_bytes,
    show_span,
    warning,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB: Final = 1024 * 1024
LITTLE_SPACE: Final = 64 * MIB
"""Less than the write-ahead log may take."""
ENOUGH_SPACE: Final = 1024 * MIB
LARGE_WAL: Final = 64 * MIB
CLOCK_SLACK_SECONDS: Final = 60.0
BUILT: Final = 1_700_000_000 * SECOND
"""An instant (in 2023) that no right clock is before."""

_FUSE: Final = "curlftpfs davfs2 glusterfs rclone s3fs sshfs vmhgfs-fuse"
_OTHERS: Final = """
    9p afs beegfs ceph cifs davfs glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs
    prl_fs smb3 smbfs vboxsf vmhgfs
"""
NETWORK: Final = frozenset(
    [*_OTHERS.split(), *(f"fuse.{kind}" for kind in _FUSE.split())]
)
"""File systems whose locks or shared memory do not work as SQLite needs them."""
VOLATILE: Final = frozenset(("tmpfs", "ramfs"))


@final
@attrs.frozen
class SqliteFacts:
    """What was seen of a database file; None: it could not be seen.

    Attributes:
        path: The file.
        exists: Whether there is one.
        error: Why it cannot be opened or read, if so.
        writable: Whether this user may write the file.
        directory_writable: Whether the log can be made beside it.
        filesystem: The type of the file system it is on.
        free_bytes: What is left there.
        file_bytes: The size of the file.
        wal_bytes: The size of its write-ahead log.
        journal_mode: As the file says.
        version: The schema version; 0 without tables.
        known_version: What this program needs.
        locked_seconds: How long another process has kept the write lock while this one
            waited; 0 if it could be taken, None if not tried.
        damage: What the integrity check found; None if it did not run.
        newest: The latest instant that the tables know to be past.
        contents: What is due.
        library: The version of SQLite.
        oldest_library: What trioqueue needs.
    """

    path: str
    exists: bool = True
    error: str | None = None
    writable: bool = True
    directory_writable: bool = True
    filesystem: str | None = None
    free_bytes: int | None = None
    file_bytes: int = 0
    wal_bytes: int = 0
    journal_mode: str | None = None
    version: int | None = None
    known_version: int = 0
    locked_seconds: float | None = None
    damage: tuple[str, ...] | None = None
    newest: int | None = None
    contents: Contents | None = None
    library: tuple[int, ...] = ()
    oldest_library: tuple[int, ...] = ()


def judge(facts: SqliteFacts) -> list[Verdict]:
    """Judge everything that was seen."""
    return list(_judge(facts))


def _judge(facts: SqliteFacts) -> Iterator[Verdict]:
    yield judge_library(facts)
    yield judge_file(facts)
    if not facts.exists:
        return
    yield judge_mount(facts)
    yield judge_space(facts)
    if facts.error is not None:
        return
    yield judge_version(facts.version, facts.known_version)
    yield judge_journal(facts)
    yield judge_wal(facts)
    yield judge_lock(facts)
    yield judge_integrity(facts)
    if facts.contents is not None:
        yield judge_clock(facts, facts.contents)
        yield judge_services(facts.contents)
        yield judge_copy(facts.contents)


def judge_library(facts: SqliteFacts) -> Verdict:
    """Judge the version of SQLite."""
    version, needed = (
        ".".join(map(str, v)) for v in (facts.library, facts.oldest_library)
    )
    if facts.library < facts.oldest_library:
        return problem(
            "library",
            f"SQLite {version} is too old",
            f"use a Python whose SQLite is {needed} or newer",
        )
    return ok("library", f"SQLite {version}")


def judge_file(facts: SqliteFacts) -> Verdict:
    """Judge whether the file can be used at all."""
    if not facts.exists:
        return problem(
            "file",
            f"{facts.path} does not exist",
            "name another with --db, or make it with: trioqueue migrate",
        )
    if facts.error is not None:
        return problem(
            "file",
            facts.error,
            "see to the path, its permissions, or the disk; then look again",
        )
    if not facts.writable or not facts.directory_writable:
        which = "the file" if not facts.writable else "its directory"
        return problem(
            "file",
            f"{facts.path}: {which} is not writable for this user",
            "make both writable: SQLite keeps its write-ahead log beside the file",
        )
    return ok("file", f"{facts.path}, {show_bytes(facts.file_bytes)}, writable")


def judge_mount(facts: SqliteFacts) -> Verdict:
    """Judge the file system."""
    kind = facts.filesystem
    if kind is None:
        return ok("mount", "the type of the file system is not known here")
    if kind in NETWORK:
        return problem(
            "mount",
            f"the file is on a network or shared file system ({kind}), where SQLite's "
            "locks and shared memory are not safe: the file may be damaged",
            "move it to a local disk; for several machines use PostgreSQL "
            "(trioqueue copy)",
        )
    if kind in VOLATILE:
        return warning(
            "mount",
            f"the file is in memory ({kind}): a restart of the machine loses it",
            "move it to a disk if its messages matter",
        )
    return ok("mount", f"local ({kind})")


def judge_space(facts: SqliteFacts) -> Verdict:
    """Judge what is left of the disk."""
    free = facts.free_bytes
    if free is None:
        return ok("disk", "the free space is not known here")
    text = f"{show_bytes(free)} free"
    advice = "free some space, or purge dead letters and shorten retention"
    if free < LITTLE_SPACE:
        return problem("disk", f"{text}: writing is about to fail", advice)
    if free < min(ENOUGH_SPACE, max(facts.file_bytes, 4 * LITTLE_SPACE)):
        return warning("disk", f"only {text}", advice)
    return ok("disk", text)


def judge_journal(facts: SqliteFacts) -> Verdict:
    """Judge the journal mode."""
    mode = facts.journal_mode
    if mode == "wal" or facts.version == 0:
        return ok("journal", f"mode {mode}")
    return warning(
        "journal",
        f"mode {mode}: readers and the writer wait for one another",
        "open the store once (any trioqueue command does): that switches it to WAL",
    )


def judge_wal(facts: SqliteFacts) -> Verdict:
    """Judge the size of the write-ahead log."""
    size = facts.wal_bytes
    text = f"{show_bytes(size)} beside {show_bytes(facts.file_bytes)}"
    if size > LARGE_WAL and size > facts.file_bytes // 2:
        return warning(
            "WAL",
            f"{text}: something has kept the log from being emptied, most likely a "
            "reader with a transaction open for long",
            "end programs that keep the file open without closing their queries",
        )
    return ok("WAL", text)


def judge_lock(facts: SqliteFacts) -> Verdict:
    """Judge whether the write lock can be had."""
    seconds = facts.locked_seconds
    if seconds is None:
        return warning(
            "lock", "the write lock was not tried", "make the file writable first"
        )
    if seconds:
        return problem(
            "lock",
            f"another process has kept the write lock for {show_span(seconds)}; "
            "nobody else can write meanwhile",
            "find it (fuser or lsof on the file): a program that hangs in a "
            "transaction, a debugger, a backup",
        )
    return ok("lock", "the write lock is free, or soon is")


def judge_integrity(facts: SqliteFacts) -> Verdict:
    """Judge what the integrity check said."""
    if facts.damage is None:
        return ok("integrity", "not looked at; --thorough reads the whole file")
    if facts.damage:
        return problem(
            "integrity",
            f"the file is damaged: {'; '.join(facts.damage)}",
            "stop everything, keep a copy of the file and its -wal, and restore a "
            "backup, or try: sqlite3 FILE .recover",
        )
    return ok("integrity", "quick_check found nothing")


def judge_clock(facts: SqliteFacts, contents: Contents) -> Verdict:
    """Judge this machine's clock by what the tables know to be past."""
    if contents.now < BUILT:
        return problem(
            "clock",
            "this machine's clock is years behind",
            "set it, and keep it right with NTP",
        )
    ahead = 0.0 if facts.newest is None else (facts.newest - contents.now) / SECOND
    if ahead > CLOCK_SLACK_SECONDS:
        return problem(
            "clock",
            f"the tables hold instants {show_span(ahead)} from now as past: the clock "
            "was set back, or was wrong before; leases and delays wait so much longer",
            "check the clock (NTP); if it is right now, it will catch up by itself",
        )
    return ok("clock", "not before what the tables have seen")
