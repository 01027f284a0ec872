"""Run a command once in an environment, with the definition that its service runs: migrations, consoles, repairs.

A job runs with the definition that its schedule names; without a command, it runs the definition's own.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from deploytasks import __version__
from deploytasks.aws import ecs, follow_task, run_task
from deploytasks.aws.errors import may_pass
from deploytasks.aws.follow_task import Following, FollowResources
from deploytasks.aws.run_task import OneOff
from deploytasks.aws.session import Clients
from deploytasks.commands import jobs, preflight
from deploytasks.commands.context import before_any_change, quiet, reach, whoami_here
from deploytasks.commands.observe import no_service, observe
from deploytasks.commands.rollouts import kept_back
from deploytasks.errors import AwsError, CommandFailed, Interrupted, NotReady, raise_all
from deploytasks.model import Author, Definition, Exited, Live, OnEvent, Project, Target, Told
from deploytasks.rules.observed import container_of, is_inactive, our_containers
from deploytasks.rules.schedule import ecs_parameters, request
from deploytasks.template.canonical import same
from deploytasks.template.render import Renderer

_STOPS_WITHIN_S = 10.0
_STOPPED = "stopped by the person who ran it"


class Prepared(Struct, frozen=True):
    """A command that may be run: everything was checked, nothing started. `definition` is the one it runs with.

    `record` is what our tags on its revision say.
    """

    project: Project
    author: Author
    clients: Clients
    one_off: OneOff
    definition: Definition
    record: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        revision = self.one_off.revision.rpartition("/")[2]
        return f"container {self.one_off.container} of {revision} in cluster {self.one_off.target.cluster}"


def prepare(project: Project, target: Target, words: Sequence[str]) -> Prepared:
    """Return the command ready to run with the definition that the target runs; start nothing.

    Without words, it is the definition's own command.

    Raises:
        NotReady: it may not be run, and why.

    """
    author = whoami_here()
    clients = reach(project)
    renderer = Renderer(project)
    (live,) = observe(clients, [target], renderer=renderer, reading="none")
    if live.complaint:
        raise NotReady(live.complaint)
    raise_all(NotReady, list(preflight.foreign(live, project.name)))
    definition = _definition(kept_back(project, renderer, live))
    container = _container(live)
    one_off = OneOff(
        target=target,
        revision=definition["taskDefinitionArn"],
        container=container,
        words=tuple(words),
        place=_place(clients, renderer, live, definition),
        essential=run_task.is_essential(definition, container),
    )
    return Prepared(project, author, clients, one_off, definition, live.revision_tags)


def _place(clients: Clients, renderer: Renderer, live: Live, definition: Definition) -> Mapping[str, Any]:
    """Return where the service's own tasks run, or those that the job's schedule starts, as RunTask's members."""
    target = live.target
    if target.job is None:
        with before_any_change():
            return run_task.place(ecs.service_of(clients.of("ecs", target.access), target))
    wanted = jobs.asked(renderer, target, renderer.tried(target), definition)
    if live.schedule is None and wanted is None:
        return run_task.place_of_job(ecs_parameters(target.vars, definition))
    told = live.schedule.told if live.schedule else request(wanted) if wanted else {}
    return run_task.place_of_job(told.get("Target", told)["EcsParameters"])


def run(
    prepared: Prepared,
    tell: OnEvent = quiet,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Exited:
    """Run the command, report its output, and return how it exited.

    Raises:
        CommandFailed: ECS started no task.
        AwsError: the task can no longer be seen.
        Interrupted: Ctrl-C while it ran; the message says whether the task could be stopped.

    """
    target = prepared.one_off.target
    resources = FollowResources(prepared.clients.of("ecs", target.access), tell, clock, sleep)
    begun: list[Following] = []
    pool, starting = _one_thread(), Future[None]()
    try:
        starting = pool.submit(_start, prepared, resources, begun)
        starting.result()
        return begun[0].to_end()
    except KeyboardInterrupt:
        _await_answer(prepared.clients, pool)
        if not begun and starting.done() and isinstance(unknown := starting.exception(), AwsError):
            raise Interrupted(*unknown.complaints) from None
        ended = _ended(tell, begun)
        if ended is None:
            raise Interrupted.of(str(target), _stop(begun)) from None
        return ended
    finally:
        pool.shutdown(wait=False)


def _await_answer(clients: Clients, pool: ThreadPoolExecutor) -> None:
    """Wait a few seconds for RunTask's answer, which says what was started; later calls have their usual time."""
    clients.stopped.set()
    pool.shutdown()
    clients.stopped.clear()


def _one_thread() -> ThreadPoolExecutor:
    """Return a pool whose thread exists already: an interrupt while it is being created would escape `shutdown`."""
    pool = ThreadPoolExecutor(1)
    pool.submit(int).result()
    return pool


def _start(prepared: Prepared, resources: FollowResources, begun: list[Following]) -> None:
    author = prepared.author
    audit = {"project": prepared.project.name, "by": author.by, "ci": author.ci}
    try:
        prepared = _usable(prepared, resources)
        started = run_task.start(resources.client, prepared.one_off, author, audit)
    except AwsError as error:
        if may_pass(error):
            raise AwsError(*error.complaints, run_task.perhaps(prepared.one_off, author)) from error
        raise CommandFailed(*error.complaints) from error
    with follow_task.named(started):
        resources.tell(Told("run", f"started task {started.id}: {prepared}", str(prepared.one_off.target)))
        log = follow_task.log_of(prepared.clients, started, prepared.definition, resources.tell)
        begun.append(Following(resources, started, log))


def _usable(prepared: Prepared, resources: FollowResources) -> Prepared:
    """Return the command with a revision that can be run: register a copy of a deregistered one, once.

    Source: ecs RunTask, which takes no INACTIVE revision.
    """
    definition, target = prepared.definition, prepared.one_off.target
    if not is_inactive(definition):
        return prepared
    newest = ecs.newest(resources.client, target)
    is_copy = newest is not None and same(definition, newest.definition)
    revision = newest.arn if newest and is_copy else _copied(prepared, resources.client)
    what = f"{_name(prepared.one_off.revision)} is inactive: {_name(revision)} is run, a copy"
    resources.tell(Told("run", what, str(target)))
    return replace(prepared, one_off=replace(prepared.one_off, revision=revision))


def _copied(prepared: Prepared, client: Any) -> str:
    """Register a copy of the definition under our tags, as one that has not begun; return its ARN."""
    record = {key: value for key, value in prepared.record.items() if key not in ("at", "ended", "steps")}
    request = ecs.copied(client, prepared.definition, {})
    return ecs.register(client, prepared.one_off.target, request, {**record, "version": __version__})


def _name(revision: str) -> str:
    return revision.rpartition("/")[2]


def _ended(tell: OnEvent, begun: list[Following]) -> Exited | None:
    """Return how the task ended, None if it continues: an interrupt after its end must not lose its exit code."""
    ended = begun[0].already_over() if begun else None
    if ended:
        what = "interrupted; the command had ended by then, and its late lines are not waited for"
        tell(Told("run", what, str(ended.target)))
    return ended


def _stop(begun: list[Following]) -> str:
    """Stop the task after an interrupt; return what to say of it."""
    if not begun:
        return "interrupted; no task was started"
    task = begun[0].task
    try:
        ended = begun[0].stop(_STOPPED, within_s=_STOPS_WITHIN_S)
    except AwsError as error:
        return f"interrupted; task {task} could not be stopped, and goes on: {error.complaints[0].what}"
    if ended is None:
        return f"interrupted; task {task} was told to stop, and ECS ends it once its stopTimeout is over"
    return f"interrupted; task {task} was stopped"


def _definition(live: Live) -> Definition:
    where, target = str(live.target), live.target
    if not live.exists:
        to_do = f"inv deploy.{target.environment.tier} makes it{'' if target.job else ', where it has a template'}"
        raise NotReady.of(where, no_service(target), to_do)
    if live.definition is None:
        what = f"its deployment controller is {live.controller}, whose services have no task definition of their own"
        raise NotReady.of(where, what, "run the command with that controller's own tools")
    return live.definition


def _container(live: Live) -> str:
    """Return the container that runs our image; of several, the one named like the service."""
    target = live.target
    mine, uri = our_containers(live, target.image), target.images[target.image]
    chosen, names = container_of(mine, target.name), [each["name"] for each in mine]
    if chosen:
        return chosen
    revision = (live.definition or {})["taskDefinitionArn"].rpartition("/")[2]
    where, tier = str(target), target.environment.tier
    if names:
        what = f"{len(names)} containers of {revision} run {uri}: {', '.join(names)}"
        raise NotReady.of(where, what, f"call the one that runs commands {target.name}, as the {target.kind} is")
    to_do = f"inv deploy.{tier} brings it; inv deploy.diff {tier} shows the definition that runs"
    raise NotReady.of(where, f"no container of {revision} runs {uri}", to_do)
