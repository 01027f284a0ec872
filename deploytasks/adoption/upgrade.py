"""`python -m deploytasks upgrade`: bring the copy in this repository to another version, and lose no edit.

1. The target is read: the version that is installed, that pip downloads (`--to`), or in a wheel (`--wheel`).
2. Each file is decided on (merge.py). What was edited here and changed there is merged over what the copy was made of
   (merge_base.py, read only if a file needs it). What clashes stays, with the new file beside it as `.new`.
3. The files are prepared, then replaced (replace.py). An upgrade that was ended half-way is finished first.

Nothing of this package is imported any more once files are replaced: it may be the copy that runs.
"""

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploytasks.adoption import merge, releases, replace, stamp, wheels
from deploytasks.adoption.merge import LEFT, Change
from deploytasks.adoption.merge_base import MergeBase
from deploytasks.adoption.releases import PACKAGE, Place, Release, is_newer
from deploytasks.adoption.staging import alone, present_folder
from deploytasks.errors import Complaint, Failure, Refusal, raise_all
from deploytasks.flags import DRY_RUN

_NO_COPY = "run it where tasks.py is; init --vendor makes a copy, and pip upgrades what pip installed"
_NO_STAMP = "move it away, make a copy with init --vendor, and take your edits over: git diff shows them"
_NO_LINK = "put what it points to in its place, or run this where it points to"
_NO_TARGET = "name a version, --to VERSION, or a file, --wheel FILE; or install one: pip install deploytasks"


def arguments(parser: ArgumentParser) -> None:
    """Add the flags."""
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--to", metavar="VERSION", help="bring it to this version, which pip downloads")
    target.add_argument("--wheel", metavar="FILE", type=Path, help="bring it to the version in this wheel")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and change nothing")


def run(given: Namespace) -> Iterator[str]:
    """Yield what is done to the copy in the present folder.

    Raises: Refusal before any change; Failure if a file is left to the user.
    """
    root = present_folder()
    with alone(root):
        folder = root / PACKAGE
        _stamp(folder)
        yield from finish(folder, dry_run=given.dry_run)
        was, here = _stamp(folder), _installed(root)
        new = _target(given, folder, was, here)
        base = MergeBase(was, here, [given.wheel.parent] if given.wheel else [])
        yield from bring(folder, new, base, dry_run=given.dry_run)


def finish(folder: Path, *, dry_run: bool = False) -> Iterator[str]:
    """Finish an upgrade of the copy that was ended half-way, if there is one."""
    half = replace.prepared(folder)
    if half:
        yield f"an upgrade to {half.version} was interrupted: it is finished first"
    if half and not dry_run:
        yield from _replaced(folder, half)
    elif not dry_run:
        replace.discard_prepared(folder)


def bring(folder: Path, new: Release, base: MergeBase, *, dry_run: bool = False) -> Iterator[str]:
    """Bring the copy to the release, unless it is there already."""
    was = base.stamp
    pending = [_pending(path) for path in stamp.unmerged(folder)]
    if (was.version, was.files) == (new.version, new.stamp.files):
        yield f"nothing to do: {PACKAGE}/ is at {new.version}"
        raise_all(Failure, pending)
        return
    raise_all(Refusal, pending)
    changes = merge.plan(was, stamp.tree(folder), new.files, base.merge)
    raise_all(Refusal, [*_obstacles(folder, changes)])
    yield f"{PACKAGE}/ from {was.version} to {new.version}: {_counted(changes)}"
    yield from _told(changes, new.version, base.lost, dry_run=dry_run)
    required = list(_required(was, new))
    if dry_run:
        yield from [*required, DRY_RUN]
    else:
        yield from _replaced(folder, replace.prepare(folder, new.stamp, changes), required)


def _obstacles(folder: Path, changes: Sequence[Change]) -> Iterator[Complaint]:
    """Yield what keeps new files from being written: a folder of the same name, or a file where they need a folder."""
    for target in (folder / each.path for each in changes if each.content is not None):
        files = (each for each in target.relative_to(folder).parents if (folder / each).is_file())
        if target.is_dir() or any(files):
            yield Complaint(str(target), "something else has the name of a new file, or of its folder", "rename it")


def _stamp(folder: Path) -> stamp.Stamp:
    """Return the stamp of the copy; raise Refusal if there is none, or the copy can't be upgraded in its place."""
    found = stamp.read(folder)
    if found is None and folder.exists():
        raise Refusal.of(str(folder), "it has no stamp, so what was edited in it is not known", _NO_STAMP)
    if found is None:
        raise Refusal.of(str(folder), "there is no copy here", _NO_COPY)
    if links := [str(each) for each in (folder, *folder.rglob("*")) if each.is_symlink()]:
        raise Refusal.of(links[0], "it is a link, and only files are replaced", _NO_LINK)
    return found


def _installed(root: Path) -> Place | None:
    """Return the package beside the copy: the one that runs, unless that is a copy, else the one installed."""
    running = releases.running()
    return releases.installed(root) if running.how == "copy" else running


def _target(given: Namespace, folder: Path, was: stamp.Stamp, here: Place | None) -> Release:
    if given.wheel:
        return wheels.read(given.wheel)
    if given.to and here and (here.version, here.how) == (given.to, "installed"):
        return releases.read(here)
    if given.to:
        return wheels.download(given.to)
    if here is None:
        raise Refusal.of(PACKAGE, f"no version is installed beside this copy of {was.version}", _NO_TARGET)
    if is_newer(was.version, here.version):
        what = f"this copy of {was.version} is newer than the installed {here.version}"
        raise Refusal.of(str(folder), what, f"to go back, name the version: --to {here.version}")
    return releases.read(here)


def _pending(path: str) -> Complaint:
    into = f"{PACKAGE}/{path.removesuffix(stamp.UNMERGED)}"
    return Complaint(f"{PACKAGE}/{path}", "not merged yet", f"merge it into {into}, and delete it")


def _replaced(folder: Path, upgrade: replace.Upgrade, required: Sequence[str] = ()) -> Iterator[str]:
    """Replace the files, and raise Failure if some are left to the user."""
    made = replace.carry_out(folder, upgrade)
    yield f"{PACKAGE}/ is at {upgrade.version}: read git diff, run inv envs.check, and commit it"
    yield from required
    raise_all(Failure, [_left(each, upgrade.version) for each in made if each.kind in LEFT])


def _left(change: Change, version: str) -> Complaint:
    row, path = LEFT[change.kind], f"{PACKAGE}/{change.path}"
    return Complaint(path, row.what.format(version=version), row.to_do.format(path=path))


def _counted(changes: Sequence[Change]) -> str:
    counted = Counter("kept" if each.kind in LEFT else each.kind for each in changes)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items())) or "no file changes"


def _told(changes: Sequence[Change], version: str, lost: str, *, dry_run: bool) -> Iterator[str]:
    """Yield a line for each file that is merged, and why files could not be; what is left to do only in a dry run.

    Otherwise the Failure at the end tells it.
    """
    for each in changes:
        if each.kind == "merged":
            yield f"  {each.path}: edited here, changed in {version}: merged"
        elif dry_run and each.kind in LEFT:
            yield f"  {each.path}: {LEFT[each.kind].what.format(version=version)}"
    if lost:
        yield f"  no merge: {lost}"


def _required(was: stamp.Stamp, new: Release) -> Iterator[str]:
    if wanted := sorted({*new.requires} - {*was.requires}):
        yield f"it now requires {', '.join(wanted)}: put that into requirements-deploy.txt, and install it"
