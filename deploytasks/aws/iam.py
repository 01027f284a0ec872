"""IAM roles that task definitions name: whether they exist and trust ECS."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from deploytasks.aws.errors import translated
from deploytasks.aws.secrets import ECS_TASKS, MISSING, UNTRUSTING


def role_fault(client: Any, role: str) -> str:
    """Return what is wrong with the role of this ARN or name, such as that ECS can't assume it; "" if nothing is.

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
    return "" if trusts_ecs(found.get("AssumeRolePolicyDocument")) else UNTRUSTING


def trusts_ecs(document: Any) -> bool:
    """Return whether any Allow names ECS's tasks; ignore conditions and denials, accept what is not a document."""
    if not isinstance(document, Mapping):
        return True
    allows = [each for each in _listed(document.get("Statement")) if each.get("Effect") == "Allow"]
    return any(_names_ecs(each.get("Principal", "*")) and _assumes(each.get("Action", "*")) for each in allows)


def _path(arn: str) -> str:
    """Return the role's path and name, case-folded as IAM does not distinguish upper from lower case."""
    return arn.partition(":role")[2].casefold()


def _names_ecs(principal: Any) -> bool:
    if not isinstance(principal, Mapping):
        return bool(principal == "*")
    services = [str(each) for each in _listed(principal.get("Service"))]
    return "*" in [*services, *_listed(principal.get("AWS"))] or any(each.startswith(ECS_TASKS) for each in services)


def _assumes(action: Any) -> bool:
    return any(fnmatchcase("sts:assumerole", str(each).lower()) for each in _listed(action))


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
