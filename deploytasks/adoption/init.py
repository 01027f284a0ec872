"""`python -m deploytasks init`: write what a repository needs for its first release.

1. repository.py looks at what is there: git, Dockerfiles, a CI system, an envs/project.toml.
2. answers.py: the rest is answered by flags, at the terminal, or by defaults.
3. drafts.py makes the files of the answers, by the templates in scaffold/.
4. placing.py writes those that are not there yet; what is there is kept, and said so.
"""

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploytasks.adoption import placing, repository
from deploytasks.adoption.answers import QUESTIONS, Answers, answered
from deploytasks.adoption.drafts import Draft, Extras, drafts
from deploytasks.adoption.placing import Step
from deploytasks.adoption.repository import Found
from deploytasks.adoption.staging import alone, present_folder
from deploytasks.adoption.vendor import obstacles as vendor_obstacles
from deploytasks.adoption.vendor import vendor
from deploytasks.config.files import PROJECT_FILE
from deploytasks.config.unfilled import unfilled
from deploytasks.errors import Refusal, listed, raise_all
from deploytasks.flags import DRY_RUN

_YOURS = "first make the clusters and roles that envs/ names"
_BY_TEMPLATE = "init --create-services writes templates that make them"
_SWITCHES = {
    "nox": "also write noxfile.py, which has the tasks as Nox sessions",
    "vendor": "also copy deploytasks/ itself, so that nothing need be installed but its dependencies",
    "create-services": "also write templates by which missing ECS services are made",
    "yes": "ask nothing: take the defaults for what no flag says",
    "dry-run": "show what would be written, and write nothing",
}


def arguments(parser: ArgumentParser) -> None:
    """Add the flags: one a question, and the switches."""
    for flag, question in QUESTIONS.items():
        parser.add_argument(f"--{flag}", metavar=flag.rpartition("-")[2].upper(), help=question.asks)
    for flag, does in _SWITCHES.items():
        parser.add_argument(f"--{flag}", action="store_true", help=does)


def run(given: Namespace) -> Iterator[str]:
    """Write the files into the present folder, and yield what was done and what comes next.

    Raises:
        Refusal: a flag or a file keeps it from being done; nothing was changed.
        Failure: not all files could be written.

    """
    root = present_folder()
    with alone(root):
        yield from _written(root, given)


def _written(root: Path, given: Namespace) -> Iterator[str]:
    raise_all(Refusal, list(placing.obstacles(root, [PROJECT_FILE])))
    found = repository.survey(root)
    answers = answered(found, given, given.ask)
    extras = Extras(given.nox, given.create_services, given.vendor)
    steps = _planned(root, list(drafts(answers, extras, found)), extras)
    written = [step for step in steps if step.draft is not None]
    if not given.dry_run:
        placing.place(root, written)
    yield from (f"{step.path}: {step.note or ('would be written' if given.dry_run else 'written')}" for step in steps)
    if given.dry_run:
        yield DRY_RUN
        return
    if given.vendor:
        yield from vendor(root)
    yield from _next(found, answers, steps, extras)


def _planned(root: Path, drafted: Sequence[Draft], extras: Extras) -> list[Step]:
    """Return what becomes of each file.

    Raises: Refusal with everything that is in the way.
    """
    in_the_way = vendor_obstacles(root) if extras.vendor else []
    raise_all(Refusal, [*placing.obstacles(root, [each.path for each in drafted]), *in_the_way])
    steps = list(placing.steps(root, drafted))
    raise_all(Refusal, list(placing.obstacles(root, [step.path for step in steps])))
    return steps


def _next(found: Found, answers: Answers, steps: Sequence[Step], extras: Extras) -> Iterator[str]:
    """Yield what is left to do, the commands last."""
    left = [*_left(found, answers, steps)]
    yield from (["fill in, or write:", *(f"  {each}" for each in left)] if left else [])
    yield from str(found.no_git).splitlines() if found.no_git else []
    yield "next:"
    yield "  inv envs.check"
    yield from ["  git init"] if found.no_git else []
    yield f"  git add {shlex.join(_to_commit(steps, extras))}"
    yield from [f"  note: changed too, and not by init: {listed(found.changed)}"] if found.changed else []
    yield '  git commit -m "Release with deploytasks"'
    yield "  inv envs.rights"
    yield "  inv envs.bootstrap"
    yield f"  note: {_YOURS if extras.create_services else f'{_YOURS}, and the ECS services ({_BY_TEMPLATE})'}"
    yield f"  inv release.{answers.tiers[0]}"


def _left(found: Found, answers: Answers, steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        yield from (f"{place}: {what}" for place, what in unfilled(found.root, step.path))
        yield from [f"{step.path}: add {step.lacks}"] if step.lacks else []
    for path in answers.images.values():
        if not (found.root / path).is_file():
            yield f"{path}: missing, and the image is built from it"
    if found.top != found.root:
        yield f"a pipeline in {found.top}: CI reads its files from there alone, so none is written here"


def _to_commit(steps: Sequence[Step], extras: Extras) -> list[str]:
    """Return what is to be committed, as few paths as possible: nothing that the user wrote."""
    own = {Path(step.path).parts[0] for step in steps if not step.ours}
    paths = [step.path if (top := Path(step.path).parts[0]) in own else top for step in steps if step.ours]
    return list(dict.fromkeys([*paths, *(["deploytasks"] if extras.vendor else [])]))
