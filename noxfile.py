"""The quick tests on each Python that is installed, with the newest releases and with the oldest that are allowed.

The tasks of this repository, which are a sample's, have no sessions here: docs/nox.md says how yours get some.
"""

from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
nox.options.error_on_missing_interpreters = False


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """Run the quick tests with the newest releases of the dependencies."""
    session.install("--editable", ".[test]")
    _test(session)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """Run the quick tests with the oldest releases that pyproject.toml allows, as `make test-oldest` does."""
    constraints = Path(session.create_tmp()) / "oldest.txt"
    constraints.write_text(str(session.run("python", ".ci/oldest.py", silent=True)))
    session.install("--constraint", str(constraints), "--editable", ".[test]")
    _test(session, OLDEST="1")


def _test(session: nox.Session, **env: str) -> None:
    distributed = ("--numprocesses", "2", "--dist", "loadfile")
    session.run("python", "-m", "pytest", "-m", "not slow", *distributed, *session.posargs, env=env)
