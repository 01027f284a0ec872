"""Register the changed definitions of a plan, before any tag is moved or service updated."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest

from msgspec.structs import replace

from deploytasks.aws import ecs
from deploytasks.aws.errors import may_pass
from deploytasks.commands.context import Context, say
from deploytasks.commands.resume import resumable
from deploytasks.concurrency import each
from deploytasks.errors import AwsError, DeployError, NotReady, raise_all
from deploytasks.model import Plan, Revision, Rollout, hidden_in, masked
from deploytasks.rules.observed import has_begun
from deploytasks.template.canonical import same

UNTOUCHED = "no tag was moved and no service touched"


def register_all(context: Context, whole: Plan) -> Plan:
    """Register every changed definition; return the plan with the revisions. A dry run returns the plan as it is.

    Raises:
        NotReady: ECS refused a definition; lists every refusal of every target.
        AwsError: AWS can't be reached, or kept throttling.
        Interrupted: interrupted by a signal; nothing was changed.

    """
    return _with_revisions(context, whole, partial(_registered, context))


def adopt_all(context: Context, whole: Plan) -> Plan:
    """Return the plan with the revisions that `release.matrix` registered, begun or not; register nothing.

    A dry run returns the plan as it is.

    Raises:
        NotReady: a target's newest revision differs from what is rendered here.
        AwsError: AWS can't be reached, or kept throttling.
        Interrupted: interrupted by a signal; nothing was changed.

    """
    return _with_revisions(context, whole, partial(_of_the_matrix, context))


def _with_revisions(context: Context, whole: Plan, find: Callable[[Rollout], Rollout]) -> Plan:
    if context.options.dry_run:
        return whole
    changed = [rollout for rollout in whole.rollouts if rollout.request]
    with resumable(context, UNTOUCHED):
        answers = each(partial(_attempt, find), _alternating(changed))
        errors = [answer for answer in answers if isinstance(answer, DeployError)]
        complaints = list(dict.fromkeys(complaint for error in errors for complaint in error.complaints))
        may_all_pass = all(isinstance(error, AwsError) and may_pass(error) for error in errors)
        raise_all(AwsError if may_all_pass else NotReady, complaints)
    ready = {answer.target: answer for answer in answers if isinstance(answer, Rollout)}
    if ready:
        say(context, "register", _told([rollout.adopted for rollout in ready.values()]))
    waves = tuple(tuple(ready.get(rollout.target, rollout) for rollout in wave) for wave in whole.waves)
    return replace(whole, waves=waves)


def _told(adopted: Sequence[bool]) -> str:
    said = f"{len(adopted)} definition{'s' if len(adopted) > 1 else ''} registered"
    if all(adopted):
        return f"{said} earlier"
    return f"{said}, {sum(adopted)} of them earlier" if any(adopted) else said


def _attempt(find: Callable[[Rollout], Rollout], rollout: Rollout) -> Rollout | DeployError:
    try:
        return find(rollout)
    except DeployError as error:
        hidden = hidden_in(rollout.request)
        error.reword(lambda text: masked(text, hidden))
        return error


def _alternating(rollouts: Sequence[Rollout]) -> list[Rollout]:
    """Return the rollouts with accounts taking turns: ECS limits registrations per account and region."""
    by_account: dict[tuple[str, str], list[Rollout]] = {}
    for rollout in rollouts:
        access = rollout.target.access
        by_account.setdefault((access.account, access.region), []).append(rollout)
    return [rollout for turn in zip_longest(*by_account.values()) for rollout in turn if rollout]


def _registered(context: Context, rollout: Rollout) -> Rollout:
    newest = _newest(rollout)
    if newest and not has_begun(newest.record) and _is_it(context, rollout, newest):
        return _adopted(rollout, newest)
    client = context.clients.of("ecs", rollout.target.access)
    return replace(rollout, revision=ecs.register(client, rollout.target, rollout.request or {}, rollout.tags))


def _of_the_matrix(context: Context, rollout: Rollout) -> Rollout:
    newest = _newest(rollout)
    if newest and _is_it(context, rollout, newest):
        return _adopted(rollout, newest)
    what = f"the newest revision of {rollout.target.family} is not what this checkout renders; a shard registers none"
    to_do = "check out the commit of the matrix; if that is what this is, run release.matrix again, then this shard"
    raise NotReady.of(str(rollout.target), what, to_do)


def _newest(rollout: Rollout) -> Revision | None:
    """Return the family's newest ACTIVE revision as it was observed; None if there is none, or it runs already.

    A build may have taken minutes since then. Other commands of the tier wait for the lock meanwhile; what another job
    of the same CI run or another tool registered since could as well have come just after this call.
    """
    live = rollout.live
    if live is None or live.newest is None or live.newest.arn in {each.revision for each in live.deployments}:
        return None
    return live.newest


def _is_it(context: Context, rollout: Rollout, found: Revision) -> bool:
    is_ours = found.record.get("project") == context.project.name
    return is_ours and same(rollout.request or {}, found.definition)


def _adopted(rollout: Rollout, found: Revision) -> Rollout:
    """Return the rollout with the revision, and with the tags that the revision lacks or has otherwise.

    An attempt that did not roll it out may have marked it as ended.
    """
    wanted = {**rollout.tags, "ended": ""}
    stale = {key: value for key, value in wanted.items() if value != found.record.get(key, "")}
    return replace(rollout, revision=found.arn, adopted=True, unrecorded=stale)
