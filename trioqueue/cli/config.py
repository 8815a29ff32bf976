"""Settings that a project makes once: where they come from, and what they are.

An option wins over its environment variable, that one over ``[tool.trioqueue]`` in
``pyproject.toml``, and that one over the default.  click asks in this order by itself:
the file becomes its default map.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import click
from click.core import ParameterSource

from trioqueue.cli.failures import USAGE, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILE: Final = "pyproject.toml"
TABLE: Final = "[tool.trioqueue]"

Kind = Literal["text", "whole", "span", "texts"]


class Setting(NamedTuple):
    """One key of the table.

    Attributes:
        key: Its name.
        kind: What a value is.
        option: The option that it is the default of; a name without dashes is an
            argument.
        command: Whose option; "" is the root's.
    """

    key: str
    kind: Kind
    option: str
    command: str = ""

    @property
    def variable(self) -> str:
        """The environment variable that says the same."""
        return f"TRIOQUEUE_{self.key.upper().replace('-', '_')}"

    def of(self, command: click.Command) -> click.Parameter | None:
        """Return the command's parameter, if it has it."""
        # A group that works without a subcommand too has two sets of parameters.
        for parameter in getattr(command, "alone", command).params:
            if self.option in parameter.opts:
                return parameter
        return None


def _alone(command: click.Command) -> click.Command:
    """Return what a command is when it stands without a subcommand."""
    found: click.Command = getattr(command, "alone", command)
    return found


SETTINGS: Final = (
    Setting("db", "text", "--db"),
    Setting("output", "text", "--output"),
    Setting("app", "text", "app", "worker"),
    Setting("queues", "texts", "--queue", "worker"),
    Setting("concurrency", "whole", "--concurrency", "worker"),
    Setting("grace", "span", "--grace", "worker"),
    Setting("log-level", "text", "--log-level", "worker"),
    Setting("log-format", "text", "--log-format", "worker"),
    Setting("metrics", "text", "--metrics", "worker"),
)
"""Every key; one whose option does not exist is refused like an unknown one."""

_KINDS: Final[Mapping[Kind, str]] = {
    "text": "a string",
    "whole": "a whole number",
    "span": 'a string such as "30s", or a number of seconds',
    "texts": "a list of strings",
}


class Configuration(NamedTuple):
    """What a file says.

    Attributes:
        path: The file; None if there is none.
        values: The keys that are set.
    """

    path: Path | None = None
    values: Mapping[str, Any] = {}

    def of(self, command: str) -> Iterator[tuple[Setting, Any]]:
        """List what it says for a command."""
        for setting in SETTINGS:
            if setting.command == command and setting.key in self.values:
                yield setting, self.values[setting.key]


def find_configuration(start: Path) -> Configuration:
    """Read the nearest file with our table, from a directory upwards.

    The search ends at the root of a git repository, and at the home directory.

    Raises:
        Failure: The file or the table is not right: which file, which key.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  home() raises without one
    for directory in (start, *start.parents):
        path = directory / FILE
        table = _table(path)
        if table is not None:
            return Configuration(path, _checked(table, path))
        if directory == home or (directory / ".git").exists():
            break
    return Configuration()


def _table(path: Path) -> Mapping[str, Any] | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", USAGE) from error
    if b"trioqueue" not in data:
        return None  # other people's files need not even be right
    import tomllib

    try:
        tool = tomllib.loads(data.decode()).get("tool")
    except ValueError as error:
        raise Failure(f"{path} is no TOML: {error}", USAGE) from error
    table = tool.get("trioqueue") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise Failure(f"{path}: tool.trioqueue is no table", USAGE)
    return table


def _checked(table: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    settings = {setting.key: setting for setting in SETTINGS}
    values = {}
    for key, value in table.items():
        setting = settings.get(key)
        if setting is None:
            raise Failure(
                f"{path}: {TABLE} has an unknown key {key!r}; known are "
                f"{', '.join(settings)}",
                USAGE,
            )
        if not _fits(value, setting.kind):
            raise Failure(
                f"{path}: {key!r} in {TABLE} must be {_KINDS[setting.kind]}, not "
                f"{value!r}",
                USAGE,
            )
        values[key] = str(value) if setting.kind == "span" else value
    if "db" in values:
        values["db"] = _from_there(values["db"], path.parent)
    return values


def _fits(value: Any, kind: Kind) -> bool:
    if isinstance(value, bool):
        return False
    match kind:
        case "text":
            return isinstance(value, str)
        case "whole":
            return isinstance(value, int)
        case "span":
            return isinstance(value, (str, int, float))
        case "texts":
            return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _from_there(url: str, directory: Path) -> str:
    """Make a relative path begin where the file is, not where the command runs."""
    head = "sqlite:///"
    path = url.removeprefix(head)
    if not url.startswith(head) or path.startswith(("/", ":memory:")):
        return url
    if directory == Path.cwd():
        return url
    import urllib.parse

    return f"{head}{urllib.parse.quote(str(directory))}/{path}"


def defaults_of_root(configuration: Configuration) -> dict[str, Any]:
    """Return click's default map for the root."""
    return {
        setting.option.removeprefix("--"): value
        for setting, value in configuration.of("")
    }


def attach(ctx: click.Context, command: click.Command) -> click.Command:
    """Let a command's parameters come from the environment and from the file."""
    name = command.name or ""
    found = configuration_of(ctx)
    defaults: dict[str, Any] = {}
    for setting in SETTINGS:
        parameter = setting.of(command)
        if setting.command != name or parameter is None:
            continue
        parameter.envvar = setting.variable
        if isinstance(parameter, click.Option):
            parameter.show_envvar = True
        if setting.key in found.values:
            defaults[str(parameter.name)] = found.values[setting.key]
    if defaults and ctx.default_map is not None:
        ctx.default_map[name] = defaults
        if found.path is not None and "app" in defaults:
            # The app is that of the project, wherever in it the command runs.
            sys.path.append(str(found.path.parent))
    return command


def configuration_of(ctx: click.Context) -> Configuration:
    """Return what was found for this run of the command."""
    return ctx.find_object(Configuration) or Configuration()


def origin_of(ctx: click.Context, parameter: click.Parameter) -> str:
    """Say where a parameter's value came from; "" for an option or a default."""
    match ctx.get_parameter_source(parameter.name or ""):
        case ParameterSource.ENVIRONMENT:
            return str(parameter.envvar)
        case ParameterSource.DEFAULT_MAP:
            return str(configuration_of(ctx).path)
    return ""
