"""Killed before any statement of a transaction: rows and messages agree."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Final

import pytest
import trio

from tests.own_rows import own_rows, rows
from trioqueue import (
    MessageNotFoundError,
    MessageState,
    QueueOptions,
    RetentionPolicy,
    Store,
    open_store,
)

PROGRAM: Final = Path(__file__).with_name("transaction_program.py")


async def is_there(store: Store, message_id: str) -> bool:
    try:
        message = await store.get_message("jobs", message_id)
    except MessageNotFoundError:
        return False
    return message.state is MessageState.PENDING


@pytest.mark.parametrize("what", ["post", "complete"])
async def test_rows_and_messages_agree_wherever_a_process_is_killed(
    shared: str, what: str
) -> None:
    async with open_store(shared) as store:
        options = QueueOptions(retention=RetentionPolicy.keep_forever())
        await store.create_queue("jobs", options)
        with own_rows(shared):
            command = [sys.executable, str(PROGRAM), shared, what]
            ended = await trio.run_process(command, capture_stdout=True)
            pairs = [line.split() for line in ended.stdout.splitlines()]
            codes = {int(step): int(code) for step, code in pairs}
            last = len(codes)
            assert last > 6
            assert codes.pop(last) == 0
            assert set(codes.values()) == {-signal.SIGKILL}
            done = set(rows(shared))
            assert last in done
            for step in range(1, last + 1):
                stored = step in done
                assert await is_there(store, f"m{step}") is stored
                assert await is_there(store, f"n{step}") is stored
                if what == "complete":
                    job = await store.get_message("jobs", f"job{step}")
                    completed = job.state is MessageState.COMPLETED
                    assert completed is stored
