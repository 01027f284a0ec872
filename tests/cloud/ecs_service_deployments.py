"""The operations of ECS on service deployments; a cloud that is not `native` answers none of them."""

from collections.abc import Mapping

from tests.cloud.accounts import Account, Answer, Ask, AwsError, Operation, invalid, last_part, page, page_size
from tests.cloud.ecs_deployments import OVER, ServiceDeployment, revision_arn
from tests.cloud.ecs_rollouts import go_back, go_on, settle
from tests.cloud.ecs_services import Service, cluster_of, service_of

DESCRIBED_A_CALL = 20


def list_service_deployments(account: Account, ask: Ask) -> Answer:
    """Source: ListServiceDeployments, newest first; both ends of createdAt count in."""
    _must_be_native(account, "ListServiceDeployments")
    service = service_of(cluster_of(account, ask), ask["service"])
    settle(account, service)
    after, before = ask.get("createdAt", {}).get("after", 0.0), ask.get("createdAt", {}).get("before", float("inf"))
    now = account.cloud.clock()
    shown = (each for each in service.history if each.deployment.created_at + account.cloud.list_lag_s <= now)
    briefs = [record.brief(now) for record in shown]
    wanted = [
        brief
        for brief in briefs
        if after <= brief["createdAt"] <= before and brief["status"] in (ask.get("status") or [brief["status"]])
    ]
    listed, more = page(wanted, ask, page_size(ask, 20))
    return {"serviceDeployments": listed, **more}


def describe_service_deployments(account: Account, ask: Ask) -> Answer:
    """Source: DescribeServiceDeployments."""
    _must_be_native(account, "DescribeServiceDeployments")
    arns = ask["serviceDeploymentArns"]
    if not 1 <= len(arns) <= DESCRIBED_A_CALL:
        raise invalid(f"serviceDeploymentArns must have between 1 and {DESCRIBED_A_CALL} items.")
    found = {arn: _find(account, arn) for arn in arns}
    described = [each[1].describe(account.cloud.clock()) for each in found.values() if each]
    missing = [{"arn": arn, "reason": "MISSING"} for arn, each in found.items() if each is None]
    return {"serviceDeployments": described, "failures": missing}


def describe_service_revisions(account: Account, ask: Ask) -> Answer:
    """Source: DescribeServiceRevisions; botocore's ServiceRevision."""
    _must_be_native(account, "DescribeServiceRevisions")
    arns = ask["serviceRevisionArns"]
    if not 1 <= len(arns) <= DESCRIBED_A_CALL:
        raise invalid(f"serviceRevisionArns must have between 1 and {DESCRIBED_A_CALL} items.")
    records = {
        revision_arn(record.arn, record.deployment): record
        for cluster in account.clusters.values()
        for service in cluster.services.values()
        for record in service.history
    }
    described = [records[arn].describe_revision() for arn in arns if arn in records]
    missing = [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in records]
    return {"serviceRevisions": described, "failures": missing}


def stop_service_deployment(account: Account, ask: Ask) -> Answer:
    """Source: StopServiceDeployment; one that is being stopped already goes on being stopped."""
    _must_be_native(account, "StopServiceDeployment")
    _, record = _found(account, ask)
    how = ask.get("stopType", "ROLLBACK")
    if how not in ("ABORT", "ROLLBACK"):
        raise invalid("stopType must be ABORT or ROLLBACK.")
    if record.status in OVER:
        raise AwsError("ConflictException", f"The service deployment is {record.status} and cannot be stopped.")
    if record.status == "IN_PROGRESS":
        record.stop = (how, account.cloud.clock())
        record.status = "ROLLBACK_REQUESTED" if how == "ROLLBACK" else "STOP_REQUESTED"
    return {"serviceDeploymentArn": record.arn}


def continue_service_deployment(account: Account, ask: Ask) -> Answer:
    """Source: ContinueServiceDeployment."""
    _must_be_native(account, "ContinueServiceDeployment")
    service, record = _found(account, ask)
    hook, now = record.waits_at, account.cloud.clock()
    if hook is None or hook.status != "AWAITING_ACTION" or hook.id != ask["hookId"]:
        raise invalid(f"The service deployment does not wait at a hook {ask['hookId']}.")
    match ask.get("action", "CONTINUE"):
        case "CONTINUE":
            hook.status = "SUCCEEDED"
            go_on(service, hook, now)
        case "ROLLBACK":
            hook.status = "FAILED"
            go_back(account, service, now, f"Lifecycle hook {hook.id} was answered with ROLLBACK.")
        case _:
            raise invalid("action must be CONTINUE or ROLLBACK.")
    return {"serviceDeploymentArn": record.arn}


def _must_be_native(account: Account, operation: str) -> None:
    if not account.cloud.native:
        raise AwsError("UnknownOperationException", f"ecs {operation} is not served here")


def _found(account: Account, ask: Ask) -> tuple[Service, ServiceDeployment]:
    found = _find(account, ask["serviceDeploymentArn"])
    if found is None:
        raise AwsError("ServiceDeploymentNotFoundException", "The service deployment was not found.")
    return found


def _find(account: Account, arn: str) -> tuple[Service, ServiceDeployment] | None:
    """The service deployment of an ARN as it is by now, with its service; None where there is none."""
    parts = arn.split("/")
    cluster = account.clusters.get(parts[1]) if len(parts) == 4 else None
    service = cluster.services.get(parts[2]) if cluster else None
    if service is None:
        return None
    settle(account, service)
    return next(((service, each) for each in service.history if last_part(each.arn) == parts[3]), None)


OPERATIONS: Mapping[str, Operation] = {
    "ListServiceDeployments": list_service_deployments,
    "DescribeServiceDeployments": describe_service_deployments,
    "DescribeServiceRevisions": describe_service_revisions,
    "StopServiceDeployment": stop_service_deployment,
    "ContinueServiceDeployment": continue_service_deployment,
}
