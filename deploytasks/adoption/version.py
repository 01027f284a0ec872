"""`python -m deploytasks version`: say which copy of this package runs."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

import deploytasks


def arguments(parser: ArgumentParser) -> None:
    """Add nothing: the verb has no flags."""


def run(given: Namespace) -> Iterator[str]:
    """Yield the version."""
    yield f"deploytasks {deploytasks.__version__}"
