"""``trioqueue completion``: a script that lets the shell complete commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from trioqueue.cli.output import on_terminal, say, write

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SHELLS: Final = ("bash", "zsh", "fish")
VARIABLE: Final = "_TRIOQUEUE_COMPLETE"
"""By this the script asks the command; click reads it before anything else."""
_INSTALL: Final = {
    "bash": "trioqueue completion bash > "
    "~/.local/share/bash-completion/completions/trioqueue",
    "zsh": 'trioqueue completion zsh > "${fpath[1]}/_trioqueue"',
    "fish": "trioqueue completion fish > ~/.config/fish/completions/trioqueue.fish",
}
MOST_NAMES: Final = 100
PATIENCE_SECONDS: Final = 1.0
_QUEUE_NAMES: Final = frozenset(("queue", "queues", "target", "dead_letter_queue"))


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(*, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options and queue names.

    \b
    Try it:       source <(trioqueue completion bash)
    Install it:   trioqueue completion bash > \\
                    ~/.local/share/bash-completion/completions/trioqueue
                  trioqueue completion zsh > "${fpath[1]}/_trioqueue"
                  trioqueue completion fish > \\
                    ~/.config/fish/completions/trioqueue.fish
    """  # noqa: D301  \b tells click not to wrap a paragraph
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root().command
    found = get_completion_class(shell)
    if found is None:  # pragma: no cover  click knows all three
        raise click.UsageError(f"click cannot complete for {shell}")
    script = found(root, {}, "trioqueue", VARIABLE)
    write((script.source_template % script.source_vars()).strip("\n"))
    if on_terminal():
        say(f"install it with: {_INSTALL[shell]}")


def complete_queues(command: click.Command, group: str = "") -> None:
    """Let a command and its subcommands complete names of queues."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            if (command.name, name) != ("queue", "create"):
                complete_queues(inner, command.name or "")
        if (alone := getattr(command, "alone", None)) is None:
            return
        command = alone
    for parameter in command.params:
        is_name = parameter.name == "name" and group in ("queue", "dlq")
        if is_name or parameter.name in _QUEUE_NAMES:
            # The hook that click offers is an argument of the decorators.
            setattr(parameter, "shell_complete", _queue_names)  # noqa: B010


def _queue_names(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Ask the database; where that does not work at once, there is nothing to say."""
    from click.shell_completion import CompletionItem

    from trioqueue.cli.session import Session, chosen_url

    session = Session(chosen_url(ctx), "plain")
    try:
        session.check_file(create=False)
        names = _names(session.url, incomplete)
    except Exception:  # noqa: BLE001  whoever presses Tab wants no error
        return []
    return [CompletionItem(name) for name in names]


def _names(url: str, prefix: str) -> list[str]:
    import trio

    from trioqueue.store import open_store

    async def main() -> list[str]:
        found: list[str] = []
        with trio.move_on_after(PATIENCE_SECONDS):
            async with open_store(url, migrate=False) as store:
                queues = await store.list_queues(prefix, limit=MOST_NAMES)
                found = [queue.name for queue in queues]
        return found

    return trio.run(main)
