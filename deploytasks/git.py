"""Ask git which commit to build, what the working tree changes of it, which of two commits is the older, and to merge.

This is the only module that runs git: each question is a process with an argument list, no shell and LC_ALL=C.
Nothing is ever written into the repository.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from deploytasks import tags
from deploytasks.errors import ROOM, Invalid
from deploytasks.git_url import without_credentials

Relation = Literal["same", "newer", "older", "diverged", "unknown"]

_FULL = re.compile(r"[0-9a-f]{40}")
_HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_COMMON_DIR")
_UNWRITABLE = ("No space left on device", "Disk quota exceeded", "Out of diskspace", "unable to write")
"""Git's messages if it could not write its files, which are temporary ones here."""
_UNSHALLOW = "the clone is shallow: fetch its whole history (`fetch-depth: 0` in CI, or `git fetch --unshallow`)"


def head_commit(root: Path) -> str:
    """Return the full commit that is checked out.

    Raises: Invalid if git is not installed, `root` is not in a repository, or there is no commit yet.
    """
    commit = _commit(root, "HEAD")
    if commit is None:
        raise Invalid.of("git", f"{root} has no commit yet", "commit something: an image is named by its commit")
    return commit


def resolve(root: Path, rev: str, flag: str = "--commit") -> str:
    """Return the full commit that a branch, tag, short hash or `HEAD~2`, given by the flag, names.

    Raises: Invalid if it names none, saying so if a shallow clone may be why.
    """
    if not rev.strip() or rev.startswith("-"):
        raise Invalid.of(flag, f"{rev!r} is not a commit", "give a branch, a tag or a commit hash")
    commit = _commit(root, rev)
    if commit is None:
        advice = _UNSHALLOW if _is_shallow(root) else "check the spelling, or `git fetch` it first"
        raise Invalid.of(flag, f"no commit is called {rev!r} here", advice)
    return commit


def relation(root: Path, new: str, present: str) -> Relation:
    """Return how commit tag `new` relates to `present`; `unknown` if this clone's history can't tell."""
    ours, theirs = _clean(new), _clean(present)
    if ours == theirs:
        return "same"
    if not (_has(root, ours) and _has(root, theirs)):
        return "unknown"
    if _is_ancestor(root, theirs, ours):
        return "newer"
    if _is_ancestor(root, ours, theirs):
        return "older"
    return "unknown" if _is_shallow(root) else "diverged"


def oldest(root: Path, commit_tags: Sequence[str]) -> str:
    """Return the first commit tag whose commit is the ancestor of all the others' commits; "" if git can't tell.

    Commits that a whole clone does not have are left out: their branch was deleted. Never raise.
    """
    known = _first_lines(root, sorted(set(map(_clean, commit_tags))))
    ours = [tag for tag in commit_tags if _clean(tag) in known]
    try:
        if not ours or (len(ours) < len(commit_tags) and _is_shallow(root)):
            return ""
        base = run(root, "merge-base", "--octopus", *map(_clean, ours)).stdout.strip()
    except Invalid:
        return ""
    return next((tag for tag in ours if _clean(tag) == base), "")


@dataclass(frozen=True, slots=True)
class Changes:
    """The differences between the working tree and HEAD, by path below the repository's top, without ignored files.

    `inside` are the submodules with changes that only a commit of their own could record.
    """

    tracked: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()


def changes(root: Path, pathspecs: Iterable[str] = ()) -> Changes:
    """Return which paths are changed or staged, and which are untracked; a directory has a trailing slash.

    Pathspecs limit them to what they match.
    """
    asked = ("status", "--porcelain=v2", "-z", "--no-renames", "--ignore-submodules=none", "--", *pathspecs)
    tracked, untracked, inside = list[str](), list[str](), list[str]()
    for line in filter(None, ask(root, "--no-optional-locks", *asked).split("\0")):
        kind, _, rest = line.partition(" ")
        if kind == "?":
            untracked.append(rest)
            continue
        submodule, path = rest.split(" ", 2)[1], rest.split(" ", 9 if kind == "u" else 7)[-1]
        (untracked if submodule == "S..U" else tracked).append(path)
        if submodule[2:3] == "M":
            inside.append(path)
    return Changes(tuple(sorted(tracked)), tuple(sorted(untracked)), tuple(sorted(inside)))


@contextmanager
def snapshot(root: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield git's hash of the tree, with untracked files and without ignored ones, and the environment to read it with.

    The index is copied with its time, by which git knows which files to read again; new objects go to a temporary
    directory, with the repository's own as its alternate.
    """
    index, objects = _git_path(root, "index"), _git_path(root, "objects")
    with tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch:
        if index.exists():
            shutil.copy2(index, Path(scratch, "index"))
        Path(scratch, "objects").mkdir()
        reading = {
            "GIT_OBJECT_DIRECTORY": str(Path(scratch, "objects")),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _alternate(objects),
        }
        into = {"GIT_INDEX_FILE": str(Path(scratch, "index")), **reading}
        ask(root, "-c", "core.splitIndex=false", "add", "--all", "--", ":/", extra=into)
        yield ask(root, "write-tree", extra=into), reading


def last_commit(paths: Sequence[Path]) -> str:
    """Return the last commit that touches one of the paths, all of one repository; "" if none does.

    Raises: Invalid with git's own words if the repository can't be read.
    """
    asked = ("log", "-1", "--format=%H", "--no-show-signature", "HEAD", "--", *map(str, paths))
    return ask(_folder(paths[0]), *asked, extra={"GIT_LITERAL_PATHSPECS": "1"})


def entries(paths: Sequence[Path]) -> dict[str, tuple[str, str]]:
    """Return what HEAD holds at the paths, all of one repository: path from its top → mode and object id.

    Raises: Invalid with git's own words if the repository can't be read.
    """
    listed = ask(_folder(paths[0]), "ls-tree", "-r", "-z", "--full-name", "HEAD", "--", *map(str, paths))
    parts = (entry.partition("\t") for entry in listed.split("\0") if entry)
    return {path: (meta.split()[0], meta.split()[2]) for meta, _, path in parts}


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def object_ids(folder: Path, files: Iterable[Path]) -> list[str]:
    """Return the ids that the files would be committed under, after git's line-end conversion and filters."""
    asked = "\n".join(map(str, files))
    done = run(folder, "hash-object", "--stdin-paths", given=asked) if asked else None
    return done.stdout.split() if done and done.returncode == 0 else []


def subjects(root: Path, commits: Iterable[str]) -> dict[str, str]:
    """Return commit tag → its commit's subject line, read in one go; leave out commits that this clone does not have.

    Never raise: subjects are an extra, and without git or a repository there are none.
    """
    wanted = {tag: _clean(tag) for tag in commits if tags.is_commit(tag)}
    known = _first_lines(root, sorted(set(wanted.values()))) if wanted else {}
    return {tag: known[commit] for tag, commit in wanted.items() if commit in known}


def _first_lines(root: Path, full: Iterable[str]) -> dict[str, str]:
    asked = ("log", "--no-walk=unsorted", "--ignore-missing", "--no-show-signature", "-z", "--format=%H %s")
    try:
        listed = ask(root, *asked, *full, "--", extra={"GIT_NO_LAZY_FETCH": "1"})  # fetch nothing
    except Invalid:
        return {}
    return {line[:40]: line[41:] for line in listed.split("\0") if line}


def committed_at(root: Path, commit: str) -> datetime:
    """Return when the commit was made, with its time zone."""
    return datetime.fromisoformat(ask(root, "log", "-1", "--format=%cI", _clean(commit)))


def default_branch(root: Path) -> str:
    """Return the default branch of the remote `origin`, "" if it is not known here."""
    told = run(root, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD").stdout.strip()
    return told.removeprefix("origin/")


def origin_url(root: Path) -> str:
    """Return the URL that the repository was cloned from, without credentials; "" if it has no `origin`."""
    done = run(root, "config", "--get", "remote.origin.url")
    return without_credentials(done.stdout.strip()) if done.returncode == 0 else ""


def merged(ours: bytes, base: bytes, theirs: bytes) -> bytes | None:
    """Return the file with what both sides changed of the base; None if the changes clash, or it is not text."""
    with tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch:
        for name, content in {"ours": ours, "base": base, "theirs": theirs}.items():
            Path(scratch, name).write_bytes(content)
        done = run(Path(scratch), "merge-file", "--stdout", "--quiet", "ours", "base", "theirs")
    return to_bytes(done.stdout) if done.returncode == 0 else None


def _commit(root: Path, rev: str) -> str | None:
    _require_repository(root)
    done = run(root, "rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")
    found = done.stdout.strip()
    return found if done.returncode == 0 and _FULL.fullmatch(found) else None


def _has(root: Path, commit: str) -> bool:
    return _FULL.fullmatch(commit) is not None and _commit(root, commit) is not None


def _is_ancestor(root: Path, old: str, new: str) -> bool:
    return run(root, "merge-base", "--is-ancestor", old, new).returncode == 0


def _is_shallow(root: Path) -> bool:
    return ask(root, "rev-parse", "--is-shallow-repository") == "true"


def _require_repository(root: Path) -> None:
    ask(root, "rev-parse", "--git-dir")


def _git_path(root: Path, name: str) -> Path:
    return (root / ask(root, "rev-parse", "--git-path", name)).resolve()


def _alternate(objects: Path) -> str:
    """Return the directory as a list of one; a path with a colon, the separator, is quoted."""
    path = str(objects)
    if ":" not in path and not path.startswith('"'):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _clean(commit: str) -> str:
    return commit.partition("-dirty-")[0]


def ask(root: Path, *arguments: str, extra: Mapping[str, str] | None = None, given: str = "") -> str:
    """Return git's output without the trailing newline; `extra` is added to its environment, `given` is its stdin.

    Raises: Invalid with git's own words if it fails.
    """
    done = run(root, *arguments, extra=extra, given=given)
    if done.returncode == 0:
        return done.stdout.rstrip("\n")
    said = next((line for line in done.stderr.splitlines() if line.startswith(("fatal:", "error:"))), "git failed")
    what = said.removeprefix("fatal: ").removeprefix("error: ")
    if any(each in done.stderr for each in _UNWRITABLE):
        raise Invalid.of("git", what, ROOM)
    if what.startswith("not a git repository (or any"):
        advice = "run inside a clone of the repository, or `git init` and commit: an image is named by its commit"
        raise Invalid.of("git", f"{root} is not in a git repository", advice)
    if what.startswith("not a git repository: ") and "/modules/" in what:
        advice = "remove that submodule's folder, then git submodule update --init --recursive"
        raise Invalid.of("git", f"a submodule points to a repository that is gone: {what[22:]}", advice)
    raise Invalid.of("git", what, "\n".join(line for line in done.stderr.splitlines() if line and line != said))


def run(
    root: Path, *arguments: str, extra: Mapping[str, str] | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run git, without a hook's own variables, which would point it to another repository than `root`."""
    environment = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(extra or {})}
    command = ["git", "-C", str(root), "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        done = subprocess.run(command, env=environment, input=to_bytes(given), capture_output=True, check=False)
        return subprocess.CompletedProcess(command, done.returncode, to_text(done.stdout), to_text(done.stderr))
    except FileNotFoundError:
        raise Invalid.of(
            "git", "git is not installed", "install it: `apt-get install git`, `brew install git`"
        ) from None


def to_bytes(text: str) -> bytes:
    """Return git's output as bytes, which need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def to_text(said: bytes) -> str:
    """Return git's output as text, from which `to_bytes` restores the same bytes."""
    return said.decode("utf-8", "surrogateescape")
