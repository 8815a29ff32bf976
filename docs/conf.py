"""How Sphinx builds these pages: `nox -s docs`."""

from __future__ import annotations

import builtins
import os
import sys
from importlib.metadata import version as installed_version

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from trioqueue.cli.root import cli

project = "trioqueue"
author = "trioqueue contributors"
copyright = f"2026, {author}"  # noqa: A001  (the name Sphinx reads)
release = installed_version("trioqueue")
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib_trio",  # marks async functions, and what `nursery.start` accepts
]
exclude_patterns = ["_build"]

# Docstrings are Google style.
napoleon_numpy_docstring = False
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"

html_theme = "furo"
html_title = f"trioqueue {release}"

nitpicky = True
_OTHER_PROJECTS = (
    "attr",
    "attrs",
    "click",
    "icalendar",
    "outcome",
    "prometheus_client",
    "psycopg",
    "pytest",
    "sqlite_utils",
    "starlette",
    "trio",
    "trio_asyncio",
)
if os.environ.get("READTHEDOCS"):
    # Only where the pages are published: links to other projects need their
    # inventories, and a build elsewhere must not need the network.
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "psycopg": ("https://www.psycopg.org/psycopg3/docs", None),
        "trio": ("https://trio.readthedocs.io/en/stable", None),
    }
# So names of other projects go unchecked; every name of this one is checked.
nitpick_ignore_regex = [
    (r"py:.*", rf"(?:{'|'.join(_OTHER_PROJECTS)})(?:\..+)?"),
    (r"py:.*", rf"(?:{'|'.join(sys.stdlib_module_names)})(?:\..+)?"),
    (r"py:.*", rf"(?:{'|'.join(dir(builtins))})"),
    # Type parameters are written T, P, R, HandlerT: they have no page of their own.
    (r"py:.*", r"(?:trioqueue\.[a-z]+\.)?(?:[A-Z]|[A-Z][A-Za-z]*T(?:_co|_contra)?)"),
    # Annotations that the prose explains: spans, handlers, and what decorators return.
    (
        r"py:.*",
        (
            r"(?:trioqueue\.(?:app|task)\.)?(?:Seconds|Handler|HandlerSource|WakeUps|"
            r"_Decorator|TaskWithOptions|AsyncTask|JobTask|PlainJobTask|PlainTask|timedelta|"
            r"AbstractAsyncContextManager|RunKind|Fired|Check|PeriodKind|Function|DaysOf|"
            r"CollectorRegistry|Family|Progress|Sample|Meters)|trioqueue\.metrics\.meters\.Meters"
        ),
    ),
]


class CommandHelp(SphinxDirective):
    """Show a command's ``--help``, as it is when the page is built."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Ask the command itself."""
        command: click.Command = cli  # the whole group
        words = self.arguments[0].split()
        context = click.Context(command, info_name=words[0])
        for word in words[1:]:
            if not isinstance(command, click.Group):
                raise self.error(f"{command.name} has no commands")
            found = command.get_command(context, word)
            if found is None:
                raise self.error(f"there is no command {' '.join(words)}")
            command = found
            context = click.Context(command, info_name=word, parent=context)
        text = f"$ {self.arguments[0]} --help\n{command.get_help(context)}"
        block = nodes.literal_block(text, text)
        block["language"] = "text"
        return [block]


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("command-help", CommandHelp)
