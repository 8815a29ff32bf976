"""The work: files, what is to be found out about them, and how each is named."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SKIPPED: Final = frozenset({"site-packages", "__pycache__"})
CHUNK_BYTES: Final = 1 << 20
_NO_ID: Final = re.compile(r"[^A-Za-z0-9._-]+")


def find_files(root: Path) -> Iterator[dict[str, Any]]:
    """Go through the regular files below a directory, in the order of their names.

    Installed packages and compiled files are left out, and so is what has no place in
    JSON: a name that is no text.

    Yields:
        The payload of a message about the file: its path, and how it was when it was
        found.
    """
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        for name in sorted(names):
            path = os.path.join(folder, name)  # noqa: PTH118  a hot loop over texts
            try:
                path.encode()
                found = os.lstat(path)
            except (OSError, UnicodeEncodeError):
                continue
            if stat.S_ISREG(found.st_mode):
                yield {
                    "path": path,
                    "size": found.st_size,
                    "modified_ns": found.st_mtime_ns,
                }


def has_changed(payload: dict[str, Any]) -> bool:
    """Say whether a file is no longer as it was when it was found."""
    try:
        now = os.lstat(payload["path"])
    except OSError:
        return True
    return (now.st_size, now.st_mtime_ns) != (payload["size"], payload["modified_ns"])


def measure(path: str) -> dict[str, Any]:
    """Read a file and say how large it is, how many lines it has, and its SHA-256.

    Raises:
        OSError: It cannot be read.
    """
    size = lines = 0
    digest = hashlib.sha256()
    with open(path, "rb") as file:  # noqa: PTH123  the path is a text
        while chunk := file.read(CHUNK_BYTES):
            size += len(chunk)
            lines += chunk.count(b"\n")
            digest.update(chunk)
    return {"size": size, "lines": lines, "sha256": digest.hexdigest()}


def message_id_of(path: str, root: Path) -> str:
    """Return the id of the message about a file: readable, and its own."""
    relative = os.path.relpath(path, root)
    readable = _NO_ID.sub("-", relative)[-200:]
    return f"{readable}:{hashlib.sha256(relative.encode()).hexdigest()[:12]}"
