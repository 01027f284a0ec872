"""After a wave, watch that what was rolled out stays healthy, and look again at targets short of tasks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks.aws import ecs, tasks
from deploytasks.errors import AwsError, Complaint, Interrupted, contained
from deploytasks.model import Plan, Result, Target, Told
from deploytasks.rollout.finish import is_short
from deploytasks.rollout.follow import UnderWay, of_one_cluster, under_way
from deploytasks.rollout.resources import Resources
from deploytasks.rules.soak import HealthProblem, health_problem, is_suspicious, shortage

_LOOKS, _SHORTEST_S, _LONGEST_S = 10, 1.0, 30.0
_SHORT_S = 5.0
"""The minimum time before a target that was short of tasks is looked at again."""


class Soak(Struct):
    """Watch a plan's targets after each wave.

    `conclude` restores what became unhealthy, and returns the results. `watched` holds the targets of all earlier
    soaks: they call for no soak of their own.
    """

    plan: Plan
    resources: Resources
    pool: ThreadPoolExecutor
    conclude: Callable[[Sequence[UnderWay]], list[Result]]
    watched: set[Target] = field(default_factory=set)

    def __call__(self, results: list[Result]) -> list[Result]:
        """Return the results, with targets that did not stay healthy as `unhealthy` and restored if possible.

        Raises:
            Interrupted: Ctrl-C.

        """
        seconds, watching = self._due(results)
        self.watched |= {each.target for each in results}
        if not seconds:
            return results
        count = f"{len(watching)} target{'s' if len(watching) > 1 else ''}"
        self.resources.tell(Told("soak", f"{count} watched for {seconds:g} s"))
        try:
            return self._watch(results, watching, self.resources.clock() + seconds)
        except KeyboardInterrupt:
            what = "interrupted in the soak: whether the new tasks stay healthy is not watched"
            raise Interrupted(Complaint(self.plan.tier.name, what)) from None

    def _due(self, results: Sequence[Result]) -> tuple[float, list[Result]]:
        """Return how long to watch, in seconds, and which results; 0 if there is nothing to watch."""
        well = [each for each in results if each.row.runs and each.deployment and not each.target.job]
        new = [each for each in well if each.target not in self.watched]
        if self.plan.tier.soak_s and any(each.outcome == "deployed" for each in new):
            return max(self.plan.tier.soak_s, _SHORT_S * any(map(is_short, new))), well
        short = [each for each in new if is_short(each)]
        return (max(self.plan.tier.soak_s, _SHORT_S) if short else 0.0), short

    def _watch(self, results: list[Result], watching: list[Result], until: float) -> list[Result]:
        """Conclude targets as soon as they become unhealthy; watch the others to the end."""
        while watching:
            look = partial(_look, watching, self.resources, self.pool)
            problems = first_problems(look, until, self.resources.clock, self.resources.sleep)
            if not problems:
                break
            ended = [
                self._became_unhealthy(each, problems[each.target]) for each in watching if each.target in problems
            ]
            lost = {each.target: each for each in self.conclude(ended)}
            results = [lost.get(each.target, each) for each in results]
            watching = [each for each in watching if each.target not in problems]
        return results

    def _became_unhealthy(self, result: Result, one: HealthProblem) -> UnderWay:
        rollout = next(each for each in self.plan.rollouts if each.target == result.target)
        assert result.deployment is not None
        begun = under_way(rollout, result.deployment, self.resources)
        detail = one.why if is_short(result) else f"in the soak: {one.why}"
        verdict = replace(begun.verdict, outcome=one.outcome, state=one.outcome, detail=detail)
        begun = replace(begun, since=self.resources.clock() - result.duration_s)
        return replace(begun, verdict=replace(verdict, running=result.running, desired=result.desired))


def first_problems(
    look: Callable[..., Mapping[Target, HealthProblem]],
    until: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Mapping[Target, HealthProblem]:
    """Return the unhealthy targets and their problems as soon as there is one; {} if there is none by `until` (clock).

    `look(is_last=…)` returns the present problems. One that may pass counts if two looks in a row find it: if the last
    look is the first to, one more follows.
    """
    pause_s = min(max(_SHORTEST_S, (until - clock()) / _LOOKS), _LONGEST_S)
    before: Mapping[Target, HealthProblem] = {}
    while True:
        left_s = until - clock()
        sleep(min(pause_s, left_s) if left_s > 0 and not before else pause_s)
        is_last = clock() >= until
        found = look(is_last=is_last)
        problems = {target: one for target, one in found.items() if not one.may_pass or target in before}
        if problems or left_s <= 0 or (not found and is_last):
            return problems
        before = found


def _look(
    results: Iterable[Result], resources: Resources, pool: ThreadPoolExecutor, *, is_last: bool
) -> dict[Target, HealthProblem]:
    groups = of_one_cluster(results, lambda result: result.target)
    looked = pool.map(lambda group: _looked(group, resources, is_last=is_last), groups)
    return {target: health_problem for found in looked for target, health_problem in found}


def _looked(group: Sequence[Result], resources: Resources, *, is_last: bool) -> list[tuple[Target, HealthProblem]]:
    try:
        with contained(str(group[0].target)):
            return _health_problems(group, resources, is_last=is_last)
    except AwsError as error:
        why = f"it could not be seen: {error.complaints[0].what}"
        return [(each.target, HealthProblem(why, "failed", may_pass=True)) for each in group]


def _health_problems(
    group: Sequence[Result], resources: Resources, *, is_last: bool
) -> list[tuple[Target, HealthProblem]]:
    target = group[0].target
    client = resources.clients.of("ecs", target.access)
    services = ecs.describe(client, target.cluster, [each.target.ecs_service for each in group])
    looked = ((each, services.get(each.target.ecs_service)) for each in group)
    found = ((each.target, _health_problem(client, each, service, is_last=is_last)) for each, service in looked)
    return [(target, one) for target, one in found if one]


def _health_problem(
    client: Any, result: Result, service: Mapping[str, Any] | None, *, is_last: bool
) -> HealthProblem | None:
    """Return a target's health problem; its stopped tasks are read at the last look, or earlier if it is suspicious."""
    well = result.deployment
    assert well is not None
    if is_short(result) and not is_last:
        return None
    rolled = result.outcome == "deployed" and service is not None
    is_read = (is_last and (rolled or is_short(result))) or is_suspicious(service, well)
    stopped = _stopped(client, result.target) if is_read and service is not None else []
    return shortage(service, well, stopped) if is_short(result) else health_problem(service, well, stopped)


def _stopped(client: Any, target: Target) -> list[dict[str, Any]]:
    """Return the service's stopped tasks; [] if they can't be read, since the counts show trouble as well."""
    try:
        return tasks.tasks_of(client, target, "STOPPED")
    except AwsError:
        return []
