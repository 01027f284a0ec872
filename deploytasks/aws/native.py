"""ECS's own deployment strategies (blue/green, linear, canary): what DescribeServices alone does not tell."""

from collections.abc import Mapping
from typing import Any

from deploytasks.aws.failures import translated


def waiting_hook(client: Any, service: Mapping[str, Any]) -> str | None:
    """The id of the PAUSE hook that the service's deployment waits on, None where it waits on none.

    Asks nothing of a rolling service.

    Source: ecs DescribeServiceDeployments, lifecycleHookDetails.

    """
    current = service.get("currentServiceDeployment")
    strategy = service.get("deploymentConfiguration", {}).get("strategy", "ROLLING")
    if strategy == "ROLLING" or not current:
        return None
    with translated(service["serviceName"]):
        answer = client.describe_service_deployments(serviceDeploymentArns=[current])
    hooks = [hook for each in answer["serviceDeployments"] for hook in each.get("lifecycleHookDetails", [])]
    return next((hook["hookId"] for hook in hooks if hook.get("status") == "AWAITING_ACTION"), None)
