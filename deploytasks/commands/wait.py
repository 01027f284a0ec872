"""Follow rollouts that are under way to their end: no lock, no write, the same report as of a deploy."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from msgspec.structs import replace

from deploytasks import concurrency, tags
from deploytasks import rollout as the_rollout
from deploytasks.commands import origins
from deploytasks.commands.context import Context, begin_to_look, quiet, say
from deploytasks.commands.observe import NO_ROLLOUT, no_service, observe
from deploytasks.commands.outcome import from_the_hook, resumed_by
from deploytasks.commands.resume import again, resumable
from deploytasks.commands.rollouts import kept_back
from deploytasks.errors import AwsError
from deploytasks.model import (
    Command,
    Deployment,
    DesiredImage,
    EcrImage,
    Ended,
    Live,
    OnEvent,
    Options,
    Plan,
    Planned,
    Project,
    Report,
    Result,
    Rollout,
    Scope,
    Target,
    joined,
    unsuccessful,
)
from deploytasks.rules import observed

_NOTHING = "no rollout is under way"
_RECORDED_WITHIN = timedelta(minutes=10)


def wait(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Follow whatever rollouts of the selected targets are under way to their end, all at once; change nothing.

    A target whose last rollout failed is not a success, and neither is one that can't be seen.

    Raises:
        Refusal: the tier or tenant does not exist, or the credentials are of another account than the registry's.
        AwsError: no credentials for the registry, or it is out of reach.
        Interrupted: names what continues at AWS.

    """
    context = begin_to_look(Command.WAIT, project, scope, options, tell)
    seen = observe(context.clients, context.targets, renderer=context.renderer, reading="none")
    lives = tuple(kept_back(project, context.renderer, live) for live in seen)
    images = _images(context, lives)
    stands = {live.target: _stand(context, live, images) for live in lives}
    over = [stand for stand in stands.values() if isinstance(stand, Result)]
    followed = tuple(stand for stand in stands.values() if isinstance(stand, Rollout))
    whole = Plan(replace(context.tier, parallel=max(1, len(followed))), waves=(followed,) if followed else ())
    if followed:
        tell(Planned(whole))
    for result in over:
        tell(Ended(result))
    results = {result.target: _explained(result) for result in (*over, *_follow(context, whole))}
    ordered = tuple(results[target] for target in stands)
    unseen = {live.target for live in lives if live.complaint}
    return Report(context.command.task(context.tier.name), whole, ordered, resume=_resume(context, ordered, unseen))


def _explained(result: Result) -> Result:
    is_plain = result.outcome == "unchanged" and not result.detail
    return replace(result, detail=_NOTHING) if is_plain else result


def _follow(context: Context, whole: Plan) -> tuple[Result, ...]:
    with resumable(context, "nothing was changed by waiting"):
        return the_rollout.carry_out(whole, the_rollout.Resources(context.clients, context.tell, restore=False))


def _stand(context: Context, live: Live, images: Mapping[str, EcrImage]) -> Rollout | Result:
    """Return the target's rollout to follow, or its result if it has ended."""
    reason = "a rollout is under way"
    rollout = Rollout(live.target, "follow", reason, _desired(context, live, images), _names(live), live=live)
    if live.target.job and not live.complaint:
        return the_rollout.outcome_of(rollout, "unchanged", NO_ROLLOUT, live.primary)
    if problem := _unseen(live):
        return the_rollout.outcome_of(rollout, "failed", problem)
    if deployment := _under_way(live):
        return replace(rollout, deployment=deployment)
    if live.failure:
        return the_rollout.outcome_of(rollout, "rolled back", live.failure, live.primary)
    if live.running < live.desired:  # observed again after `soak`
        return replace(rollout, action="nothing", reason=_NOTHING)
    return the_rollout.outcome_of(rollout, "unchanged", _NOTHING, live.primary)


def _unseen(live: Live) -> str:
    """Return why there is nothing to follow; empty if there is something."""
    if live.complaint:
        return f"{live.complaint.where}: {live.complaint.what}\n{live.complaint.to_do}".rstrip()
    if not live.exists:
        return no_service(live.target)
    if live.primary is None:
        return f"its deployment controller is {live.controller}; only ECS's own can be followed"
    return ""


def _under_way(live: Live) -> Deployment | None:
    """Return the deployment whose end is not yet known or explained, first of all one that failed.

    ECS's COMPLETED is an end however few tasks run, except for a service's first deployment that is born COMPLETED.
    """
    primary = live.primary
    failed = [each for each in live.deployments if each.rollout_state == "FAILED"]
    if live.failure:
        return next(iter(failed), None)
    if primary is None or primary.is_complete:
        return None
    is_first = not primary.rollout_state and len(live.deployments) == 1
    return None if is_first and primary.running >= primary.desired else primary


def _names(live: Live) -> dict[str, str]:
    """Return the name of each image in the definition; empty if no container runs it."""
    return {
        name: next((each["image"] for each in observed.our_containers(live, name)), "") for name in live.target.images
    }


def _desired(context: Context, live: Live, images: Mapping[str, EcrImage]) -> DesiredImage:
    """Return what the rollout brings, as far as known; only an image that ECR knows can be compared with tasks."""
    tier, record = context.tier.name, observed.record(live)
    return joined(
        DesiredImage(
            name=name,
            repository=context.project.image(name).repository,
            commit_tag=observed.commit_of(found, record),
            digest=found.digest if found else None,
            release=record.get("release") or (tags.newest_release(found.tags, tier) if found else None),
            image=found,
        )
        for name in live.target.images
        for found in [images.get(_promised(live, name))]
    )


def _promised(live: Live, image: str) -> str:
    """Return the digest that the rollout will bring; empty if unknown, or only recorded for an earlier rollout."""
    digests, evidence = observed.what_runs(replace(live, digests={}), image)
    at, began = observed.recorded_at(live), live.primary.created_at if live.primary else None
    is_recent = at is not None and began is not None and began - at < _RECORDED_WITHIN
    if evidence == "recorded" and not is_recent:
        return ""
    return next(iter(digests), "") if len(set(digests)) == 1 else ""


def _images(context: Context, lives: Iterable[Live]) -> dict[str, EcrImage]:
    """Return the images that the rollouts bring, by digest; report repositories that may not be read, and skip them."""
    wanted: dict[str, set[str]] = {}
    for live in lives:
        for name in live.target.images:
            if promised := _promised(live, name):
                wanted.setdefault(context.project.image(name).repository, set()).add(promised)
    found = concurrency.each(lambda one: _held(context, one[0], sorted(one[1])), wanted.items())
    return {digest: image for images in found for digest, image in images.items()}


def _held(context: Context, repository: str, digests: Sequence[str]) -> dict[str, EcrImage]:
    try:
        return origins.find(context, repository, digests)
    except AwsError as error:
        say(context, "observe", f"what the tasks of {repository} run is compared with nothing: {error.complaints[0]}")
        return {}


def _resume(context: Context, results: Sequence[Result], unseen: set[Target]) -> str:
    """Return how to resume: wait again if the end is unknown, continue or stop if paused, else roll out again."""
    open_ends = unsuccessful(results)
    paused = resumed_by("hook", open_ends)
    unknown = [each for each in open_ends if each.row.resume == "wait" or each.target in unseen]
    lost = [each for each in open_ends if each not in (*unknown, *paused)]
    said = [from_the_hook(context, paused)] if paused else []
    said += [f"to go on: {again(context, Command.WAIT, unknown)}"] if unknown else []
    said += (
        [f"to try again (with --force, where it runs already): {again(context, Command.DEPLOY, lost)}"] if lost else []
    )
    return "\n".join(said)
