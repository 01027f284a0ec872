"""Roll out a plan, wave after wave.

`carry_out` keeps the waves in order, and soaks what they rolled out. A `Wave` is a loop that starts rollouts, polls
them when they are due and concludes those that ended; threads call AWS, so that no tenant waits for another.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from deploytasks.concurrency import LONGEST_WAIT_S, MAX_THREADS
from deploytasks.errors import Complaint, Interrupted, listed
from deploytasks.model import Ended, Plan, Result, Rollout, Target, Told, unsuccessful
from deploytasks.rollout.before_deploy import Before
from deploytasks.rollout.finish import not_looked_again, not_waited_for, outcome_of
from deploytasks.rollout.follow import UnderWay, next_look_s, of_one_cluster, poll, progress
from deploytasks.rollout.resources import Resources
from deploytasks.rollout.restore import concluded
from deploytasks.rollout.soak import Soak
from deploytasks.rollout.start import held_back, start
from deploytasks.rollout.turns import Turns

_SILENT_S = 60.0
"""Report an unchanged rollout again after so long: CI engines end a job that stays silent."""
_MOST_BEGINNING = 256
Then = Callable[[Any], None]
"""Called in the loop with a job's answer."""
Leave = Callable[[int, Callable[[], None]], str]
"""Given the number of the next wave and a function that soaks, return why the wave must not begin, or "". May wait, and
soaks by calling the function."""


class Work(Struct, frozen=True):
    """A plan under way: what its waves share; `at_once` is how many targets may be under way at once.

    Threads of `beginning` start rollouts, which may take as long as a migration; those of `polling` only look.
    """

    plan: Plan
    resources: Resources
    before: Before
    before_wave: Leave | None
    at_once: int
    beginning: ThreadPoolExecutor
    polling: ThreadPoolExecutor


def carry_out(
    plan: Plan, resources: Resources, *, wait: bool = True, before_wave: Leave | None = None
) -> tuple[Result, ...]:
    """Roll out the plan, wave after wave, and return the results; with `wait=False`, start the rollouts only.

    A target's failure stops only those of its environment that come after it. Every wave, the last included, is
    followed by the soak. The next wave starts only if all targets went well and stayed healthy, unless the tier's
    `on_failure` is `continue`, and if `before_wave`, where it is given, has no objection.

    Raises:
        Interrupted: Ctrl-C; names the rollouts that go on at AWS.

    """
    results: list[Result] = []
    with _threads(plan, resources, before_wave, _at_once(plan, wait=wait)) as work:
        soak = Soak(plan, resources, work.polling, lambda ended: Wave(work, wait=True).conclude(ended))
        for number, wave in enumerate(plan.waves):
            with _naming_the_rest(plan, number, resources):
                results, why = _leave(work, number, results, soak)
            if why:
                results += _passed_over(wave, why, resources)
                continue
            with _naming_the_rest(plan, number + 1, resources):
                results += Wave(work, wait=wait).run(wave, results)
        with _naming_the_rest(plan, len(plan.waves), resources):
            results = soak(results) if wait else results
    return tuple(results)


def _at_once(plan: Plan, *, wait: bool) -> int:
    """Return how many targets may be under way at once: as many as the tier's `parallel` says.

    Without following, nothing limits what rolls out at AWS, so that `parallel` counts for `before_deploy` alone.
    """
    is_limited = wait or any(rollout.steps for rollout in plan.rollouts)
    return plan.tier.parallel if is_limited else max(plan.tier.parallel, MAX_THREADS)


@contextmanager
def _threads(plan: Plan, resources: Resources, before_wave: Leave | None, at_once: int) -> Iterator[Work]:
    """Yield the plan with its threads; on exit, wait for writes under way: only then may the lock be released."""
    beginning = ThreadPoolExecutor(max(1, min(len(plan.rollouts), at_once, _MOST_BEGINNING)))
    polling = ThreadPoolExecutor(min(len(plan.rollouts) + 1, MAX_THREADS))
    try:
        yield Work(plan, resources, Before(plan.rollouts), before_wave, at_once, beginning, polling)
    finally:
        for pool in (beginning, polling):
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _naming_the_rest(plan: Plan, first: int, resources: Resources) -> Iterator[None]:
    """On an interruption, set `stopped` and add the rollouts from wave `first` on as not attempted.

    Raises:
        Interrupted: with those complaints added.

    """
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stopped:
        resources.stopped.set()
        between = (Complaint(plan.tier.name, "interrupted between two waves"),)
        known = stopped.complaints if isinstance(stopped, Interrupted) else between
        later = (not_attempted(rollout) for wave in plan.waves[first:] for rollout in wave)
        raise Interrupted(*known, *later) from None


def _leave(work: Work, number: int, results: list[Result], soak: Soak) -> tuple[list[Result], str]:
    """Soak, wait for leave to begin the next wave, and return the results so far and why it must not begin, or ""."""
    plan = work.plan
    if work.before_wave is None:
        results = soak(results)
        return results, _why_not(plan, results)
    watched = [results]

    def watch() -> None:
        watched[0] = soak(results)

    why = _why_not(plan, results) or work.before_wave(plan.waves[number][0].target.wave, watch)
    return watched[0], why or _why_not(plan, watched[0])


def _why_not(plan: Plan, results: Iterable[Result]) -> str:
    """Return why no further wave may begin; "" if it may."""
    resumes = {result.row.resume for result in unsuccessful(results)}
    if not resumes or plan.tier.on_failure != "stop":
        return ""
    return f"a target of an earlier wave {'waits on its hook' if resumes == {'hook'} else 'failed'}"


def _passed_over(wave: Sequence[Rollout], why: str, resources: Resources) -> list[Result]:
    results = [outcome_of(rollout, "not attempted", why) for rollout in wave]
    for result in results:
        resources.tell(Ended(result))
    return results


class Wave:
    """One wave under way. Jobs run in threads; their answers are handled here, in the loop."""

    def __init__(self, work: Work, *, wait: bool) -> None:
        self._work, self._wait = work, wait
        self._tier, self._resources = work.plan.tier, work.resources
        self._jobs: dict[Future[Any], Then] = {}
        self._done: SimpleQueue[Future[Any]] = SimpleQueue()
        self._following: dict[Target, UnderWay] = {}
        self._due: dict[Target, float] = {}
        self._told_at: dict[Target, float] = {}
        self._results: dict[Target, Result] = {}
        self._turns = Turns()

    def run(self, wave: Sequence[Rollout], earlier: Iterable[Result] = ()) -> list[Result]:
        """Roll out the wave; return its results, in its order. `earlier` are those of earlier waves.

        Raises:
            Interrupted: names the rollouts that go on at AWS.

        """
        self._turns = Turns(wave, earlier)
        self._until_ended(wave, lambda: self._launch(len(wave)))
        return [self._results[rollout.target] for rollout in wave]

    def conclude(self, ended: Sequence[UnderWay]) -> list[Result]:
        """Conclude rollouts that became unhealthy in the soak: restore those that failed, and return all results.

        Raises:
            Interrupted: names the rollouts that go on at AWS.

        """
        for one in ended:
            self._submit(self._work.polling, concluded, one, then=self._concluded)
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

    def _launch(self, total: int) -> None:
        """Start rollouts whose turn it is, until as many are under way as may be at once."""
        for rollout, why in self._turns.never():
            self._end(held_back(rollout, why, self._work.before))
        begin = partial(start, before=self._work.before)
        while total - len(self._results) - len(self._turns) < self._work.at_once and (ready := self._turns.next()):
            self._submit(self._work.beginning, begin, ready, then=self._started)

    def _submit(self, pool: ThreadPoolExecutor, job: Callable[..., Any], given: Any, *, then: Then) -> None:
        submitted = pool.submit(job, given, self._resources)
        self._jobs[submitted] = then
        submitted.add_done_callback(self._done.put)

    def _await_something(self) -> None:
        """Wait until a job is done, and handle it, or until the next look is due."""
        pause = max(0.0, min(self._due.values(), default=self._now()) - self._now()) if self._due else None
        if not self._jobs:
            self._resources.sleep(pause or 0)
            return
        within_s = LONGEST_WAIT_S if pause is None else min(pause, LONGEST_WAIT_S)
        for job in self._ended(within_s):
            self._jobs.pop(job)(job.result())

    def _ended(self, within_s: float) -> Iterator[Future[Any]]:
        """Yield the jobs that are done, after waiting for the first; `wait` would look at all jobs for each."""
        with suppress(Empty):
            yield self._done.get(timeout=within_s)
            for _ in range(self._done.qsize()):
                yield self._done.get_nowait()

    def _poll_due(self) -> None:
        due = [target for target, when in self._due.items() if when <= self._now()]
        for target in due:
            del self._due[target]
        for group in of_one_cluster((self._following[target] for target in due), lambda now: now.rollout.target):
            self._submit(self._work.polling, poll, group, then=self._polled)

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
                self._submit(self._work.polling, concluded, now, then=self._concluded)

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
            self._resources.tell(progress(now))

    def _timed_out(self, now: UnderWay) -> UnderWay:
        if now.verdict.outcome or self._now() - now.since < self._tier.timeout_s:
            return now
        goes_on = "" if self._resources.restore else "; it goes on at AWS"
        detail = f"not finished after {self._tier.timeout_s} s{goes_on}. {now.verdict.detail}".strip()
        return replace(now, verdict=replace(now.verdict, outcome="timed out", detail=detail))

    def _end(self, result: Result) -> None:
        self._results[result.target] = result
        self._turns.end(result)
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
