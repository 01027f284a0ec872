"""The ARNs of what a project's files name, as narrow as these say, for the policies of `envs_rights.py`. Offline."""

import re
from collections.abc import Iterable, Iterator, Mapping

from deploytasks.aws import rights
from deploytasks.aws.operations import Resource
from deploytasks.model import Definition, JobSchedule, Project, Target
from deploytasks.regions import partition_name
from deploytasks.template.references import Reference, references
from deploytasks.template.render import Renderer

Named = tuple[Resource, str]
_SUFFIX = "-??????"
"""The six characters that Secrets Manager adds to a secret's name in its ARN."""


def arns_of(named: Iterable[Named]) -> dict[Resource, list[str]]:
    """Return the ARNs of each kind of resource, each once, sorted."""
    found: dict[Resource, set[str]] = {}
    for resource, arn in named:
        found.setdefault(resource, set()).add(arn)
    return {resource: sorted(arns) for resource, arns in found.items()}


def of_registry(project: Project) -> Iterator[Named]:
    """Yield what the registry's role works on."""
    account, region = project.registry.access.account, project.registry.access.region
    own = rights.own_arns(project.name, account, region)
    yield from (("any", arn) for arn in own["any"])
    yield from (("own parameter", arn) for arn in own["own parameter"])
    begin = f"arn:{partition_name(region)}"
    for image in project.images:
        yield "repository", f"{begin}:ecr:{region}:{account}:repository/{image.repository}"
    yield from _webhook(project, f"{begin}:%s:{region}:{account}")


def _webhook(project: Project, begin: str) -> Iterator[Named]:
    webhook = project.webhook
    if webhook is None or webhook.place == "env":
        return
    if webhook.place == "ssm":
        yield "webhook parameter", _whole(webhook.name) or f"{begin % 'ssm'}:parameter/{webhook.name.lstrip('/')}"
    else:
        yield from (("webhook secret", arn) for arn in _secret(webhook.name, f"{begin % 'secretsmanager'}:secret:"))
    yield "webhook key", f"{begin % 'kms'}:key/*"


def of_target(renderer: Renderer, target: Target) -> Iterator[Named]:
    """Yield what a tenant's role works on for this target.

    Raises:
        Invalid: its templates are wrong.

    """
    desired = renderer.tried(target)
    definition = renderer.definition(target, desired)
    yield "any", "*"
    yield from _of_ecs(target, str(definition.get("family", target.family)))
    yield from _log_groups(target, definition)
    for reference in references(definition):
        yield from _referred(target, reference)
    if target.job:
        yield from _of_job(target, renderer.job_schedule(target, desired))


def _of_ecs(target: Target, family: str) -> Iterator[Named]:
    begin, at = _begin("ecs", target), f"{target.cluster}/{target.ecs_service}"
    definition, task = f"{begin}:task-definition/{family}:*", f"{begin}:task/{target.cluster}/*"
    yield from (("task definition", definition), ("task", task), ("tagged", definition), ("tagged", task))
    if target.job:
        return
    service = f"{begin}:service/{at}"
    yield from (("service", service), ("tagged", service))
    yield from (("service deployment", service), ("service deployment", f"{begin}:service-deployment/{at}/*"))
    yield from (("service revision", service), ("service revision", f"{begin}:service-revision/{at}/*"))


def _log_groups(target: Target, definition: Definition) -> Iterator[Named]:
    for container in definition.get("containerDefinitions", []):
        options: Mapping[str, str] = container.get("logConfiguration", {}).get("options", {})
        if group := options.get("awslogs-group"):
            yield "log group", f"{_begin('logs', target, options.get('awslogs-region', ''))}:log-group:{group}:*"


def _referred(target: Target, found: Reference) -> Iterator[Named]:
    """Yield what a definition refers to in the target's own account: only there it is looked up."""
    if found.account not in ("", target.access.account):
        return
    match found.kind:
        case "role":
            yield "named role", _role(target, found.name)
        case "secret":
            begin = f"{_begin('secretsmanager', target, found.region)}:secret:"
            yield from (("named secret", arn) for arn in _secret(found.name, begin))
        case "parameter":
            name = found.name.removeprefix("parameter/").lstrip("/")
            yield "named parameter", f"{_begin('ssm', target, found.region)}:parameter/{name}"


def _of_job(target: Target, schedule: JobSchedule | None) -> Iterator[Named]:
    if target.job and target.job.rule:
        yield "rule", f"{_begin('events', target)}:rule/{target.job.rule}"
        yield "rule role", _role(target, target.job.schedule_role or "*")  # the live target's own, which no file names
    elif schedule:
        yield "schedule", f"{_begin('scheduler', target)}:schedule/{schedule.group}/{schedule.name}"
        role = schedule.named.get("Target", {}).get("RoleArn") or schedule.role
        yield "schedule role", _role(target, str(role or "*"))


def _begin(service: str, target: Target, region: str = "") -> str:
    region = region or target.access.region
    return f"arn:{partition_name(region)}:{service}:{region}:{target.access.account}"


def _role(target: Target, name: str) -> str:
    return _whole(name) or f"arn:{partition_name(target.access.region)}:iam::{target.access.account}:role/{name}"


def _secret(name: str, begin: str) -> list[str]:
    """Return the ARNs of a secret by its name or ARN, which may lack the random end, or seem to have it."""
    arn = _whole(name) or f"{begin}{name}"
    return [arn, f"{arn}{_SUFFIX}"] if re.search(r"-[A-Za-z0-9]{6}$", arn) else [f"{arn}{_SUFFIX}"]


def _whole(name: str) -> str:
    return name if name.startswith("arn:") else ""
