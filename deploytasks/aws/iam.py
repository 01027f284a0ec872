"""IAM roles that task definitions and schedules name: whether they exist and trust the service that uses them."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from deploytasks.aws.errors import translated
from deploytasks.aws.secrets import ECS_TASKS, MISSING

SCHEDULER, EVENTS = "scheduler.amazonaws.com", "events.amazonaws.com"
"""The service principals that run tasks on a schedule, and as a rule's target."""
UNSCHEDULING = f"does not trust {SCHEDULER}"


def role_fault(client: Any, role: str, service: str = ECS_TASKS) -> str:
    """Return what is wrong with the role of this ARN or name, such as that the service can't assume it; "" if nothing.

    Consoles create roles below `/service-role/`; an ARN without this path, or with another one, names no role.

    Source: iam GetRole, which takes the name without its path; no two roles of an account share a name.

    """
    with translated(f"role {role}"):
        try:
            found = client.get_role(RoleName=role.rpartition("/")[2])["Role"]
        except client.exceptions.NoSuchEntityException:
            return MISSING
    actual = str(found.get("Arn", ""))
    if role.startswith("arn:") and actual.count("/") > 1 and _path(role) != _path(actual):
        return f"{MISSING}: the one of that name is {actual}"
    return "" if trusts(found.get("AssumeRolePolicyDocument"), service) else f"does not trust {service}"


def trusts(document: Any, service: str = ECS_TASKS) -> bool:
    """Return whether any Allow names the service; ignore conditions and denials, accept what is not a document."""
    if not isinstance(document, Mapping):
        return True
    allows = [each for each in _listed(document.get("Statement")) if each.get("Effect") == "Allow"]
    return any(_names(each.get("Principal", "*"), service) and _assumes(each.get("Action", "*")) for each in allows)


def _path(arn: str) -> str:
    """Return the role's path and name, case-folded as IAM does not distinguish upper from lower case."""
    return arn.partition(":role")[2].casefold()


def _names(principal: Any, service: str) -> bool:
    if not isinstance(principal, Mapping):
        return bool(principal == "*")
    services = [str(each) for each in _listed(principal.get("Service"))]
    return "*" in [*services, *_listed(principal.get("AWS"))] or any(each.startswith(service) for each in services)


def _assumes(action: Any) -> bool:
    return any(fnmatchcase("sts:assumerole", str(each).lower()) for each in _listed(action))


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
