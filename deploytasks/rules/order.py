"""The order within an environment: its services by their `after`, then its jobs."""

from collections.abc import Iterable
from graphlib import TopologicalSorter

from deploytasks.model import Environment, Target


def stages(targets: Iterable[Target]) -> tuple[tuple[Target, ...], ...]:
    """Return one environment's targets in stages: each comes in the first one after all that it comes after.

    What is not among the targets is no constraint. The jobs are the last stage.
    """
    members = tuple(targets)
    services = {target.name: target for target in members if target.job is None}
    sorter = TopologicalSorter(
        {name: [other for other in target.after if other in services] for name, target in services.items()}
    )
    sorter.prepare()
    found = []
    while sorter.is_active():
        ready = sorter.get_ready()
        found.append(tuple(target for name, target in services.items() if name in ready))
        sorter.done(*ready)
    jobs = tuple(target for target in members if target.job)
    return (*found, jobs) if jobs else tuple(found)


def earlier(targets: Iterable[Target]) -> dict[Target, tuple[Target, ...]]:
    """Return, by target, those of its environment that must end well before it begins.

    For a service, those that its `after` names; for a job, all services. One of a later wave is no constraint.
    """
    found: dict[Target, tuple[Target, ...]] = {}
    for members in _environments(targets):
        for target in members:
            before = (each for each in members if each.wave <= target.wave)
            found[target] = tuple(each for each in before if target.comes_after(each))
    return found


def most_stages(targets: Iterable[Target]) -> int:
    """Return the number of stages of the environment that has the most; 0 if there is none."""
    return max((len(stages(members)) for members in _environments(targets)), default=0)


def _environments(targets: Iterable[Target]) -> Iterable[list[Target]]:
    found: dict[Environment, list[Target]] = {}
    for target in targets:
        found.setdefault(target.environment, []).append(target)
    return found.values()
