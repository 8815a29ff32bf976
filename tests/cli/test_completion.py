"""Completion, by the shell that it is for."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys

import pytest

from tests.cli.helpers import Cli

BASH = shutil.which("bash")

ASK = """
source <(trioqueue completion bash)
COMP_WORDS=("$@")
COMP_CWORD=$(( $# - 1 ))
_trioqueue_completion trioqueue
echo "${COMPREPLY[@]}"
"""


def complete(tq: Cli, *words: str) -> list[str]:
    """Press Tab behind some words."""
    assert BASH is not None
    commands = tq.directory / "bin"
    commands.mkdir(exist_ok=True)
    script = commands / "trioqueue"
    script.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m trioqueue "$@"\n'
    )
    script.chmod(0o755)
    environment = tq.environment()
    environment["PATH"] = f"{commands}:{environment['PATH']}"
    done = subprocess.run(
        [BASH, "-c", ASK, "bash", "trioqueue", *words],
        cwd=tq.directory,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_bash_completes_commands_options_and_queues(emails: Cli) -> None:
    emails("queue", "create", "events")
    assert {"queue", "message", "completion"} <= set(complete(emails, ""))
    assert complete(emails, "queue", "sh") == ["show"]
    assert complete(emails, "message", "post", "--del") == ["--delay"]
    assert complete(emails, "-o", "j") == ["json", "jsonl"]
    assert complete(emails, "queue", "show", "e") == ["emails", "events"]
    assert complete(emails, "message", "post", "ema") == ["emails"]
    nowhere = ("--db", "sqlite:///nowhere.db")
    assert complete(emails, *nowhere, "queue", "show", "e") == []
    assert not (emails.directory / "nowhere.db").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_asks_the_command(tq: Cli, shell: str) -> None:
    script = tq("completion", shell).out
    assert "_TRIOQUEUE_COMPLETE" in script
    assert f"{shell}_complete" in script
    assert f"trioqueue completion {shell} >" in tq("completion", "--help").out


def test_another_shell_is_refused(tq: Cli) -> None:
    assert "'csh' is not one of" in tq("completion", "csh", code=2).err
