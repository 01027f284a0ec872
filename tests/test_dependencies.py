"""What pyproject.toml asks for is bounded on both sides, installed within its bounds, and all that is imported.

Known vulnerabilities are looked up by nobody here: every tool for that asks an outside service.
"""

import ast
import os
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import deploytasks

PACKAGE = Path(deploytasks.__file__).parent
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
REQUIRED = [Requirement(text) for text in PROJECT["dependencies"]]
BROUGHT_ALONG = {"requests": "docker", "urllib3": "botocore"}
"""Packages that are imported without being asked for, each with the one that is made of it."""

OPTIONAL = ("nox",)
"""The extras that bring the package of the same name, which one module alone imports."""


@pytest.mark.parametrize("required", REQUIRED, ids=str)
def test_each_dependency_is_bounded_on_both_sides_and_installed_in_between(required: Requirement):
    assert sorted(each.operator for each in required.specifier) == ["<", ">="]
    assert required.specifier.contains(version(required.name))


@pytest.mark.skipif("OLDEST" not in os.environ, reason="`make test-oldest` runs it")
@pytest.mark.parametrize("required", REQUIRED, ids=str)
def test_the_oldest_release_of_each_dependency_is_what_is_tested(required: Requirement):
    (lower,) = (each.version for each in required.specifier if each.operator == ">=")
    assert Version(version(required.name)) == Version(lower)


def test_what_is_imported_is_asked_for():
    names = packages_distributions()
    imported = {
        module.split(".")[0]
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for module in modules(node)
    } - {*sys.stdlib_module_names, "deploytasks"}
    asked = {canonicalize_name(each.name) for each in REQUIRED}
    found = {canonicalize_name(names[name][0]) for name in imported}
    assert found - asked == {*BROUGHT_ALONG, *OPTIONAL}
    assert set(BROUGHT_ALONG.values()) <= asked
    assert {Requirement(PROJECT["optional-dependencies"][name][0]).name for name in OPTIONAL} == {*OPTIONAL}


def modules(node: ast.AST) -> list[str]:
    """The modules that the statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
