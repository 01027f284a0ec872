"""The name of a config: `<commit>.<hash>`, with `-dirty` for uncommitted changes."""

import re

from msgspec import Struct

_NONE = "none"
_NAME = re.compile(r"(none|[0-9a-f]{40,64}(?:\+[0-9a-f]{40,64})*)\.([0-9a-f]{12})(-dirty)?")


class Named(Struct, frozen=True):
    """A config's name; `commits` is empty without git, and has two items if the folders lie in two repositories."""

    commits: tuple[str, ...]
    hash: str
    dirty: bool = False

    @classmethod
    def parse(cls, recorded: str) -> "Named | None":
        """Parse what a revision records. Return None if it is not a config's name."""
        match = _NAME.fullmatch(recorded)
        if match is None:
            return None
        return cls(tuple(match[1].split("+")) if match[1] != _NONE else (), match[2], bool(match[3]))

    def __str__(self) -> str:
        return f"{'+'.join(self.commits) or _NONE}.{self.hash}{'-dirty' * self.dirty}"

    @property
    def short(self) -> str:
        """Return the name for people: seven digits of each commit."""
        return ("+".join(commit[:7] for commit in self.commits) or f"{_NONE}.{self.hash}") + "-dirty" * self.dirty
