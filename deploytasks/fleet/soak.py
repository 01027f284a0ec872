"""Between two waves: what was rolled out must stay healthy for a while before more targets get it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from deploytasks.aws import ecs
from deploytasks.aws.verdict import Ailment, ailment
from deploytasks.errors import AwsError
from deploytasks.fleet.grouping import of_one_cluster
from deploytasks.fleet.means import Means
from deploytasks.model import Result, Target

_LOOKS, _SHORTEST_S, _LONGEST_S = 10, 1.0, 30.0


def ailing(results: Sequence[Result], soak_s: float, means: Means, pool: ThreadPoolExecutor) -> dict[Target, Ailment]:
    """Which of the targets fell ill within so many seconds, and why; empty where all stayed healthy.

    What the last look finds for the first time is looked at once more; what only that finds is of no concern any more.
    """
    until = means.clock() + soak_s
    pause_s = min(max(_SHORTEST_S, soak_s / _LOOKS), _LONGEST_S)
    before: Mapping[Target, Ailment] = {}
    while True:
        left_s = until - means.clock()
        means.sleep(min(pause_s, left_s) if left_s > 0 and not before else pause_s)
        found = _look(results, means, pool)
        ill = {target: one for target, one in found.items() if not one.may_pass or target in before}
        if ill or left_s <= 0 or (not found and means.clock() >= until):
            return ill
        before = found


def _look(results: Iterable[Result], means: Means, pool: ThreadPoolExecutor) -> dict[Target, Ailment]:
    groups = of_one_cluster(results, lambda result: result.target)
    looked = pool.map(lambda group: tuple(_looked(group, means)), groups)
    return {target: ailment for found in looked for target, ailment in found}


def _looked(group: Sequence[Result], means: Means) -> Iterator[tuple[Target, Ailment]]:
    target = group[0].target
    try:
        client = means.clients.of("ecs", target.access)
        services = ecs.describe(client, target.cluster, [each.target.ecs_service for each in group])
    except AwsError as error:
        why = f"it could not be seen: {error.complaints[0].what}"
        yield from ((each.target, Ailment(why, may_pass=True)) for each in group)
        return
    for each in group:
        if each.deployment and (found := ailment(services.get(each.target.ecs_service), each.deployment)):
            yield each.target, found
