"""The names the world uses: all there, none by accident."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from abc import ABC
from pathlib import Path
from types import ModuleType

import pytest

import trioqueue

TOP = ast.parse(Path(trioqueue.__file__).read_text())
PROMISED = """
    AttemptRecord BulkMode ConflictError DeadLetter DeadLetterStats Discard
    DuplicateMessageError Fairness IllegalStateError Job LeaseLostError LeasePolicy
    Message MessageState NewMessage NotFoundError QueueExistsError QueueOptions
    QueueState QueueType Retry RetentionPolicy RetryPolicy ScheduleExistsError
    SchemaVersionError Snooze Store StoreClosedError StoreUnavailableError TrioClock
    TrioQueueError ValidationError open_store Schedule Misfire ScheduleState ScheduleRun
    ScheduleNotFoundError BusinessCalendarNotFoundError ValidationIssue Cron Calendar
    copy_store plan_copy CopyReport WorkerInfo WorkerNotFoundError
    Explanation Reason ReasonKind Overview QueueOverview NextRun
"""


def exported() -> dict[str, object]:
    """Return what the package shows, its own modules left aside."""
    return {
        name: getattr(trioqueue, name)
        for name in dir(trioqueue)
        if not name.startswith("_")
        and not isinstance(getattr(trioqueue, name), ModuleType)
    }


def classes() -> list[type]:
    return [thing for thing in exported().values() if isinstance(thing, type)]


@pytest.mark.parametrize("name", PROMISED.split())
def test_a_promised_name_is_there(name: str) -> None:
    assert getattr(trioqueue, name)


def test_every_name_at_the_top_is_exported_on_purpose() -> None:
    """`from x import Name as Name` is the mark of a re-export, as type checkers see."""
    marked = {
        alias.asname
        for node in ast.walk(TOP)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert set(exported()) == marked


def test_every_name_is_imported_from_where_type_checkers_see_it() -> None:
    seen = {
        (alias.name, node.module)
        for node in ast.walk(TOP)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    homes = trioqueue._HOMES.items()
    assert seen == {(name, home) for home, names in homes for name in names}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = trioqueue.nothing


@pytest.mark.parametrize("name", sorted(exported()))
def test_what_is_exported_is_documented(name: str) -> None:
    thing = exported()[name]
    if callable(thing):
        assert inspect.getdoc(thing)


@pytest.mark.parametrize(
    "kind",
    [k for k in classes() if not issubclass(k, BaseException) and ABC not in k.__mro__],
    ids=lambda kind: kind.__name__,
)
def test_a_public_class_is_final(kind: type) -> None:
    bases = {base for each in classes() for base in each.__bases__}
    if getattr(kind, "_is_protocol", False) or kind in bases:
        return
    assert getattr(kind, "__final__", False)


def test_every_error_has_the_one_base() -> None:
    signals = trioqueue.HandlerSignal
    for kind in classes():
        if issubclass(kind, BaseException) and not issubclass(kind, signals):
            assert issubclass(kind, trioqueue.TrioQueueError), kind


def test_every_error_of_the_errors_module_is_at_the_top() -> None:
    errors = importlib.import_module("trioqueue.errors")
    for name, thing in vars(errors).items():
        if isinstance(thing, type) and thing.__module__ == errors.__name__:
            assert getattr(trioqueue, name) is thing


def core_modules() -> list[str]:
    found = pkgutil.walk_packages(trioqueue.__path__, "trioqueue.")
    parts = ("model", "policies", "store", "clock", "errors")
    return sorted(m.name for m in found if m.name.split(".")[1] in parts)


@pytest.mark.parametrize("module", core_modules())
def test_a_module_can_be_imported_first_and_says_what_it_is_for(module: str) -> None:
    assert importlib.import_module(module).__doc__


def test_the_pure_parts_do_no_input_or_output() -> None:
    banned = {"sqlite3", "trio", "socket", "threading", "time", "os", "pathlib"}
    root = Path(trioqueue.__file__).parent
    for part in ("model", "policies", "store/operations"):
        for module in sorted((root / part).glob("*.py")):
            for node in ast.walk(ast.parse(module.read_text())):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                roots = {name.partition(".")[0] for name in names}
                assert not roots & banned, (module.name, roots & banned)


def test_importing_the_package_leaves_heavy_libraries_alone() -> None:
    program = (
        "import sys, trioqueue; "
        "heavy = {'sqlite_utils', 'icalendar', 'croniter', 'psycopg', 'starlette'}; "
        "print(*(heavy & set(sys.modules)))"
    )
    # The directory the package came from, so that the same one is imported.
    home = str(Path(trioqueue.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {home!r}); {program}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
