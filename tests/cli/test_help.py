from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import click
import pytest

from tests.cli.helpers import Cli
from trioqueue.cli.lazy import LazyCommand, LazyGroup
from trioqueue.cli.root import COMMANDS, cli


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """List the paths of all commands that have no subcommands."""
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    found = []
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        found += leaves(inner, (*path, name))
    return found


OWN = [
    path
    for path in leaves(cli)
    if path[0] in ("queue", "message", "dlq", "worker", "schema")
]


def test_every_planned_command_is_there() -> None:
    assert {" ".join(path) for path in OWN} == {
        *(f"worker {verb}" for verb in ("list", "quiet")),
        *(f"queue {verb}" for verb in ("list", "show", "create", "pause", "resume")),
        "queue update",
        *(f"message {verb}" for verb in ("post", "peek", "list", "show", "cancel")),
        *(f"message {verb}" for verb in ("requeue", "delete")),
        *(f"dlq {verb}" for verb in ("list", "requeue", "delete", "purge")),
        *(f"schema {verb}" for verb in ("register", "get", "list", "validate")),
        *(f"schema {verb}" for verb in ("compat", "deactivate", "delete")),
    }


@pytest.mark.parametrize("path", OWN, ids=" ".join)
def test_each_command_explains_itself_and_takes_the_common_options(
    tq: Cli, path: tuple[str, ...]
) -> None:
    text = tq(*path, "--help").out
    assert text.startswith(f"Usage: trioqueue {' '.join(path)} ")
    assert "--db URL" in text
    assert ("-o, --output" in text) is (path != ("worker",))


def test_the_list_of_commands_says_one_line_of_each(tq: Cli) -> None:
    text = tq("-h").out
    for name, entry in COMMANDS.items():
        assert (entry.summary in text) is entry.exists(), name


def test_a_command_whose_module_is_missing_does_not_exist(tq: Cli) -> None:
    table = {
        "here": LazyCommand("trioqueue.cli.queue:queue", "A group."),
        "gone": LazyCommand("trioqueue.cli.nowhere:gone", "Not written yet."),
        "odd": LazyCommand("trioqueue.cli.queue:__doc__", "No command."),
    }
    group = LazyGroup("group", lazy=table)
    context = click.Context(group)
    assert group.list_commands(context) == ["here", "odd"]
    assert group.get_command(context, "gone") is None
    assert group.get_command(context, "else") is None
    assert "Not written yet" not in group.get_help(context)
    with pytest.raises(TypeError, match="no click command"):
        group.get_command(context, "odd")


def test_version_is_that_of_the_package(tq: Cli) -> None:
    try:
        number = importlib.metadata.version("trioqueue")
    except importlib.metadata.PackageNotFoundError:
        number = "(not installed)"
    assert tq("--version").out == f"trioqueue {number}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["queue", "--help"], ["--version"]])
def test_help_imports_nothing_beyond_click_and_the_command(
    arguments: list[str],
) -> None:
    code = f"""
import sys
import trioqueue
before = set(sys.modules)
from trioqueue.cli.root import cli
cli({arguments!r}, standalone_mode=False)
for name in sorted(set(sys.modules) - before):
    if name.partition(".")[0] in ("trio", "trioqueue", "attr", "sqlite3", "asyncio"):
        print("imported", name)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    imported = [
        line.removeprefix("imported ")
        for line in done.stdout.splitlines()
        if line.startswith("imported ")
    ]
    assert imported
    assert all(name.startswith("trioqueue.cli") for name in imported), imported
    assert "trioqueue.cli.message" not in imported


def test_options_may_stand_before_or_after_the_subcommand(emails: Cli) -> None:
    wrong = f"sqlite:///{emails.directory}/other.db"
    right = emails.url
    for arguments in (
        ("--db", right, "-o", "json", "queue", "list"),
        ("queue", "--db", right, "-o", "json", "list"),
        ("queue", "list", "--db", right, "-o", "json"),
        ("--db", wrong, "-o", "table", "queue", "list", "--db", right, "-o", "json"),
    ):
        outcome = emails(*arguments, env={"TRIOQUEUE_DB": wrong})
        assert [queue["name"] for queue in outcome.document] == ["emails"]


def test_the_environment_names_the_database_and_the_format(emails: Cli) -> None:
    outcome = emails("queue", "list", env={"TRIOQUEUE_OUTPUT": "json"})
    assert outcome.document[0]["name"] == "emails"


def test_the_default_database_is_in_the_current_directory(
    tq: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tq.directory)
    outcome = tq("queue", "list", code=5, env={"TRIOQUEUE_DB": ""})
    assert "with: trioqueue init" in outcome.err
    tq("queue", "create", "q", env={"TRIOQUEUE_DB": ""})
    assert (tq.directory / "trioqueue.db").exists()
