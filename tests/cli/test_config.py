"""Where settings come from, and who wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from tests.cli.helpers import Cli, Outcome
from trioqueue.cli import config
from trioqueue.cli.root import cli


@pytest.fixture
def project(tq: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command, run in a directory of its own."""
    monkeypatch.chdir(tq.directory)
    monkeypatch.setenv("HOME", str(tq.directory.parent))
    for setting in config.SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    return tq


def write(directory: Path, text: str) -> Path:
    path = directory / "pyproject.toml"
    path.write_text(f"[tool.trioqueue]\n{text}\n")
    return path


def run(tq: Cli, *arguments: str, code: int = 0, **env: str) -> Outcome:
    """Run the command; no variable names the database."""
    return tq(*arguments, code=code, env={"TRIOQUEUE_DB": "", **env})


def shown(tq: Cli, *arguments: str, **env: str) -> dict[str, tuple[Any, str]]:
    """Return each setting with its value and origin."""
    words = ("--show-config", "-o", "json", *arguments)
    document = run(tq, *words, code=0, **env).document
    return {each["setting"]: (each["value"], each["origin"]) for each in document}


def test_without_anything_there_are_defaults(project: Cli) -> None:
    found = shown(project)
    assert found["db"] == ("sqlite:///trioqueue.db", "default")
    assert found["output"] == ("json", "option")
    assert found["app"] == (None, "default")
    assert found["queues"] == ([], "default")
    assert found["concurrency"] == (100, "default")
    assert found["grace"] == ("30s", "default")


def test_an_option_wins_over_the_environment_and_that_over_the_file(
    project: Cli,
) -> None:
    path = write(project.directory, 'db = "sqlite:///file.db"\ngrace = 5')
    assert shown(project)["db"] == ("sqlite:///file.db", str(path))
    assert shown(project)["grace"] == ("5", str(path))
    env = {"TRIOQUEUE_DB": "sqlite:///env.db", "TRIOQUEUE_GRACE": "1m"}
    assert shown(project, **env)["db"] == ("sqlite:///env.db", "environment")
    assert shown(project, **env)["grace"] == ("1m", "environment")
    option = ("--db", "sqlite:///option.db")
    assert shown(project, *option, **env)["db"] == ("sqlite:///option.db", "option")


def test_the_file_is_heeded_by_commands(project: Cli) -> None:
    write(project.directory, 'db = "sqlite:///file.db"\noutput = "json"')
    assert run(project, "queue", "create", "emails").document["name"] == "emails"
    assert (project.directory / "file.db").exists()
    # An option stands before the subcommand or after it.
    for arguments in (
        ("-o", "plain", "queue", "list"),
        ("queue", "list", "-o", "plain"),
    ):
        assert run(project, *arguments).out.startswith("emails\t")
    other = ("--db", "sqlite:///other.db")
    assert "does not exist" in run(project, *other, "queue", "list", code=5).err
    assert "does not exist" in run(project, "queue", "list", *other, code=5).err


def test_a_database_named_in_the_file_lies_beside_the_file(
    project: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project.directory, 'db = "sqlite:///file.db"')
    inner = project.directory / "a b" / "c"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    run(project, "init")
    assert (project.directory / "file.db").exists()
    for url in ("sqlite:////absolute.db", "postgresql://localhost/jobs"):
        write(project.directory, f'db = "{url}"')
        assert shown(project)["db"][0] == url


def test_the_search_ends_at_a_repository_and_at_home(
    project: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project.directory, "concurrency = 7")
    inner = project.directory / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert shown(project)["concurrency"][0] == 7
    monkeypatch.setenv("HOME", str(inner))
    assert shown(project)["concurrency"][0] == 100
    monkeypatch.setenv("HOME", str(project.directory.parent))
    (inner / ".git").mkdir()
    assert shown(project)["concurrency"][0] == 100
    write(inner, "concurrency = 8")
    assert shown(project)["concurrency"][0] == 8


def test_a_nearer_file_without_our_table_hides_nothing(
    project: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project.directory, "concurrency = 7")
    inner = project.directory / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[project]\nname = 'trioqueue-user'\n")
    monkeypatch.chdir(inner)
    assert shown(project)["concurrency"][0] == 7


def test_the_app_may_come_from_the_file_or_the_environment(project: Cli) -> None:
    assert "Missing argument 'MODULE:APP'" in run(project, "worker", code=2).err
    path = write(project.directory, 'app = "nowhere_at_all:app"')
    err = run(project, "worker", code=2).err
    assert "no module 'nowhere_at_all'" in err
    assert shown(project)["app"] == ("nowhere_at_all:app", str(path))
    err = run(project, "worker", code=2, TRIOQUEUE_APP="another_one:app").err
    assert "no module 'another_one'" in err
    assert "no module 'third'" in run(project, "worker", "third:app", code=2).err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("colour = true", "has an unknown key 'colour'; known are db, output"),
        ("db = 7", "'db' in [tool.trioqueue] must be a string, not 7"),
        ("concurrency = 'many'", "must be a whole number, not 'many'"),
        ("concurrency = true", "must be a whole number, not True"),
        ("concurrency = 1.5", "must be a whole number, not 1.5"),
        ("grace = []", "must be a string such as"),
        ("queues = 'emails'", "must be a list of strings"),
        ("queues = [1]", "must be a list of strings"),
        ("db = ", "is no TOML"),
        ("[tool]\ntrioqueue = 1", "is no TOML"),
    ],
)
def test_a_wrong_table_is_refused_with_file_and_key(
    project: Cli, text: str, problem: str
) -> None:
    path = write(project.directory, text)
    for arguments in (("queue", "list"), ("--show-config",), ("version",)):
        err = run(project, *arguments, code=2).err
        assert str(path) in err
        assert problem in err
        assert len(err.splitlines()) == 1
    # Help is there all the same.
    for words in (["--help"], ["queue", "list", "--help"], ["--version"]):
        run(project, *words)


def test_a_table_of_another_kind_is_refused(project: Cli) -> None:
    path = project.directory / "pyproject.toml"
    path.write_text("[tool]\ntrioqueue = 1\n")
    assert f"{path}: tool.trioqueue is no table" in run(project, "version", code=2).err


def test_other_peoples_files_need_not_even_be_right(project: Cli) -> None:
    (project.directory / "pyproject.toml").write_text("this is no TOML")
    run(project, "version")
    (project.directory / "pyproject.toml").unlink()
    (project.directory / "pyproject.toml").mkdir()
    assert "cannot read" in run(project, "version", code=2).err


@pytest.mark.parametrize(
    ("text", "env", "origin"),
    [
        ("concurrency = 0", {}, "pyproject.toml"),
        ("output = 'yaml'", {}, "pyproject.toml"),
        ("", {"TRIOQUEUE_CONCURRENCY": "0"}, "TRIOQUEUE_CONCURRENCY"),
        ("", {"TRIOQUEUE_OUTPUT": "yaml"}, "TRIOQUEUE_OUTPUT"),
        ("", {"TRIOQUEUE_GRACE": "soon"}, "TRIOQUEUE_GRACE"),
    ],
)
def test_a_value_that_an_option_refuses_says_where_it_comes_from(
    project: Cli, text: str, env: dict[str, str], origin: str
) -> None:
    write(project.directory, text)
    err = run(project, "worker", "x:y", code=2, **env).err
    assert "it comes from" in err
    assert origin in err.partition("it comes from")[2]
    assert "Invalid value" in run(project, "--show-config", code=2, **env).err


def test_passwords_are_hidden(project: Cli) -> None:
    url = "postgresql://ada:s3cret@localhost/jobs?password=s3cret"
    write(project.directory, f'db = "{url}"')
    for form in ("table", "plain", "json", "jsonl"):
        out = run(project, "--show-config", "-o", form).out
        assert "localhost/jobs" in out
        assert "s3cret" not in out


def test_show_config_goes_without_a_command(project: Cli) -> None:
    assert "without a command" in run(project, "--show-config", "queue", code=2).err


def test_every_setting_is_an_option_whose_help_names_its_variable(
    project: Cli,
) -> None:
    for setting in config.SETTINGS:
        command: click.Command | None = cli
        if setting.command:
            command = cli.get_command(click.Context(cli), setting.command)
        assert command is not None
        parameter = setting.of(command)
        assert parameter is not None, setting.key
        if isinstance(parameter, click.Option):
            path = [setting.command] if setting.command else []
            text = " ".join(run(project, *path, "--help").out.split())
            assert setting.variable in text, setting.key


def test_queues_are_a_list_in_the_file_and_words_in_the_environment(
    project: Cli,
) -> None:
    path = write(project.directory, 'queues = ["a", "b c"]')
    assert shown(project)["queues"] == (["a", "b c"], str(path))
    env = {"TRIOQUEUE_QUEUES": "d e"}
    assert shown(project, **env)["queues"] == (["d", "e"], "environment")


def test_an_app_beside_the_file_is_found_from_below(project: Cli) -> None:
    module = "import trioqueue\napp = trioqueue.App()\n@app.task\ndef hi(): ...\n"
    (project.directory / "beside.py").write_text(module)
    write(project.directory, 'app = "beside:app"\ndb = "sqlite:///file.db"')
    inner = project.directory / "inner"
    inner.mkdir()
    env = {"TRIOQUEUE_DB": ""}
    outcome = project.process("worker", "--drain", env=env, cwd=inner)
    assert outcome.code == 0, outcome.err
    assert "beside:app" in outcome.err
    assert (project.directory / "file.db").exists()


def test_quiet_leaves_only_errors_and_data(project: Cli) -> None:
    assert run(project, "-q", "init").err == ""
    outcome = run(project, "queue", "create", "emails", "-q")
    assert (outcome.out, outcome.err) == ("emails\n", "")
    assert run(project, "queue", "list", "x", "-q").err == ""
    assert "does not exist" in run(project, "-q", "queue", "show", "x", code=3).err


def test_the_directory_may_be_gone(
    project: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = project.directory / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    run(project, "version")
