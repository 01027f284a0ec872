"""The only git: which commit is built, whether the tree is clean, which of two commits is the older.

Every question is a git process with an argument list, no shell and LC_ALL=C; nothing is ever written into the
repository.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from deploytasks import tags
from deploytasks.errors import Invalid

Relation = Literal["same", "newer", "older", "diverged", "unknown"]

_FULL = re.compile(r"[0-9a-f]{40}")
_LISTED = 5
_HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_COMMON_DIR")
_UNSHALLOW = "the clone is shallow: fetch its whole history (`fetch-depth: 0` in CI, or `git fetch --unshallow`)"


def head_commit(root: Path) -> str:
    """The full commit that is checked out.

    Raises: Invalid where git is not installed, `root` is no repository, or nothing was committed yet.
    """
    commit = _commit(root, "HEAD")
    if commit is None:
        raise Invalid.of("git", f"{root} has no commit yet", "commit something: an image is named by its commit")
    return commit


def resolve(root: Path, rev: str, flag: str = "--commit") -> str:
    """The full commit that a branch, tag, short hash or `HEAD~2`, given by the flag, names.

    Raises: Invalid where it names none, saying so if a shallow clone may be why.
    """
    if not rev.strip() or rev.startswith("-"):
        raise Invalid.of(flag, f"{rev!r} is no commit", "give a branch, a tag or a commit hash")
    commit = _commit(root, rev)
    if commit is None:
        advice = _UNSHALLOW if _is_shallow(root) else "check the spelling, or `git fetch` it first"
        raise Invalid.of(flag, f"no commit is called {rev!r} here", advice)
    return commit


def commit_tag(root: Path, rev: str | None, *, allow_dirty: bool) -> str:
    """The commit tag of a revision; None means what is checked out, uncommitted changes included if they are allowed.

    Raises: Invalid where there are uncommitted changes that are not allowed, naming some of them.
    """
    if rev is not None:
        return resolve(root, rev)
    commit, dirty = head_commit(root), dirty_paths(root)
    if not dirty:
        return commit
    if allow_dirty:
        return tags.dirty_tag(commit, tree_of_worktree(root))
    more = f" and {len(dirty) - _LISTED} more" if len(dirty) > _LISTED else ""
    changed = ", ".join(dirty[:_LISTED]) + more
    raise Invalid.of("git", f"the tree has uncommitted changes: {changed}", "commit them, or --allow-dirty")


def relation(root: Path, new: str, present: str) -> Relation:
    """How commit tag `new` stands to `present`; `unknown` where this clone's history cannot tell."""
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


def dirty_paths(root: Path) -> tuple[str, ...]:
    """What is changed, staged or untracked (and not ignored) anywhere in the repository, by path."""
    listed = _git(root, "--no-optional-locks", "status", "--porcelain=v1", "-z", "--no-renames")
    return tuple(sorted(entry[3:] for entry in listed.split("\0") if entry))


def tree_of_worktree(root: Path) -> str:
    """Git's hash of the tree as it lies there, untracked files included and ignored ones not.

    The index is copied with its time, by which git knows the files it must read again; new objects go to a directory
    that is thrown away, with the repository's own as its alternate.
    """
    index, objects = _git_path(root, "index"), _git_path(root, "objects")
    with tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch:
        if index.exists():
            shutil.copy2(index, Path(scratch, "index"))
        Path(scratch, "objects").mkdir()
        into = {
            "GIT_INDEX_FILE": str(Path(scratch, "index")),
            "GIT_OBJECT_DIRECTORY": str(Path(scratch, "objects")),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _alternate(objects),
        }
        _git(root, "-c", "core.splitIndex=false", "add", "--all", "--", ":/", extra=into)
        return _git(root, "write-tree", extra=into)


def export(root: Path, commit: str, into: Path) -> None:
    """The files of `root` as they are in the commit lie in the directory `into`, as a checkout would lay them.

    Git itself writes them, through an index that is thrown away: no archive whose paths would have to be trusted,
    and no `export-ignore` that would keep a file out of the image.
    """
    into.mkdir(parents=True, exist_ok=True)
    below = _git(root, "rev-parse", "--show-prefix").rstrip("/")
    with tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch:
        place = {
            "GIT_DIR": str(_absolute(root, _git(root, "rev-parse", "--git-dir"))),
            "GIT_WORK_TREE": str(into.resolve()),
            "GIT_INDEX_FILE": str(Path(scratch, "index")),
        }
        _git(into, "read-tree", "--reset", "-u", "--no-sparse-checkout", f"{_clean(commit)}:{below}", extra=place)


def subjects(root: Path, commits: Iterable[str]) -> dict[str, str]:
    """Commit tag → its commit's first line, asked in one go; what this clone does not have is left out.

    Nothing is raised: subjects are an extra, and where git or the repository is missing there are none.
    """
    wanted = {tag: _clean(tag) for tag in commits if tags.is_commit(tag)}
    known = _first_lines(root, sorted(set(wanted.values()))) if wanted else {}
    return {tag: known[commit] for tag, commit in wanted.items() if commit in known}


def _first_lines(root: Path, full: Iterable[str]) -> dict[str, str]:
    asked = ("log", "--no-walk=unsorted", "--ignore-missing", "--no-show-signature", "-z", "--format=%H %s")
    try:
        listed = _git(root, *asked, *full, "--", extra={"GIT_NO_LAZY_FETCH": "1"})  # looking fetches nothing
    except Invalid:
        return {}
    return {line[:40]: line[41:] for line in listed.split("\0") if line}


def committed_at(root: Path, commit: str) -> datetime:
    """When the commit was made, with its time zone."""
    return datetime.fromisoformat(_git(root, "log", "-1", "--format=%cI", _clean(commit)))


def origin_url(root: Path) -> str:
    """Where the repository was cloned from, without any credentials; "" where it has no `origin`."""
    done = _run(root, "config", "--get", "remote.origin.url")
    return _without_credentials(done.stdout.strip()) if done.returncode == 0 else ""


def _without_credentials(url: str) -> str:
    if "://" not in url:
        return url
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    keeps_user = parts.scheme in ("ssh", "git+ssh") and user
    netloc = f"{user.partition(':')[0]}@{host}" if keeps_user else host
    return parts._replace(netloc=netloc, query="", fragment="").geturl()


def _commit(root: Path, rev: str) -> str | None:
    _require_repository(root)
    done = _run(root, "rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")
    found = done.stdout.strip()
    return found if done.returncode == 0 and _FULL.fullmatch(found) else None


def _has(root: Path, commit: str) -> bool:
    return _FULL.fullmatch(commit) is not None and _commit(root, commit) is not None


def _is_ancestor(root: Path, old: str, new: str) -> bool:
    return _run(root, "merge-base", "--is-ancestor", old, new).returncode == 0


def _is_shallow(root: Path) -> bool:
    return _git(root, "rev-parse", "--is-shallow-repository") == "true"


def _require_repository(root: Path) -> None:
    _git(root, "rev-parse", "--git-dir")


def _git_path(root: Path, name: str) -> Path:
    return _absolute(root, _git(root, "rev-parse", "--git-path", name))


def _absolute(root: Path, path: str) -> Path:
    return (root / path).resolve()


def _alternate(objects: Path) -> str:
    """The directory as a list of one: a colon separates, so a path that holds one is quoted."""
    path = str(objects)
    if ":" not in path and not path.startswith('"'):
        return path
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _clean(commit: str) -> str:
    return commit.partition("-dirty-")[0]


def _git(root: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> str:
    """What git says, without the last line's end. Raises: Invalid with git's own words where it refuses."""
    done = _run(root, *arguments, extra=extra)
    if done.returncode == 0:
        return done.stdout.rstrip("\n")
    said = next((line for line in done.stderr.splitlines() if line.startswith(("fatal:", "error:"))), "git failed")
    what = said.removeprefix("fatal: ").removeprefix("error: ")
    if "not a git repository" in what:
        advice = "run inside a clone of the repository, or `git init` and commit: an image is named by its commit"
        raise Invalid.of("git", f"{root} is not in a git repository", advice)
    raise Invalid.of("git", what, "\n".join(line for line in done.stderr.splitlines() if line and line != said))


def _run(root: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One git process. A hook's own variables would point it to another repository than `root`."""
    environment = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(extra or {})}
    command = ["git", "-C", str(root), "-c", f"core.hooksPath={os.devnull}", *arguments]
    try:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, errors="surrogateescape", check=False
        )
    except FileNotFoundError:
        raise Invalid.of(
            "git", "git is not installed", "install it: `apt-get install git`, `brew install git`"
        ) from None
