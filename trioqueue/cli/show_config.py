"""``trioqueue --show-config``: every setting, its value, and who said so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from trioqueue.cli import config
from trioqueue.cli.output import Column, Output, field

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS: Final = (
    Column("SETTING", field("setting")),
    Column("VALUE", field("value")),
    Column("ORIGIN", field("origin")),
    Column("VARIABLE", field("variable")),
)


def show(ctx: click.Context, output: Output, url: str) -> None:
    """Print all settings; passwords are hidden.

    Args:
        ctx: The root's context, its parameters read.
        output: Where to.
        url: The database that commands would use.
    """
    output.items(list(_rows(ctx, output.form, url)), COLUMNS, empty="")


def _rows(ctx: click.Context, form: str, url: str) -> Iterator[dict[str, Any]]:
    from trioqueue.store.url import hide_password

    chosen = {"db": hide_password(url), "output": form}
    for setting in config.SETTINGS:
        command = ctx.command
        if setting.command and isinstance(command, click.Group):
            inner = command.get_command(ctx, setting.command)
            if inner is None:
                continue
            command = inner
        parameter = setting.of(command)
        if parameter is None:
            continue
        if setting.command:
            value, origin = _value(ctx, command, parameter)
        else:
            value = chosen[setting.key]
            source = ctx.get_parameter_source(parameter.name or "")
            origin = _origin(ctx, source)
        yield {
            "setting": setting.key,
            "value": value,
            "origin": origin,
            "variable": setting.variable,
        }


def _value(
    root: click.Context, command: click.Command, parameter: click.Parameter
) -> tuple[Any, str]:
    """Ask click what a parameter would be if it were not on the command line."""
    ctx = click.Context(command, info_name=command.name, parent=root)
    value, source = parameter.consume_value(ctx, {})
    ctx.set_parameter_source(parameter.name or "", source)
    if source is ParameterSource.DEFAULT:
        value = parameter.get_default(ctx)
        if not isinstance(value, (str, int, float)):
            value = [] if getattr(parameter, "multiple", False) else None
    else:
        parameter.type_cast_value(ctx, value)  # refuses what is wrong
        if isinstance(value, tuple):
            value = list(value)
    return value, _origin(root, source)


def _origin(root: click.Context, source: ParameterSource | None) -> str:
    match source:
        case ParameterSource.COMMANDLINE:
            return "option"
        case ParameterSource.ENVIRONMENT:
            return "environment"
        case ParameterSource.DEFAULT_MAP:
            return str(config.configuration_of(root).path)
    return "default"
