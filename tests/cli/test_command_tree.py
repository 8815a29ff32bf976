"""Every command there is, and what holds for each of them."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from tests.cli.helpers import Cli
from trioqueue.cli.root import cli

Path = tuple[str, ...]


def tree(
    command: click.Command, path: Path = ()
) -> Iterator[tuple[Path, click.Command]]:
    """List all commands, groups too."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from tree(inner, (*path, name))


EVERY = dict(tree(cli))
LEAVES = [path for path, each in EVERY.items() if not isinstance(each, click.Group)]
NO_OUTPUT = {("completion",)}
"""What it prints has one form."""
NO_DATABASE = {("completion",), ("version",), ("demo",), ("copy",)}
"""They use none, or their own, or two."""
SELF_EVIDENT = {
    *((), ("queue",), ("message",), ("schedule", "calendar"), ("worker",)),
    *(("queue", "resume"), ("schedule", "show"), ("schedule", "calendar", "list")),
    ("metrics", "list"),
}
"""One line says it all."""

every_command = pytest.mark.parametrize("path", EVERY, ids=" ".join)
every_leaf = pytest.mark.parametrize("path", LEAVES, ids=" ".join)


@every_command
def test_it_has_a_first_line_and_an_example_or_a_reason(path: Path) -> None:
    text = (EVERY[path].help or "").strip()
    first = text.splitlines()[0]
    assert first.endswith((".", ";"))
    assert len(first) <= 90
    assert "\n\n" in text or path in SELF_EVIDENT


@every_command
def test_its_help_is_whole_on_a_narrow_screen(tq: Cli, path: Path) -> None:
    for columns in ("40", "80", "200"):
        text = tq(*path, "--help", env={"COLUMNS": columns}).out
        assert text.startswith("Usage: trioqueue")
        # A group that also works on its own shows what it takes then.
        command = getattr(EVERY[path], "alone", EVERY[path])
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[-1] in text
                assert option.help


@every_command
def test_an_unknown_option_is_wrong_usage(tq: Cli, path: Path) -> None:
    outcome = tq(*path, "--no-such-option", code=2)
    assert outcome.out == ""
    assert "No such option" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not tq.file.exists()


@every_leaf
def test_it_takes_the_common_options(path: Path) -> None:
    options = {name for each in EVERY[path].params for name in each.opts}
    assert ("--output" in options) is (path not in NO_OUTPUT)
    assert ("--db" in options) is (path not in NO_DATABASE)


@every_leaf
def test_an_unknown_format_is_wrong_usage(tq: Cli, path: Path) -> None:
    for arguments in (("-o", "yaml", *path), (*path, "-o", "yaml")):
        if path not in NO_OUTPUT:
            err = tq(*arguments, code=2).err
            assert "'yaml' is not one of" in err
    assert not tq.file.exists()


def test_options_say_their_variables_the_same_way(tq: Cli) -> None:
    for path, command in EVERY.items():
        for option in command.params:
            if isinstance(option, click.Option) and option.envvar:
                text = " ".join(tq(*path, "--help").out.split())
                assert str(option.envvar) in text, path


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage there")
@pytest.mark.parametrize("path", [(), *LEAVES[::6]], ids=" ".join)
def test_help_takes_little_time(tq: Cli, path: Path) -> None:
    # Of a processor, as others may keep the machine busy; 250 ms is what people wait.
    command = [sys.executable, "-m", "trioqueue", *path, "--help"]
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env=tq.environment())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        )
    assert min(spent) < 0.25 if "COVERAGE_RUN" not in os.environ else min(spent) < 1


LISTS: list[Path] = [
    ("queue", "list"),
    ("queue", "show", "emails"),
    ("message", "peek", "emails"),
    ("message", "show", "emails", "m1"),
    ("dlq", "list", "emails"),
    ("schedule", "list"),
    ("schedule", "show", "nightly"),
    ("schedule", "preview", "nightly"),
    ("schedule", "history", "nightly"),
    ("schedule", "calendar", "list"),
    ("worker", "list"),
    ("doctor",),
    ("migrate", "--check"),
    ("version",),
    ("--show-config",),
    ("export",),
]


@pytest.fixture
def full(emails: Cli) -> Cli:
    """A database with something for every list."""
    emails.kill("emails", "dead")
    emails("message", "post", "emails", '{"to": "日本 grüße"}', "--id", "m1")
    emails("schedule", "create", "nightly", "emails", "--cron", "30 2 * * *")
    return emails


@pytest.mark.parametrize("path", LISTS, ids=" ".join)
def test_every_instant_has_its_offset(full: Cli, path: Path) -> None:
    for form in ("table", "plain", "json", "jsonl"):
        arguments = path if path[0] == "export" else (*path, "-o", form)
        out = full(*arguments).out
        for found in re.finditer(
            r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)? ?(\S*)", out
        ):
            assert re.match(r"Z|[+-]\d{2}:\d{2}", found[3]), found[0]


@pytest.mark.parametrize("path", LISTS, ids=" ".join)
def test_it_is_written_in_whatever_place(full: Cli, path: Path) -> None:
    places = ({"COLUMNS": "40"}, {"NO_COLOR": "1"}, {"TERM": "dumb"})
    for env in places:
        assert "\x1b" not in full(*path, env=env).out
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    arguments = path if path[0] == "export" else (*path, "-o", "table")
    outcome = full.process(*arguments, env=bare, encoding=None)
    assert outcome.code == 0, outcome.err


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_a_closed_standard_input_is_told(full: Cli) -> None:
    for command, code, text in (
        ("message post emails -", 2, "standard input is closed"),
        ("import", 2, "standard input is closed"),
        ("queue list", 0, ""),
    ):
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m trioqueue {command} <&-"],  # noqa: S607  the shell of the test
            cwd=full.directory,
            env=full.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, text in done.stderr) == (code, True), done.stderr
        assert "fault" not in done.stderr


def test_tracebacks_are_there_for_who_asks(
    emails: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trioqueue.cli import asking

    def broken() -> bool:
        raise RuntimeError("odd")

    emails.kill("emails", "a")
    monkeypatch.setattr(asking, "at_terminal", broken)
    assert "unexpected RuntimeError" in emails("dlq", "purge", "emails", code=1).err
    with pytest.raises(AssertionError, match="RuntimeError"):
        emails("-v", "dlq", "purge", "emails")


@pytest.mark.parametrize("path", LISTS, ids=" ".join)
@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
def test_a_reader_that_goes_is_no_error(full: Cli, path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with full.start(*path, stdout=writer) as process:
        os.close(writer)
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "fault" not in err
    assert process.returncode in (0, 141)  # 0: it had nothing to write
