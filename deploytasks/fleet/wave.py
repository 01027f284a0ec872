"""One wave under way: a loop that starts rollouts, polls them when they are due, and never waits for one tenant."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from deploytasks.errors import Complaint, Interrupted
from deploytasks.fleet import work
from deploytasks.model import Ended, Progress, Result, Rollout, Target, Tier


class Wave:
    """One wave under way. Jobs run in threads; what follows on a job runs here, in the loop."""

    def __init__(self, tier: Tier, means: work.Means, pool: ThreadPoolExecutor, *, wait: bool) -> None:
        self._tier, self._means, self._pool, self._wait = tier, means, pool, wait
        self._jobs: dict[Future[Any], Callable[[Any], None]] = {}
        self._following: dict[Target, work.UnderWay] = {}
        self._due: dict[Target, float] = {}
        self._results: dict[Target, Result] = {}

    def run(self, wave: tuple[Rollout, ...]) -> list[Result]:
        """The results of the wave, in its order."""
        queue = deque(wave)
        try:
            while len(self._results) < len(wave):
                self._launch(queue, len(wave))
                self._poll_due()
                self._await_something()
        except KeyboardInterrupt:
            self._means.stopped.set()
            raise Interrupted(*self._left_behind(queue, wave)) from None
        return [self._results[rollout.target] for rollout in wave]

    def _launch(self, queue: deque[Rollout], total: int) -> None:
        """As many as the tier lets roll out at once are started."""
        done_or_waiting = len(self._results) + len(queue)
        while queue and total - done_or_waiting < self._tier.parallel:
            rollout = queue.popleft()
            done_or_waiting -= 1
            self._submit(work.start, rollout, then=self._started)

    def _submit(self, job: Callable[..., Any], *given: Any, then: Callable[[Any], None]) -> None:
        self._jobs[self._pool.submit(job, *given, self._means)] = then

    def _await_something(self) -> None:
        """Some job is done, or the next poll is due."""
        pause = max(0.0, min(self._due.values(), default=self._now()) - self._now()) if self._due else None
        if not self._jobs:
            self._means.sleep(pause or 0)
            return
        done, _ = wait(self._jobs, timeout=pause, return_when=FIRST_COMPLETED)
        for job in done:
            self._jobs.pop(job)(job.result())

    def _poll_due(self) -> None:
        due = [target for target, when in self._due.items() if when <= self._now()]
        for target in due:
            del self._due[target]
        for group in _groups(self._following[target] for target in due):
            self._submit(work.poll, group, then=self._polled)

    def _started(self, answer: work.UnderWay | Result) -> None:
        if isinstance(answer, Result):
            self._end(answer)
            return
        if self._wait:
            self._means.tell(_progress(answer))
            self._follow(answer)
        else:
            self._end(work.not_waited_for(answer))

    def _polled(self, answers: list[work.UnderWay]) -> None:
        for now in answers:
            before, now = self._following[now.rollout.target], self._timed_out(now)
            if now.verdict != before.verdict and now.verdict.outcome is None:
                self._means.tell(_progress(now))
            if now.verdict.outcome is None:
                self._follow(now)
            else:
                del self._following[now.rollout.target]
                self._submit(work.finish, now, then=self._end)

    def _follow(self, under_way: work.UnderWay) -> None:
        target, now = under_way.rollout.target, self._now()
        self._following[target] = under_way
        self._due[target] = now + min(max(1.0, (now - under_way.since) / 10), 10.0)

    def _timed_out(self, now: work.UnderWay) -> work.UnderWay:
        if now.verdict.outcome or self._now() - now.since < self._tier.timeout_s:
            return now
        detail = f"not finished after {self._tier.timeout_s} s; it goes on at AWS. {now.verdict.detail}".strip()
        return replace(now, verdict=replace(now.verdict, outcome="timed out", detail=detail))

    def _end(self, result: Result) -> None:
        self._results[result.target] = result
        self._means.tell(Ended(result))

    def _left_behind(self, queue: deque[Rollout], wave: tuple[Rollout, ...]) -> Iterator[Complaint]:
        for rollout in wave:
            if rollout in queue:
                yield not_attempted(rollout)
            elif rollout.target not in self._results:
                what = "interrupted: its rollout goes on at AWS, nobody follows it"
                yield Complaint(str(rollout.target), what)

    def _now(self) -> float:
        return self._means.clock()


def not_attempted(rollout: Rollout) -> Complaint:
    """What is said of a target that an interruption came before."""
    return Complaint(str(rollout.target), "interrupted: not attempted, it runs what it ran")


def _progress(now: work.UnderWay) -> Progress:
    verdict = now.verdict
    return Progress(
        target=now.rollout.target,
        state=verdict.state,
        revision=now.deployment.revision,
        running=verdict.running,
        desired=verdict.desired,
        last_event=verdict.last_event or verdict.detail,
    )


def _groups(under_way: Iterable[work.UnderWay]) -> Iterator[list[work.UnderWay]]:
    """Those of one account and cluster together, ten at most: one DescribeServices each."""
    by_cluster: dict[tuple[Any, str], list[work.UnderWay]] = {}
    for one in under_way:
        by_cluster.setdefault((one.rollout.target.access, one.rollout.target.cluster), []).append(one)
    for members in by_cluster.values():
        yield from (members[start : start + 10] for start in range(0, len(members), 10))
