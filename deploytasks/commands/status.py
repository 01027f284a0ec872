"""The board of what runs where, in all tiers. Changes nothing."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from deploytasks import git
from deploytasks.aws.session import Clients
from deploytasks.commands import config_rules, jobs
from deploytasks.commands.config_version import config_of
from deploytasks.commands.context import reach
from deploytasks.commands.drift import drifted
from deploytasks.commands.images import sweep
from deploytasks.commands.observe import observe
from deploytasks.commands.origins import known_origins
from deploytasks.commands.overrides import Overridden, overridden
from deploytasks.concurrency import together
from deploytasks.errors import Complaint, DeployError
from deploytasks.model import Board, Live, Project, Target
from deploytasks.rules import board
from deploytasks.rules.board import Evidences
from deploytasks.rules.image_index import ImageIndex, index_images
from deploytasks.rules.observed import what_runs
from deploytasks.template.render import Renderer


def status(project: Project, targets: Sequence[Target]) -> Board:
    """Return the tenant × tier board of the targets, from what really runs; a target that can't be seen has a cell too.

    Its notes say what could not be judged because the registry could not be read, or a template's variable is missing.
    """
    clients, renderer, at = reach(project), Renderer(project), datetime.now(UTC)
    lives, (indexes, passed, unread) = together(
        lambda: observe(clients, targets, renderer=renderer, reading="all"),
        lambda: _image_indexes(project, clients, targets),
    )
    indexes = {name: _shown(project, name, index, lives) for name, index in indexes.items()}
    changed, unjudged = drifted(project, renderer, lives)
    older = _older(project, renderer, [live for live in lives if live.target in changed])
    known = Evidences(
        project.name,
        indexes,
        changed,
        {one.release: one.reason for one in passed.overrides},
        older,
        jobs.last_runs(clients, lives),
        jobs.idle(renderer, lives),
    )
    seen = board.board([tier.name for tier in project.tiers], lives, known, at)
    seen = board.titled(seen, git.subjects(project.root, {cell.commit for cell in seen.cells}))
    notes = (*unread, *passed.notes, *(f"drift could not be judged: {each}" for each in unjudged))
    return replace(seen, notes=notes, holds=passed.holds, locks=passed.locks)


def _shown(project: Project, name: str, index: ImageIndex, lives: Iterable[Live]) -> ImageIndex:
    """Return the index; the images that run, or that a tier tag names, have their origin."""
    runs = {digest for live in lives if name in live.target.images for digest in what_runs(live, name)[0]}
    images = {image.digest: image for image in index.by_digest.values()}
    shown = {*runs, *(tier.name for tier in project.tiers)}
    return index_images(known_origins(project.root, images.values(), shown)) if index.known else index


def _older(project: Project, renderer: Renderer, lives: Sequence[Live]) -> dict[Target, str]:
    """Return a note on each drifted target whose config is newer than this checkout's; only for them, ask git."""
    return config_rules.ages(config_of(project.root), renderer, lives) if lives else {}


def _image_indexes(
    project: Project, clients: Clients, targets: Sequence[Target]
) -> tuple[dict[str, ImageIndex], Overridden, tuple[str, ...]]:
    """Return each image's index, the tiers' overrides, and notes on what could not be read.

    Each repository is listed once.
    """
    images = project.images_of(targets)
    unknown = {image.name: ImageIndex() for image in images}
    try:
        swept = sweep(project, clients, images)
    except DeployError as error:
        return unknown, Overridden(), _unread("", error.complaints)
    notes = [note for name, complaint in swept.unread.items() for note in _unread(f"{name}: ", [complaint])]
    indexes = {name: index_images(found) for name, found in swept.images.items()}
    tiers = dict.fromkeys(target.environment.tier for target in targets)
    return unknown | indexes, overridden(project, clients, tuple(tiers)), tuple(notes)


def _unread(where: str, complaints: Iterable[Complaint]) -> tuple[str, ...]:
    lost = "the board can't tell what is behind, nor which images are missing in ECR"
    return tuple(f"{where}the registry could not be read, so {lost}: {each}" for each in complaints)
