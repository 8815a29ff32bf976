"""Every check of the project, one session each: `nox -l` lists them.

Tests run against the wheel, built from the source distribution, never against the
checkout: what is checked is what is shipped.
"""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.16"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
# A machine has the interpreters that it has; the summary names those skipped.
nox.options.error_on_missing_interpreters = False
nox.options.error_on_external_run = True
nox.options.sessions = [
    "lint",
    "typing",
    "tests",
    "tests_others",
    "tests_lowest",
    "docs",
]

ROOT = Path(__file__).parent
PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
"""The interpreter that runs nox: it is there."""
OTHERS = [version for version in PYTHONS if version != HERE]
QUICK = ("-m", "not slow")
PARALLEL = ("-n", "auto")
"""One process of tests for each core (pytest-xdist)."""


def _show_pyenv_interpreters() -> None:
    """Let pyenv's `python3.x` commands answer for every version it has installed.

    Unasked they answer for the active version only, and fail for all others.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    if found := sorted(path.name for path in pyenv.glob("versions/3.1[1-9]*")):
        os.environ.setdefault("PYENV_VERSION", ":".join(found))


_show_pyenv_interpreters()


def _dist(session: nox.Session) -> Path:
    return session.cache_dir.resolve() / "dist"


def _install_wheel(session: nox.Session, *groups: str, extras: str = "[all]") -> None:
    """Install the built wheel and the named dependency groups, then prove it is used.

    `PYTHONSAFEPATH` keeps the checkout off `sys.path`, in this session and in every
    process that its tests start.
    """
    (wheel,) = _dist(session).glob("*.whl")
    session.install(
        f"trioqueue{extras} @ {wheel.as_uri()}",
        *(f"--group={group}" for group in groups),
    )
    session.env["PYTHONSAFEPATH"] = "1"
    session.run(
        "python",
        "-c",
        "import sysconfig, trioqueue; from pathlib import Path; "
        "home = Path(sysconfig.get_path('purelib')); "
        "assert home in Path(trioqueue.__file__).parents, trioqueue.__file__",
        silent=True,
    )


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the source distribution, and the wheel from it. Others ask for this."""
    shutil.rmtree(_dist(session), ignore_errors=True)
    session.install("build[uv]")
    session.run(
        "python",
        "-m",
        "build",
        "--installer=uv",
        f"--outdir={_dist(session)}",
        silent=True,
    )
    (wheel,) = _dist(session).glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"trioqueue"}
    assert "trioqueue/py.typed" in names


@nox.session(python=HERE, requires=["build"])
def tests(session: nox.Session) -> None:
    """Run the quick suite and measure coverage; arguments go to pytest."""
    _install_wheel(session, "tests")
    _run_measured(session)


@nox.session(python=OTHERS, requires=["build"])
def tests_others(session: nox.Session) -> None:
    """Run the quick suite on every other interpreter present."""
    _install_wheel(session, "tests")
    session.run("python", "-m", "pytest", *QUICK, *PARALLEL, *session.posargs)


@nox.session(python=PYTHONS[0], requires=["build"])
def tests_lowest(session: nox.Session) -> None:
    """Run the quick suite, without PostgreSQL, on the oldest of everything allowed.

    What PostgreSQL needs is pinned to one minor version of psycopg, which the other
    sessions have.
    """
    if session.venv_backend != "uv":
        session.install("uv")  # pip cannot resolve to the lowest
    session.run_install(
        "uv",
        "pip",
        "install",
        "--resolution=lowest-direct",
        "--requirements=pyproject.toml",
        "--all-extras",
        "--group=tests",
    )
    _install_wheel(session, "tests")  # finds all it needs in place
    quick = ("-m", "not slow and not postgres")
    session.run("python", "-m", "pytest", *quick, *PARALLEL, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style with ruff, and Trio manners with flake8-async."""
    session.install("--group=lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("flake8", "trioqueue", "tests", "noxfile.py")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types: mypy over everything, pyright over the package."""
    session.install("-e", ".[all]", "--group=typing")
    session.run("mypy")
    python = shutil.which("python", path=session.bin)
    session.run("pyright", "--pythonpath", str(python))


@nox.session(requires=["build"])
def docs(session: nox.Session) -> None:
    """Build the documentation; every warning and every dead reference is an error."""
    _install_wheel(session, "docs")
    session.run(
        "sphinx-build",
        "-E",  # read every page again: a cached one warns of nothing
        "-W",
        "--keep-going",
        "-n",
        "-b",
        "html",
        "-d",
        str(session.cache_dir / "docs" / "doctrees"),
        "docs",
        str(session.cache_dir / "docs" / "html"),
    )


def _run_measured(session: nox.Session) -> None:
    """Run the quick suite, with the processes it starts; 95 % or it fails."""
    # Absolute: processes started elsewhere write their part here too.
    session.env["COVERAGE_FILE"] = str(Path(session.create_tmp()) / "data")
    session.env["COVERAGE_RCFILE"] = str(ROOT / "pyproject.toml")
    session.run("coverage", "erase")
    session.run(
        "python",
        "-m",
        "coverage",
        "run",
        "-m",
        "pytest",
        *QUICK,
        *PARALLEL,
        *session.posargs,
    )
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session(requires=["build"], default=False)
def soak(session: nox.Session) -> None:
    """Run the long tests that the quick suite leaves out."""
    _install_wheel(session, "tests")
    session.run("python", "-m", "pytest", "-m", "slow", *session.posargs)


@nox.session(requires=["build"], default=False)
def bench(session: nox.Session) -> None:
    """Run the benchmarks; `--peers` measures other queues beside this one."""
    peers = ["bench-peers"] if "--peers" in session.posargs else []
    _install_wheel(session, "bench", *peers)
    session.run("python", "tests/benchmarks/run.py", *session.posargs)


@nox.session(requires=["build"], default=False)
def demo(session: nox.Session) -> None:
    """Run the demonstration on the bare wheel, without any extra."""
    _install_wheel(session, extras="")
    session.run("python", "-m", "trioqueue", "demo", *session.posargs)
