"""The table of builders. What envs/ accepts, which one is chosen, and what messages say of it derive from its row."""

from typing import Final

from msgspec import Struct

AUTO: Final = "auto"


class Builder(Struct, frozen=True):
    """One builder; its `module` is imported by the first build that asks for it.

    `any_dockerfile` is false if it can't RUN: then its module has a `check` of the Dockerfile. `platforms` is how many
    it makes at once. `needs` is what must be on this machine, "" for nothing, and `install` how to get it.
    """

    name: str
    module: str
    any_dockerfile: bool
    platforms: int = 1
    needs: str = ""
    install: str = ""


BUILDERS: Final = (
    Builder(
        "docker",
        "deploytasks.builders.docker",
        any_dockerfile=True,
        needs="a Docker engine",
        install="install docker.io and start its engine",
    ),
    Builder("append", "deploytasks.builders.append", any_dockerfile=False),
)
"""The order is that in which `builder = "auto"` tries them."""

WANTED: Final = (AUTO, *(row.name for row in BUILDERS))
"""What `builder` may be."""

_WHOLE = [row for row in BUILDERS if row.any_dockerfile]
ENGINE: Final = " or ".join(row.needs for row in _WHOLE)
"""What a Dockerfile with RUN needs."""
INSTALL: Final = f'{" or ".join(row.install for row in _WHOLE)} (then builder = "auto" takes it)'
BUILD_WHOLE: Final = " or ".join(f'build with {row.name.title()}: builder = "{row.name}"' for row in _WHOLE)
NEEDS_NONE: Final = tuple(
    f'or set builder = "{row.name}", which needs none'
    + ("" if row.any_dockerfile else ", where the Dockerfile runs nothing")
    for row in BUILDERS
    if not row.needs
)
"""What to do where the chosen builder lacks what it needs."""


def candidates(wanted: str, platforms: int = 1) -> tuple[Builder, ...]:
    """Return the builders among which to choose, the preferred first: those that can make so many platforms at once."""
    return tuple(row for row in BUILDERS if wanted in (AUTO, row.name) and 1 <= platforms <= row.platforms)
