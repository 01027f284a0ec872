"""Put the drafts into the repository: overwrite nothing that is there, and let a further run mend an end half-way."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploytasks.adoption.drafts import Draft
from deploytasks.adoption.staging import discard, stage
from deploytasks.errors import Complaint, Failure, Refusal, unwritable

_DRAFTS = ".deploytasks-init"


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a file: `draft` is written; without one, the file that is there is kept, as `note` says.

    `lacks` is what somebody is to add to it, `ours` whether its text is the one that was made of the answers.
    """

    path: str
    draft: str | None
    note: str = ""
    lacks: str = ""
    ours: bool = True


def obstacles(root: Path, paths: Iterable[str]) -> Iterator[Complaint]:
    """Yield what keeps the files from being written, each once."""
    parents = dict.fromkeys(parent for path in paths for parent in reversed(Path(path).parents))
    yield from _of_each(root, (root / parent for parent in parents))
    for path in map(root.joinpath, paths):
        if path.is_dir():
            yield Complaint(_shown(root, path), "is a folder, and a file is to be written there", "move it elsewhere")
        elif path.is_symlink() and not path.exists():
            yield Complaint(_shown(root, path), "is a link that leads nowhere", "remove it")
        elif path.exists() and not path.is_file():
            yield Complaint(_shown(root, path), "is a device, a pipe or a socket, and no file", "move it elsewhere")


def _of_each(root: Path, folders: Iterable[Path]) -> Iterator[Complaint]:
    for folder in filter(os.path.lexists, folders):
        if not folder.resolve().is_relative_to(root.resolve()):
            what = f"leads out of the repository, to {folder.resolve()}"
            yield Complaint(_shown(root, folder), what, "put a folder in the place of this link")
        elif not folder.is_dir():
            what = "is not a folder, and files are to be written into it"
            yield Complaint(_shown(root, folder), what, "move it elsewhere")
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield Complaint(_shown(root, folder), "is not writable", "make it a folder that you may write to")


def _shown(root: Path, path: Path) -> str:
    return str(path.relative_to(root)) if path != root else str(root)


def steps(root: Path, drafts: Iterable[Draft]) -> Iterator[Step]:
    """Yield what becomes of each file."""
    for draft in drafts:
        path = root / draft.path
        there = read(path) if path.is_file() else None
        if there is None:
            yield Step(draft.path, draft.text)
        elif there == draft.text:
            yield Step(draft.path, None, "up to date already")
        else:
            lacks = draft.lacks(there)
            advice = f"add to it: {lacks}" if lacks else draft.advice
            yield Step(draft.path, None, f"is there, and stays as it is; {advice}", lacks, ours=False)
            yield from steps(root, [Draft(draft.instead, draft.text)] if draft.instead else [])


def read(file: Path) -> str:
    """Return a file's text with Unix line ends; bytes that are not UTF-8 are replaced."""
    return file.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n")


def place(root: Path, written: Sequence[Step]) -> None:
    """Write the files.

    Raises:
        Refusal: the drafts could not be written, so nothing was changed.
        Failure: some of the files are in their places.

    """
    beside = root / _DRAFTS
    try:
        stage(beside, {f"files/{step.path}": (step.draft or "").encode() for step in written})
    except OSError as error:
        raise Refusal(_unwritable(beside, error)) from error
    try:
        for step in written:
            (root / step.path).parent.mkdir(parents=True, exist_ok=True)
            (beside / "files" / step.path).rename(root / step.path)
    except OSError as error:
        again = Complaint("init", "not all files are written", "run it again: it keeps those that are there")
        raise Failure(_unwritable(beside, error), again) from error
    finally:
        with suppress(OSError):
            discard(beside)


def _unwritable(beside: Path, error: OSError) -> Complaint:
    """Return the complaint about the file; a full disk names none, but is where the drafts are."""
    error.filename = error.filename or str(beside)
    return unwritable(error)
