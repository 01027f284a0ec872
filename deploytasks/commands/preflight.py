"""Checks of all targets before the first write: everything that can be known to go wrong."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct

from deploytasks import concurrency, git, tags
from deploytasks.aws import repositories
from deploytasks.aws.errors import is_denied, reason
from deploytasks.aws.locks import despite_hold
from deploytasks.commands.context import Context
from deploytasks.commands.images import sweep
from deploytasks.commands.observe import no_service, observe
from deploytasks.commands.origins import known_origins
from deploytasks.config.select import upstream_targets
from deploytasks.errors import AwsError, Complaint, DeployError, NotReady, listed, once, raise_all
from deploytasks.model import DesiredImage, EcrImage, Image, Live, LockState, Target
from deploytasks.rules import gate, order, plan
from deploytasks.rules.image_index import index_images

Answer = TypeVar("Answer")


class Note(Struct, frozen=True):
    """What a check found that refuses nothing; it belongs in `Plan.notes`."""

    text: str


Check = Callable[[], Iterable[Complaint | Note]]


def check_all(*checks: Check, asking: Iterable[Check] = ()) -> tuple[str, ...]:
    """Return the notes of all checks, each once.

    Checks that ask AWS are `asking`: they run in parallel, after the others.

    Raises:
        NotReady: with every complaint of every check, each once.

    """
    found = [one for check in checks for one in gathered(check)]
    found += [one for answer in concurrency.each(gathered, asking) for one in answer]
    raise_all(NotReady, once(complaints_in(found)))
    return tuple(dict.fromkeys(one.text for one in found if isinstance(one, Note)))


def complaints_in(found: Iterable[Complaint | Note]) -> list[Complaint]:
    """Return the complaints among what checks found."""
    return [one for one in found if isinstance(one, Complaint)]


def ready(context: Context, lives: Sequence[Live]) -> Iterator[Complaint]:
    """Yield what prevents rolling the targets out: not seen, missing, not ECS's to roll out, another project's."""
    for live in lives:
        if live.complaint:
            yield _named(live, live.complaint)
        elif not live.exists:
            yield from _missing_service(context, live) if not live.target.job else ()
        else:
            yield from unfit(live, context.project.name)


def _named(live: Live, complaint: Complaint) -> Complaint:
    """Return the complaint, with the environment if it names only what tenants may share: account, cluster or file."""
    target, environment = live.target, live.target.environment
    shared = (f"cluster {target.cluster}", str(target.origins.get("account", "")))
    own = {str(target), str(environment), *(place for place in shared if environment.tenant in place)}
    return complaint if complaint.where in own else complaint.at(f"{environment}: {complaint.where}")


def policies(context: Context) -> dict[str, Any]:
    """Return by image its repository's policy, or the error if that may not be read.

    Empty if no account but the registry's pulls.
    """
    images = context.images if _foreign_accounts(context) else ()
    return _if_allowed(images, lambda image: repositories.policy(context.ecr, image.repository))


def movable(context: Context) -> dict[str, bool | AwsError]:
    """Return by image whether its repository lets the tier tag move, or the error if that may not be read."""
    tier = context.tier.name
    return _if_allowed(context.images, lambda one: repositories.lets_move(context.ecr, one.repository, tier))


def _if_allowed(images: Sequence[Image], ask: Callable[[Image], Answer]) -> dict[str, Answer | AwsError]:
    """Return AWS's answers by image, or the error if the role may not ask."""

    def asked(image: Image) -> dict[str, Answer | AwsError]:
        try:
            return {image.name: ask(image)}
        except AwsError as error:
            if not is_denied(error):
                raise
            return {image.name: error}

    answers = concurrency.together(*(partial(asked, image) for image in images))
    return {name: answer for one in answers for name, answer in one.items()}


def unpullable(context: Context, policies: Mapping[str, Any]) -> Iterator[Complaint | Note]:
    """Yield complaints about tenants' accounts that may not pull; a policy that may not be read is a note."""
    for image in context.images:
        for account, target in _foreign_accounts(context, image.name).items() if image.name in policies else ():
            policy = policies[image.name]
            if not isinstance(policy, AwsError) and not repositories.allows_pull(policy, account):
                what = f"account {account} may not pull {image.repository} from the registry"
                yield Complaint(str(target), what, "inv envs.bootstrap lets all tenants' accounts pull")
    yield from unread("who may pull from", _reasons(policies))


def unread(what: str, reasons: Iterable[str]) -> Iterator[Note]:
    """Yield a note on what could not be read of the repositories, with a reason for each; none if all was read."""
    if why := list(reasons):
        those = "1 repository" if len(why) == 1 else f"{len(why)} repositories"
        yield Note(f"not checked: {what} {those} ({listed(list(dict.fromkeys(why)), 2)})")


def _reasons(answers: Mapping[str, Any]) -> list[str]:
    return [reason(answer) for answer in answers.values() if isinstance(answer, AwsError)]


def _foreign_accounts(context: Context, image: str = "") -> dict[str, Target]:
    """Return the accounts other than the registry's that run the image, or any, each with a target in it."""
    own = context.project.registry.access.account
    running = (target for target in context.targets if not image or image in target.images)
    return {target.access.account: target for target in running if target.access.account != own}


def wave_rules(context: Context) -> Iterator[Complaint]:
    """Yield complaints about `--no-wait` with several waves, or with services of which one comes after another.

    It can't tell whether what goes first succeeded.
    """
    waves = {target.wave for target in context.targets}
    if not context.options.wait and len(waves) > 1:
        to_do = "leave --no-wait out, or name tenants of one wave with --tenant"
        yield Complaint(context.tier.name, f"--no-wait with {len(waves)} waves", to_do)
    if not context.options.wait and (later := _later(context.targets)):
        to_do = "leave --no-wait out, or name services that come after no other one with --service"
        yield Complaint(context.tier.name, f"--no-wait with services in order: {listed(later)}", to_do)


def _later(targets: Iterable[Target]) -> list[str]:
    """Return the services that come after others, each with those, in words: `worker after web`."""
    before = order.earlier(target for target in targets if target.job is None)
    names = {target.name: " and ".join(one.name for one in first) for target, first in before.items() if first}
    return [f"{name} after {first}" for name, first in names.items()]


def taggable(
    context: Context,
    desired_images: Sequence[DesiredImage],
    present: Mapping[str, EcrImage],
    movable: Mapping[str, bool | AwsError],
) -> Iterator[Complaint | Note]:
    """Yield what prevents pointing the tier at the images: a tag that can't move, a dirty tree, an older commit."""
    for desired in desired_images:
        if movable[desired.name] is False and not plan.is_there(desired, present.get(desired.name)):
            what = (
                f"the repository {desired.repository} is immutable, its tag {context.tier.name} too: it could not move"
            )
            to_do = f"make it IMMUTABLE_WITH_EXCLUSION with a filter {context.tier.name}, as inv envs.bootstrap does"
            yield Complaint(f"{context.tier.name}/{desired.name}", what, to_do)
    yield from dirty(context, desired_images)
    for desired in desired_images if not context.options.allow_older else ():
        yield from _older(context, desired, present.get(desired.name))
    yield from unread(f"whether the tag {context.tier.name} may move in", _reasons(movable))


def held(
    context: Context,
    hold: LockState | None,
    desired_images: Sequence[DesiredImage],
    present: Mapping[str, EcrImage | None],
) -> list[Complaint]:
    """Return a complaint if the tier is on hold, as it is after a rollback, until the hold is released.

    What the tier tag names may be rolled out again, except to tenants that were rolled back from it on their own.
    """
    if hold is None:
        return []
    named = [each for each in hold.tenants if each in {one.environment.tenant for one in context.targets}]
    if not named and all(plan.is_there(desired, present.get(desired.name)) for desired in desired_images):
        return []
    what = f"{hold.by} holds {', '.join(named) or 'it'} since {hold.since}: {hold.reason}"
    others = f"leave them out: --exclude {','.join(named)}; " if named else ""
    to_do = others + despite_hold(context.tier.name, context.author.run)
    return [Complaint(context.tier.name, what, to_do)]


def dirty(context: Context, desired_images: Sequence[DesiredImage]) -> Iterator[Complaint]:
    """Yield complaints about images of an uncommitted tree, if the tier takes none."""
    for desired in desired_images if context.tier.tag == "immutable" else ():
        if tags.is_dirty(desired.commit_tag):
            what = f"{context.tier.name} is immutable and takes no image of an uncommitted tree"
            yield Complaint(desired.name, what, "commit, build and promote that")


def gated(context: Context, desired_images: Sequence[DesiredImage]) -> list[Complaint]:
    """Return what the gate says, unless overridden; observe the tier before only for images that have not passed."""
    unpassed = [desired for desired in desired_images if not gate.passed(context.tier, desired)]
    if context.options.override or context.tier.after is None or not unpassed:
        return []
    before = upstream_targets(context.project, context.tier, context.targets)
    lives = observe(context.clients, before, renderer=context.renderer, reading="unpinned")
    shut = gate.gate(context.tier, unpassed, lives)
    return gate.gate(context.tier, unpassed, lives, _commits(context)) if shut else []


def _commits(context: Context) -> dict[str, str]:
    """Return digest → commit tag of all that ECR holds of the context's images, children of OCI indexes included.

    Only the wording of complaints uses it, so a repository that may not be read is skipped.
    """
    known: dict[str, str] = {}
    with suppress(DeployError):
        for held in sweep(context.project, context.clients, context.images).images.values():
            by_digest = index_images(known_origins(context.project.root, held)).by_digest
            known |= {digest: next(iter(image.commits), "") for digest, image in by_digest.items()}
    return known


def gathered(check: Check) -> list[Complaint | Note]:
    """Return what the check found, even if it ends in an error."""
    try:
        return list(check())
    except DeployError as error:
        return list(error.complaints)


def _missing_service(context: Context, live: Live) -> Iterator[Complaint]:
    template = context.project.root / "templates" / f"{live.target.name}.service.json.j2"
    if not template.exists():
        to_do = f"make it, or add templates/{template.name} and it is made from that"
        yield Complaint(str(live.target), no_service(live.target), to_do)


def unfit(live: Live, project: str) -> Iterator[Complaint]:
    """Yield what prevents changing a service that exists: it is not ECS's to roll out, or it is another project's."""
    if live.controller != "ECS":
        what = f"its deployment controller is {live.controller}"
        yield Complaint(str(live.target), what, "only ECS's own can be followed")
    yield from foreign(live, project)


def foreign(live: Live, project: str) -> Iterator[Complaint]:
    """Yield a complaint about a service or job that another project rolled out."""
    for record in (live.service_tags, live.revision_tags):
        owner = record.get("project", project)
        if owner != project:
            keys = "`family`" if live.target.job else "`cluster` or `ecs_service`"
            what = f"the {live.target.kind} belongs to project {owner}, this is {project}"
            yield Complaint(str(live.target), what, f"fix {keys} in envs/")
            return


def _older(context: Context, desired: DesiredImage, present: EcrImage | None) -> Iterator[Complaint]:
    """Yield a complaint about going backwards, or not being able to tell; --allow-older permits it."""
    before = _compared(present) if present else ()
    if not present or not before or present.digest == desired.digest:
        return
    root = context.project.root
    asked = desired.asked or desired.commit_tag
    relations = [git.relation(root, asked, commit) for commit in before]
    if {"same", "newer"} & set(relations):
        return
    here, there = tags.short(asked), f"{context.tier.name}'s present {tags.short(before[0])}"
    match relations[0]:
        case "older":
            what, to_do = f"{here} is older than {there}", "--allow-older, if it is meant"
        case "diverged":
            what, to_do = f"{here} and {there} have diverged", "merge or rebase; --allow-older if it is meant"
        case _:
            what = f"history does not tell whether {here} is newer than {there}"
            to_do = "fetch all of it (fetch-depth: 0 in CI, git fetch --unshallow); --allow-older if it is meant"
    yield Complaint(f"{context.tier.name}/{desired.name}", what, to_do)


def _compared(present: EcrImage) -> tuple[str, ...]:
    """Return the commits of the present image to compare with: whatever is newer than one is newer than its origin."""
    return (present.origin,) if present.origin else present.commits
