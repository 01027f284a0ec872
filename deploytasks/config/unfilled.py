"""Find the lines that `init` and `envs.new` left to be filled in."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_FILL_IN = re.compile(r"# fill in: (.+)$")
_MARKED = ("envs/*.toml", "requirements-deploy.txt", ".github/workflows/*.yml", ".gitlab-ci.yml", ".gitlab/*.yml")


def unfilled(root: Path, path: str) -> Iterator[tuple[str, str]]:
    """Yield each line of the file that is to be filled in: its place, and with what."""
    with suppress(OSError):
        lines = (root / path).read_text("utf-8", errors="replace").splitlines()
        marks = ((number, _FILL_IN.search(line)) for number, line in enumerate(lines, 1))
        yield from ((f"{path}:{number}", mark[1]) for number, mark in marks if mark)


def notes(root: Path) -> Iterator[str]:
    """Yield a note on each such line of the repository."""
    for path in (each for pattern in _MARKED for each in sorted(root.glob(pattern)) if each.is_file()):
        for place, what in unfilled(root, path.relative_to(root).as_posix()):
            yield f"{place}: still to be filled in: {what}"
