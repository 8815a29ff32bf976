"""Message ids: time-sortable UUIDs, version 7 (RFC 9562 section 5.7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,256}")


def uuid7(now_us: int, source: random.Random) -> str:
    """Make an id that sorts by time.

    48 bits of milliseconds, then the microseconds as a fraction of 4096ths (RFC 9562
    section 6.2, method 3), then 62 random bits.
    """
    milliseconds, micros = divmod(now_us, 1000)
    number = (
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7000 << 64
        | (micros * 4096 // 1000) << 64
        | 0x8000_0000_0000_0000
        | source.getrandbits(62)
    )
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
