"""How long a scheduled message waits, so that not all of them come at once."""

from __future__ import annotations

from hashlib import blake2b


def jitter(schedule_id: str, nominal: int, window: int) -> int:
    """Return a wait from 0 up to, not including, `window`, in microseconds.

    It depends on its arguments alone, so that everybody who posts the same occurrence
    posts it for the same instant.
    """
    if window <= 0:
        return 0
    text = f"{schedule_id}\0{nominal}"
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % window
