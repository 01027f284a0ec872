"""Roll out one wave: a loop that starts rollouts, polls them when they are due, and never blocks on one tenant."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

from deploytasks.concurrency import LONGEST_WAIT_S
from deploytasks.errors import Complaint, Interrupted, listed
from deploytasks.model import Ended, Progress, Result, Rollout, Target, Tier, Told
from deploytasks.rollout.finish import not_looked_again, not_waited_for
from deploytasks.rollout.follow import UnderWay, next_look_s, of_one_cluster, poll
from deploytasks.rollout.resources import Resources
from deploytasks.rollout.restore import concluded
from deploytasks.rollout.start import start

_SILENT_S = 60.0
"""Report an unchanged rollout again after so long: CI engines end a job that stays silent."""
Then = Callable[[Any], None]
"""Called in the loop with a job's answer."""


@dataclass(frozen=True, slots=True)
class Pools:
    """Threads that start rollouts, which may take as long as a migration, and threads that only look."""

    beginning: ThreadPoolExecutor
    polling: ThreadPoolExecutor


class Wave:
    """One wave under way. Jobs run in threads; their answers are handled here, in the loop."""

    def __init__(self, tier: Tier, resources: Resources, pools: Pools, *, wait: bool) -> None:
        self._tier, self._resources, self._pools, self._wait = tier, resources, pools, wait
        self._jobs: dict[Future[Any], Then] = {}
        self._following: dict[Target, UnderWay] = {}
        self._due: dict[Target, float] = {}
        self._told_at: dict[Target, float] = {}
        self._results: dict[Target, Result] = {}

    def run(self, wave: Sequence[Rollout]) -> list[Result]:
        """Roll out the wave; return its results, in its order.

        Raises:
            Interrupted: names the rollouts that go on at AWS.

        """
        queue = deque(wave)
        self._until_ended(wave, lambda: self._launch(queue, len(wave)))
        return [self._results[rollout.target] for rollout in wave]

    def conclude(self, ended: Sequence[UnderWay]) -> list[Result]:
        """Conclude rollouts that became unhealthy in the soak: restore those that failed, and return all results.

        Raises:
            Interrupted: names the rollouts that go on at AWS.

        """
        for one in ended:
            self._submit(self._pools.polling, concluded, one, then=self._concluded)
        rollouts = [one.rollout for one in ended]
        self._until_ended(rollouts, lambda: None)
        return [self._results[rollout.target] for rollout in rollouts]

    def _until_ended(self, wave: Sequence[Rollout], launch: Callable[[], None]) -> None:
        try:
            while len(self._results) < len(wave):
                launch()
                self._poll_due()
                self._await_something()
        except KeyboardInterrupt:
            self._resources.stopped.set()
            self._say_what_is_open(wave)
            raise Interrupted(*self._left_behind(wave, self._settle())) from None

    def _launch(self, queue: deque[Rollout], total: int) -> None:
        """Start rollouts until as many are under way as the tier's `parallel` allows."""
        done_or_waiting = len(self._results) + len(queue)
        while queue and total - done_or_waiting < self._tier.parallel:
            rollout = queue.popleft()
            done_or_waiting -= 1
            self._submit(self._pools.beginning, start, rollout, then=self._started)

    def _submit(self, pool: ThreadPoolExecutor, job: Callable[..., Any], given: Any, *, then: Then) -> None:
        self._jobs[pool.submit(job, given, self._resources)] = then

    def _await_something(self) -> None:
        """Wait until a job is done, and handle it, or until the next look is due."""
        pause = max(0.0, min(self._due.values(), default=self._now()) - self._now()) if self._due else None
        if not self._jobs:
            self._resources.sleep(pause or 0)
            return
        within_s = LONGEST_WAIT_S if pause is None else min(pause, LONGEST_WAIT_S)
        done, _ = wait(self._jobs, timeout=within_s, return_when=FIRST_COMPLETED)
        for job in done:
            self._jobs.pop(job)(job.result())

    def _poll_due(self) -> None:
        due = [target for target, when in self._due.items() if when <= self._now()]
        for target in due:
            del self._due[target]
        for group in of_one_cluster((self._following[target] for target in due), lambda now: now.rollout.target):
            self._submit(self._pools.polling, poll, group, then=self._polled)

    def _started(self, answer: UnderWay | Result) -> None:
        if isinstance(answer, Result):
            self._end(answer if self._wait else not_looked_again(answer))
        elif self._wait:
            self._follow(answer)
        else:
            self._end(not_waited_for(answer))

    def _polled(self, answers: list[UnderWay]) -> None:
        for now in answers:
            before, now = self._following[now.rollout.target], self._timed_out(now)
            if now.verdict.outcome is None:
                silent_s = self._now() - self._told_at[now.rollout.target]
                self._follow(now, told=now.verdict == before.verdict and silent_s < _SILENT_S)
            else:
                del self._following[now.rollout.target]
                self._submit(self._pools.polling, concluded, now, then=self._concluded)

    def _concluded(self, answer: UnderWay | Result) -> None:
        if isinstance(answer, Result):
            self._end(answer)
        else:
            self._follow(answer)

    def _follow(self, now: UnderWay, *, told: bool = False) -> None:
        self._following[now.rollout.target] = now
        self._due[now.rollout.target] = self._now() + next_look_s(self._now() - now.since, now.expected_s)
        if not told:
            self._told_at[now.rollout.target] = self._now()
            self._resources.tell(_progress(now))

    def _timed_out(self, now: UnderWay) -> UnderWay:
        if now.verdict.outcome or self._now() - now.since < self._tier.timeout_s:
            return now
        goes_on = "" if self._resources.restore else "; it goes on at AWS"
        detail = f"not finished after {self._tier.timeout_s} s{goes_on}. {now.verdict.detail}".strip()
        return replace(now, verdict=replace(now.verdict, outcome="timed out", detail=detail))

    def _end(self, result: Result) -> None:
        self._results[result.target] = result
        self._resources.tell(Ended(result))

    def _say_what_is_open(self, wave: Iterable[Rollout]) -> None:
        names = [str(rollout.target) for rollout in wave if rollout.target not in self._results]
        what = f"interrupted: {listed(names)} not ended; answers that are under way have 3 s, then the lock is freed"
        self._resources.tell(Told("interrupted", what))

    def _settle(self) -> list[Result]:
        """Wait for jobs that are starting or concluding rollouts, so that what is reported of them is true."""
        ended: list[Result] = []
        begun = [job for job, then in self._jobs.items() if then != self._polled and not job.cancel()]
        for job in wait(begun).done:
            match job.result():
                case Result() as result:
                    ended.append(result)
                case answer:
                    self._following[answer.rollout.target] = answer
        return ended

    def _left_behind(self, wave: Iterable[Rollout], settled: Iterable[Result]) -> Iterator[Complaint]:
        ended = {result.target: result for result in settled}
        for rollout in wave:
            target, where = rollout.target, str(rollout.target)
            if target in self._following:
                what = "its way back" if self._following[target].lost else "its rollout"
                yield Complaint(where, f"interrupted: {what} goes on at AWS, nobody follows it")
            elif target in ended and not ended[target].row.is_good:
                yield Complaint(where, ended[target].detail)
            elif target not in ended and target not in self._results:
                yield not_attempted(rollout)

    def _now(self) -> float:
        return self._resources.clock()


def not_attempted(rollout: Rollout) -> Complaint:
    """Return the complaint about a target that an interruption left untouched."""
    return Complaint(str(rollout.target), "interrupted: not attempted, it runs what it ran")


def _progress(now: UnderWay) -> Progress:
    verdict = now.verdict
    return Progress(
        target=now.rollout.target,
        state=verdict.state,
        revision=now.deployment.revision,
        running=verdict.running,
        desired=verdict.desired,
        last_event=verdict.detail or verdict.last_event,
    )
