"""What a config is called: `<commit>.<hash>`, with `-dirty` for uncommitted."""

import re
from dataclasses import dataclass

_NONE = "none"
_NAME = re.compile(r"(none|[0-9a-f]{40,64}(?:\+[0-9a-f]{40,64})*)\.([0-9a-f]{12})(-dirty)?")


@dataclass(frozen=True, slots=True)
class Named:
    """A config's name: no `commits` where it was made without git, two where the folders lie in two repositories."""

    commits: tuple[str, ...]
    hash: str
    dirty: bool = False

    @classmethod
    def parse(cls, recorded: str) -> "Named | None":
        """Return what a revision records, None where that is no config's name."""
        match = _NAME.fullmatch(recorded)
        if match is None:
            return None
        return cls(tuple(match[1].split("+")) if match[1] != _NONE else (), match[2], bool(match[3]))

    def __str__(self) -> str:
        return f"{'+'.join(self.commits) or _NONE}.{self.hash}{'-dirty' * self.dirty}"

    @property
    def short(self) -> str:
        """The name as people read it: seven digits of each commit."""
        return ("+".join(commit[:7] for commit in self.commits) or f"{_NONE}.{self.hash}") + "-dirty" * self.dirty
