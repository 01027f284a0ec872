"""Everything that can be known to go wrong, found before the first write, for all targets at once."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from deploytasks import fleet, gate, git, plan, tags
from deploytasks.aws import repositories
from deploytasks.aws.locks import freeing
from deploytasks.errors import AwsError, Complaint, DeployError, NotReady, once, raise_all
from deploytasks.journey.errand import Errand
from deploytasks.journey.observe import observe
from deploytasks.journey.shelves import sweep
from deploytasks.model import Image, Live, LockState, Service, Target, Wish
from deploytasks.project.select import upstream_targets
from deploytasks.stock import stock

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Note:
    """What a check found that refuses nothing; it belongs in `Plan.notes`."""

    text: str


Check = Callable[[], Iterable[Complaint | Note]]


def check_all(*checks: Check, asking: Iterable[Check] = ()) -> tuple[str, ...]:
    """Return the notes of all checks, each once, if nothing speaks against going on.

    Checks that ask AWS are `asking`: they run in parallel, after the others.

    Raises:
        NotReady: with every complaint of every check, each once.

    """
    found = [one for check in checks for one in gathered(check)]
    found += [one for answer in fleet.each(gathered, asking) for one in answer]
    raise_all(NotReady, once(complaints_in(found)))
    return tuple(dict.fromkeys(one.text for one in found if isinstance(one, Note)))


def complaints_in(found: Iterable[Complaint | Note]) -> list[Complaint]:
    """Return the complaints among what checks found."""
    return [one for one in found if isinstance(one, Complaint)]


def ready(errand: Errand, lives: Sequence[Live]) -> Iterator[Complaint]:
    """What speaks against the targets: not seen, not there, not ECS's to roll out, somebody else's."""
    for live in lives:
        if live.complaint:
            yield _named(live, live.complaint)
        elif not live.exists:
            yield from _missing_service(errand, live)
        else:
            yield from unfit(live, errand.project.name)


def _named(live: Live, complaint: Complaint) -> Complaint:
    """The complaint, with the environment where only an account or a cluster is named, which tenants may share."""
    environment = live.target.environment
    known = environment.tenant in complaint.where
    return complaint if known else replace(complaint, where=f"{environment}: {complaint.where}")


def policies(errand: Errand) -> dict[str, Any]:
    """Who may pull each service, if anybody else needs to; a policy that may not be read is left out."""
    services = errand.services if _foreign_accounts(errand) else ()

    def read(service: Service) -> dict[str, Any]:
        return {service.name: repositories.policy(errand.ecr, service.repository)}

    unread: dict[str, Any] = {}
    found = fleet.together(*(partial(_if_allowed, partial(read, service), unread) for service in services))
    return {name: policy for one in found for name, policy in one.items()}


def frozen(errand: Errand) -> frozenset[str]:
    """The services whose repositories would not let the tier's tag move; one that may not be looked at is believed."""

    def moves(service: Service) -> bool:
        return repositories.lets_move(errand.ecr, service.repository, errand.tier.name)

    answers = fleet.together(*(partial(_if_allowed, partial(moves, service), True) for service in errand.services))
    return frozenset(service.name for service, answer in zip(errand.services, answers, strict=True) if not answer)


def _if_allowed(ask: Callable[[], Answer], otherwise: Answer) -> Answer:
    """AWS's answer; where we may not ask, the other one."""
    try:
        return ask()
    except AwsError as error:
        if error.error_code != "AccessDeniedException":
            raise
        return otherwise


def unpullable(errand: Errand, policies: Mapping[str, Any]) -> Iterator[Complaint]:
    """Which tenants' accounts the registry would not let pull; a policy that was not read is believed."""
    for service in errand.services:
        for account, target in _foreign_accounts(errand).items() if service.name in policies else ():
            if not repositories.allows_pull(policies[service.name], account):
                what = f"account {account} may not pull {service.repository} from the registry"
                yield Complaint(str(target), what, "inv envs.bootstrap lets all tenants' accounts pull")


def _foreign_accounts(errand: Errand) -> dict[str, Target]:
    """The accounts that are not the registry's, each with a target there."""
    own = errand.project.registry.access.account
    return {target.access.account: target for target in errand.targets if target.access.account != own}


def wave_rules(errand: Errand) -> Iterator[Complaint]:
    """`--no-wait` can't be told from success where later waves depend on earlier ones."""
    waves = {target.wave for target in errand.targets}
    if not errand.options.wait and len(waves) > 1:
        to_do = "leave --no-wait out, or name tenants of one wave with --tenant"
        yield Complaint(errand.tier.name, f"--no-wait with {len(waves)} waves", to_do)


def taggable(
    errand: Errand, wishes: Sequence[Wish], present: dict[str, Image], frozen: Container[str]
) -> Iterator[Complaint]:
    """What speaks against pointing the tier at the wishes: a tag that may not move, dirt, age."""
    for wish in wishes:
        if wish.service in frozen and not plan.is_there(wish, present.get(wish.service)):
            what = f"the repository {wish.repository} is immutable, its tag {errand.tier.name} too: it could not move"
            to_do = f"make it IMMUTABLE_WITH_EXCLUSION with a filter {errand.tier.name}, as inv envs.bootstrap does"
            yield Complaint(f"{errand.tier.name}/{wish.service}", what, to_do)
    yield from dirty(errand, wishes)
    for wish in wishes if not errand.options.allow_older else ():
        yield from _older(errand, wish, present.get(wish.service))


def held(
    errand: Errand, hold: LockState | None, wishes: Sequence[Wish], present: Mapping[str, Image]
) -> list[Complaint]:
    """After a rollback nothing else comes to the tier, until somebody lifts its hold.

    What the tier's tag names may be rolled out again, but not to tenants that alone were taken back from it.
    """
    if hold is None:
        return []
    named = [each for each in hold.tenants.split(",") if each in {one.environment.tenant for one in errand.targets}]
    if not named and all(plan.is_there(wish, present.get(wish.service)) for wish in wishes):
        return []
    what = f"{hold.by} holds {', '.join(named) or 'it'} since {hold.since}: {hold.reason}"
    others = f"leave them out: --exclude {','.join(named)}; " if named else ""
    to_do = f"{others}when this is meant: {freeing(errand.tier.name, errand.author.run)}"
    return [Complaint(errand.tier.name, what, to_do)]


def dirty(errand: Errand, wishes: Sequence[Wish]) -> Iterator[Complaint]:
    """Which wishes were built from an uncommitted tree, where the tier takes none."""
    for wish in wishes if errand.tier.tag == "immutable" else ():
        if tags.is_dirty(wish.commit_tag):
            what = f"{errand.tier.name} is immutable and takes no image of an uncommitted tree"
            yield Complaint(wish.service, what, "commit, build and promote that")


def gated(errand: Errand, wishes: Sequence[Wish]) -> list[Complaint]:
    """What the gate says, unless overridden; asks the tier before only for images that have not passed already."""
    unpassed = [wish for wish in wishes if not gate.passed(errand.tier, wish)]
    if errand.options.override or errand.tier.after is None or not unpassed:
        return []
    before = upstream_targets(errand.project, errand.tier, errand.targets)
    lives = observe(errand.clients, before, errand.images, reading="unpinned")
    shut = gate.gate(errand.tier, unpassed, lives, errand.images)
    return gate.gate(errand.tier, unpassed, lives, errand.images, _commits(errand)) if shut else []


def _commits(errand: Errand) -> dict[str, str]:
    """Digest → commit tag of all that ECR holds of the errand's services, an index's children included.

    Only complaints are worded with it, so a repository that may not be read is passed over.
    """
    known: dict[str, str] = {}
    with suppress(DeployError):
        for service, images in sweep(errand.project, errand.clients, errand.services).images.items():
            held = stock(errand.images[service], images).by_digest
            known |= {digest: next(iter(tags.commits(image.tags)), "") for digest, image in held.items()}
    return known


def gathered(check: Check) -> list[Complaint | Note]:
    """Return what the check found, also where it ends in an error."""
    try:
        return list(check())
    except DeployError as error:
        return list(error.complaints)


def _missing_service(errand: Errand, live: Live) -> Iterator[Complaint]:
    template = errand.project.root / "templates" / f"{live.target.service}.service.json.j2"
    if not template.exists():
        what = f"there is no ECS service {live.target.ecs_service} in cluster {live.target.cluster}"
        yield Complaint(str(live.target), what, f"make it, or add templates/{template.name} and it is made from that")


def unfit(live: Live, project: str) -> Iterator[Complaint]:
    """What speaks against touching a service that is there: it is not ECS's to roll out, or another project's."""
    if live.controller != "ECS":
        what = f"its deployment controller is {live.controller}"
        yield Complaint(str(live.target), what, "only ECS's own can be followed")
    yield from foreign(live, project)


def foreign(live: Live, project: str) -> Iterator[Complaint]:
    """Complain of a service that another project rolled out."""
    for record in (live.service_tags, live.revision_tags):
        owner = record.get("project", project)
        if owner != project:
            what = f"the service belongs to project {owner}, this is {project}"
            yield Complaint(str(live.target), what, "mend `cluster` or `ecs_service` in envs/")
            return


def _older(errand: Errand, wish: Wish, present: Image | None) -> Iterator[Complaint]:
    """Going backwards, or not being able to tell, is no accident only with --allow-older."""
    before = tags.commits(present.tags) if present else ()
    if not present or not before or present.digest == wish.digest:
        return
    root = errand.project.root
    relations = [git.relation(root, wish.commit_tag, commit) for commit in before]
    if {"same", "newer"} & set(relations):
        return
    here, there = tags.short(wish.commit_tag), f"{errand.tier.name}'s present {tags.short(before[0])}"
    match relations[0]:
        case "older":
            what, to_do = f"{here} is older than {there}", "--allow-older, if it is meant"
        case "diverged":
            what, to_do = f"{here} and {there} have diverged", "merge or rebase; --allow-older if it is meant"
        case _:
            what = f"history does not tell whether {here} is newer than {there}"
            to_do = "fetch all of it (fetch-depth: 0 in CI, git fetch --unshallow); --allow-older if it is meant"
    yield Complaint(f"{errand.tier.name}/{wish.service}", what, to_do)
