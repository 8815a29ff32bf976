"""Asking before something is done that cannot be undone."""

from __future__ import annotations

import sys

import click

from trioqueue.cli.failures import USAGE, Failure
from trioqueue.cli.output import say


def confirm(question: str, *, refused: str = "nothing was deleted") -> None:
    """Ask before something is done that cannot be undone.

    Args:
        question: What is about to happen, such as ``delete schedule 's'``.
        refused: What to say if the answer is no.

    Raises:
        Failure: The answer is no, or nobody is there to answer.
    """
    if not at_terminal():
        raise Failure(f"this would {question}; say --yes to do it", USAGE)
    try:
        agreed = click.confirm(f"{question[:1].upper()}{question[1:]}?", err=True)
    except click.Abort:
        say("")  # the question's line has not ended
        raise
    if not agreed:
        raise Failure(refused)


def at_terminal() -> bool:
    """Whether somebody is there to answer a question."""
    return sys.stdin is not None and sys.stdin.isatty()
