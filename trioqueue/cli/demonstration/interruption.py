"""Ctrl-C, and its kin, as an error in one task: it ends everything else in order."""

from __future__ import annotations

import signal
import threading
from typing import Final

import trio

from trioqueue.cli.failures import INTERRUPTED, Failure

NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP")


async def run(*, task_status: trio.TaskStatus[None]) -> None:
    """Wait for a signal that asks for the end.

    Raises:
        Failure: There was one.
    """
    if threading.current_thread() is not threading.main_thread():
        task_status.started()
        await trio.lowlevel.checkpoint()
        return
    known = [signal.Signals[name] for name in NAMES if hasattr(signal, name)]
    # nohup, for one, has some of them ignored.
    wanted = [one for one in known if signal.getsignal(one) is not signal.SIG_IGN]
    with trio.open_signal_receiver(*wanted) as signals:
        task_status.started()
        await anext(signals)
    raise Failure("interrupted", INTERRUPTED)
