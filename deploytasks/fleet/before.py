"""Run the one-off tasks of all services of an environment before any of its services is touched."""

from collections.abc import Iterable
from threading import Lock

from deploytasks.aws.fencing import LockLost
from deploytasks.errors import AwsError, contained
from deploytasks.fleet import steps
from deploytasks.fleet.means import Means
from deploytasks.model import Environment, Rollout, Target


class Held(AwsError):
    """Another service's one-off task did not end well, so this one is left as it is."""


class Before:
    """The one-off tasks of a plan: each environment's are run once, one after the other, in the order of the plan.

    Safe to use from many threads: the first rollout of an environment runs them, the others wait for their end.
    """

    def __init__(self, rollouts: Iterable[Rollout]) -> None:
        self._waiting: dict[Environment, list[Rollout]] = {}
        for rollout in rollouts:
            if rollout.steps:
                self._waiting.setdefault(rollout.target.environment, []).append(rollout)
        self._locks = {environment: Lock() for environment in self._waiting}
        self._failed: dict[Environment, tuple[Target, AwsError]] = {}

    def run(self, rollout: Rollout, means: Means) -> None:
        """Return once every one-off task of the rollout's environment has ended well.

        Raises:
            AwsError: the rollout's own did not, or somebody interrupted.
            Held: another service's did not.

        """
        environment = rollout.target.environment
        if environment not in self._locks:
            return
        with self._locks[environment]:
            self._run_all(environment, means)
        if environment not in self._failed:
            return
        target, error = self._failed[environment]
        if target == rollout.target or isinstance(error, LockLost):
            raise error
        what = f"not touched, because before_deploy of {target.service} failed in {environment}"
        raise Held.of(str(rollout.target), what)

    def _run_all(self, environment: Environment, means: Means) -> None:
        waiting = self._waiting[environment]
        while waiting and environment not in self._failed:
            rollout = waiting.pop(0)
            try:
                with contained(str(rollout.target)):
                    steps.run(means.clients.of("ecs", rollout.target.access), rollout, means)
            except AwsError as error:
                self._failed[environment] = rollout.target, error
