"""ECS services and revisions: describe, register, update, create.

Every function takes an ECS client of the target's account.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from deploytasks.aws import tags as aws_tags
from deploytasks.aws.errors import may_pass, translated
from deploytasks.errors import AwsError, Complaint
from deploytasks.model import Definition, Live, Revision, Target, primary_of
from deploytasks.rules.observed import is_inactive, marks
from deploytasks.rules.soak import has_restarted
from deploytasks.rules.verdict import deployments, given_up, took_s

UNDONE = "undone"
"""The tag of a restored service: the id of the restoring deployment, a blank, and the reason for it."""
_DELETED = "INACTIVE"
_BEING_DELETED = "DRAINING"


def look(client: Any, cluster: str, targets: Sequence[Target]) -> tuple[Live, ...]:
    """Observe at most ten targets of one cluster by their services' descriptions; `exists` is False without a service.

    Raises:
        AwsError: among others, there is no such cluster.

    Source: ecs DescribeServices.

    """
    found = _described(client, cluster, [target.ecs_service for target in targets])
    keys = client.meta.service_model.operation_model("CreateService").input_shape.members
    return tuple(_live(target, found.get(target.ecs_service), keys) for target in targets)


def describe(client: Any, cluster: str, services: Sequence[str]) -> dict[str, Any]:
    """Return DescribeServices' answers for at most ten services, by name, without missing, deleted or draining ones.

    Raises:
        AwsError: among others, there is no such cluster.

    """
    found = _described(client, cluster, services)
    return {name: each for name, each in found.items() if each["status"] != _BEING_DELETED}


def _described(client: Any, cluster: str, services: Sequence[str]) -> dict[str, Any]:
    with translated(f"cluster {cluster}"):
        answer = client.describe_services(cluster=cluster, services=list(services), include=["TAGS"])
    return {each["serviceName"]: each for each in answer["services"] if each["status"] != _DELETED}


def service_of(client: Any, target: Target) -> Mapping[str, Any]:
    """Return the target's service as `describe` returns it; empty if there is none."""
    found: Mapping[str, Any] = describe(client, target.cluster, [target.ecs_service]).get(target.ecs_service, {})
    return found


def register(client: Any, target: Target, request: Definition, tags: Mapping[str, str]) -> str:
    """Register a revision and return its ARN; the audit tags are added to those of the template.

    If its answer is lost, botocore's retry registers a second revision of the same content, and the first is never
    rolled out. Looking it up would not be certain, since ECS lists new revisions late.

    Source: ecs RegisterTaskDefinition.

    """
    own = [tag for tag in request.get("tags", []) if not tag["key"].lower().startswith((aws_tags.PREFIX, "aws:"))]
    untagged = {key: value for key, value in request.items() if key != "tags"}
    is_copy = len(own) < len(request.get("tags", []))  # a copy's record, if any, is among `tags`
    named = {} if is_copy else {aws_tags.NAMED: marks(tag["key"] for tag in own)}
    carried = own + aws_tags.to_ecs({**named, **tags})
    with translated(str(target)):  # ECS takes no empty list of tags, and none of AWS's own
        answer = client.register_task_definition(**untagged, **({"tags": carried} if carried else {}))
    arn: str = answer["taskDefinition"]["taskDefinitionArn"]
    return arn


def copied(client: Any, definition: Definition, images: Mapping[str, str]) -> Definition:
    """Return the RegisterTaskDefinition request that repeats the definition, with the images in `images` replaced.

    Source: its input shape in botocore's model of ECS; what else DescribeTaskDefinition shows is read-only.

    """
    shape = client.meta.service_model.operation_model("RegisterTaskDefinition").input_shape
    request = {key: value for key, value in definition.items() if key in shape.members}
    listed = request["containerDefinitions"]
    pinned = [{**each, "image": images.get(each["image"], each["image"])} for each in listed]
    return {**request, "containerDefinitions": pinned}


def usable(client: Any, target: Target, revision: str) -> str:
    """Return the revision's ARN; if it was deregistered, register a copy as begun and return the copy's ARN.

    Source: ecs DescribeTaskDefinition, whose `status` tells; UpdateService takes no INACTIVE revision.

    """
    with translated(str(target)):
        described = client.describe_task_definition(taskDefinition=revision, include=["TAGS"])
    definition, tags = described["taskDefinition"], described.get("tags", [])
    if definition.get("status") != "INACTIVE":
        return revision
    kept = {key: value for key, value in aws_tags.from_ecs(tags).items() if key != "ended"}
    request = copied(client, {**definition, "tags": tags}, {})
    return register(client, target, request, {**kept, "at": aws_tags.stamp(datetime.now(UTC))})


def update(client: Any, target: Target, revision: str | None, before: str = "") -> Mapping[str, Any]:
    """Roll out the revision, or for None the same one again. Never send `desiredCount`.

    Return the service as UpdateService answers: its PRIMARY deployment is ours. `before` is the id of the PRIMARY
    deployment until now, which tells a new one from it if the answer gets lost; it is looked up if it is not given.
    """
    if revision:
        return _update(client, target, {"taskDefinition": revision})
    return _anew(client, target, before or _primary_id(service_of(client, target)))


def _update(client: Any, target: Target, change: Definition) -> Mapping[str, Any]:
    with translated(str(target)):
        answer = client.update_service(cluster=target.cluster, service=target.ecs_service, **change)
    return dict(answer["service"])


def _anew(client: Any, target: Target, before: str, attempts: int = 3) -> Mapping[str, Any]:
    """Force one new deployment of the same revision, never two: after a lost answer, look for the deployment first."""
    try:
        return _update(client, target, {"forceNewDeployment": True})
    except AwsError as error:
        if not may_pass(error):
            raise
        service = service_of(client, target)
        if _primary_id(service) not in ("", before):
            return service
        if attempts == 1:
            raise
    return _anew(client, target, before, attempts - 1)


def _primary_id(service: Mapping[str, Any]) -> str:
    primary = primary_of(deployments(service))
    return primary.id if primary else ""


def create(client: Any, target: Target, request: Definition, revision: str) -> Mapping[str, Any]:
    """Create the service with the revision; if only the answer was lost, return the service that was created.

    Source: ecs CreateService, which refuses a service that exists.

    """
    try:
        with translated(str(target)):
            answer = client.create_service(**{**request, "taskDefinition": revision})
    except AwsError:
        service = service_of(client, target)
        if service.get("taskDefinition") != revision:
            raise
        return service
    return dict(answer["service"])


def record(client: Any, target: Target, arn: str, tags: Mapping[str, str]) -> None:
    """Add the audit tags to the service or the revision, beside the tags that it has.

    Empty values are written as blanks, so that a reason or link of the previous rollout does not stand for this one.

    Source: ecs TagResource.

    """
    with translated(str(target)):
        client.tag_resource(resourceArn=arn, tags=aws_tags.to_ecs(tags, blanks=True))


def _live(target: Target, service: Mapping[str, Any] | None, keys: Collection[str]) -> Live:
    if service is None:
        return Live(target)
    if service["status"] == _BEING_DELETED:
        what = "the ECS service is being deleted: its last tasks drain"
        return Live(target, exists=True, complaint=Complaint(str(target), what, "run it again once it is gone"))
    controller = service.get("deploymentController", {}).get("type", "ECS")
    if "taskDefinition" not in service:  # an external controller keeps it in task sets
        return Live(target, exists=True, controller=controller)
    listed = deployments(service)
    primary = primary_of(listed)
    return Live(
        target=target,
        exists=True,
        controller=controller,
        desired=service["desiredCount"],
        running=service["runningCount"],
        deployments=listed,
        service_tags=aws_tags.from_ecs(service.get("tags", [])),
        failure=given_up(service) or _undone(service),
        arn=service["serviceArn"],
        took_s=took_s(service),
        restarted=bool(primary and primary.is_complete and has_restarted(service, primary)),
        service=_as_requested(service, keys),
    )


def _as_requested(service: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """Return what the answer says for the keys of a CreateService request.

    Source: botocore's shapes: Service Connect, volumes and VPC Lattice are in the PRIMARY deployment alone, and
    `role` is answered as `roleArn`.
    """
    listed = service["deployments"]
    primary: Mapping[str, Any] = next((each for each in listed if each["status"] == "PRIMARY"), {})
    told = {**{key: primary[key] for key in primary if key not in service}, **service}
    return {key: told[key] for key in keys if key in told} | {"role": service.get("roleArn")}


def _undone(service: Mapping[str, Any]) -> str:
    """Return why we restored what ran before; empty if something else is being rolled out by now."""
    way_back, _, why = aws_tags.from_ecs(service.get("tags", [])).get(UNDONE, "").partition(" ")
    return why if way_back and way_back == _primary_id(service) else ""


def revision_arns(client: Any, target: Target, *, at_once: int = 100, status: str = "ACTIVE") -> Iterator[str]:
    """Yield the ARNs of the target's usable revisions, newest first, `at_once` per call and only as far as consumed.

    With `status` "INACTIVE", yield the deregistered ones.

    Raises:
        AwsError: AWS refused the call.

    Source: ecs ListTaskDefinitions, whose `familyPrefix` is the family's whole name.

    """
    pages = client.get_paginator("list_task_definitions").paginate(
        familyPrefix=target.family, status=status, sort="DESC", PaginationConfig={"PageSize": at_once}
    )
    with translated(str(target)):
        for page in pages:
            yield from (arn for arn in page["taskDefinitionArns"] if _family(arn) == target.family)


def revision(client: Any, target: Target, arn: str) -> Revision:
    """Return one revision with what our tags on it record.

    Raises:
        AwsError: AWS refused the call.

    Source: ecs DescribeTaskDefinition.

    """
    with translated(str(target)):
        return _revision(client, arn)


def newest(client: Any, target: Target) -> Revision | None:
    """Return the newest ACTIVE revision of the target's family, as `revision` does; None if there is none.

    Raises:
        AwsError: AWS refused the call.

    Source: ecs DescribeTaskDefinition, to which a family stands for its latest ACTIVE revision, and which answers
    ClientException if there is none: it has no narrower code for that. Emulators describe an INACTIVE one then.

    """
    with translated(str(target)):
        try:
            found = _revision(client, target.family)
        except client.exceptions.ClientException:
            return None
    return None if is_inactive(found.definition) else found


def _revision(client: Any, name: str) -> Revision:
    answer = client.describe_task_definition(taskDefinition=name, include=["TAGS"])
    tags = answer.get("tags", [])
    definition = {**answer["taskDefinition"], "tags": tags}
    return Revision(
        definition["taskDefinitionArn"], aws_tags.from_ecs(tags), definition.get("registeredAt"), definition
    )


def _family(arn: str) -> str:
    return arn.rpartition("/")[2].rpartition(":")[0]
