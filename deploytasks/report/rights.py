"""Show roles and policies as JSON, as Terraform, and as a CloudFormation template."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deploytasks.errors import Invalid
from deploytasks.model.rights import Grant

MOST_RESOURCES = 500
"""The resources of a template. Source: "CloudFormation quotas" in its user guide."""


def as_json(project: str, grants: Sequence[Grant]) -> dict[str, Any]:
    """Return the roles for programs and for `aws iam`."""
    return {"project": project, "roles": [_as_json(project, grant) for grant in grants]}


def _as_json(project: str, grant: Grant) -> dict[str, Any]:
    return {
        "for": grant.holder,
        "account": grant.account,
        "role": grant.role or None,
        "signs_in": grant.who,
        "tenants": [*grant.tenants],
        "trust": grant.trust,
        "policies": [{"name": name, "document": document} for name, document in grant.named_policies(project)],
    }


def as_cloudformation(project: str, grants: Sequence[Grant]) -> dict[str, Any]:
    """Return one template for all accounts: a condition lets each make its own roles only.

    Raises:
        Invalid: it would have more resources than CloudFormation takes.

    """
    accounts = dict.fromkeys(grant.account for grant in grants)
    resources = {
        name: body for grant, stem in _stems(grants) for name, body in _resources(project, grant, _camel(stem))
    }
    if len(resources) > MOST_RESOURCES:
        what = f"a template of {len(resources):,} resources, and CloudFormation takes {MOST_RESOURCES}"
        raise Invalid.of("--format", what, "select by --tenant")
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Roles and policies of {project}, by inv envs.rights. Deploy it with CAPABILITY_NAMED_IAM.",
        "Conditions": {f"In{account}": {"Fn::Equals": [{"Ref": "AWS::AccountId"}, account]} for account in accounts},
        "Resources": resources,
    }


def _stems(grants: Sequence[Grant]) -> Iterator[tuple[Grant, str]]:
    """Yield each grant with the name of its resources, `tenant_222222222222_deploy`, which is the same each time."""
    seen: dict[str, int] = {}
    for grant in grants:
        stem = "_".join(re.findall(r"[a-z0-9]+", f"{grant.holder} {grant.account} {grant.name}".lower()))
        seen[stem] = seen.get(stem, 0) + 1
        yield grant, stem if seen[stem] == 1 else f"{stem}_x{seen[stem]}"


def _camel(stem: str) -> str:
    return "".join(word.capitalize() for word in stem.split("_"))


def _resources(project: str, grant: Grant, stem: str) -> Iterator[tuple[str, dict[str, Any]]]:
    condition = f"In{grant.account}"
    if grant.role:
        role = {"RoleName": grant.name, "Path": grant.path, "AssumeRolePolicyDocument": grant.trust}
        yield stem, {"Type": "AWS::IAM::Role", "Condition": condition, "Properties": role}
    attached = {"Roles": [{"Ref": stem}]} if grant.role else {}
    for number, (name, document) in enumerate(grant.named_policies(project), 1):
        policy = {"ManagedPolicyName": name, "PolicyDocument": document, **attached}
        yield f"{stem}Policy{number}", {"Type": "AWS::IAM::ManagedPolicy", "Condition": condition, "Properties": policy}


def as_terraform(project: str, grants: Sequence[Grant]) -> str:
    """Return Terraform's own language: a provider for each account, which refuses every other account."""
    regions = {grant.account: grant.region for grant in reversed(grants)}
    head = f"# Roles and policies of {project}, by inv envs.rights."
    providers = (_provider(account, region) for account, region in sorted(regions.items()))
    bodies = ("\n\n".join(_blocks(project, grant, stem)) for grant, stem in _stems(grants))
    return "\n\n".join([head, *providers, *bodies])


def _provider(account: str, region: str) -> str:
    comment = "  # add credentials that may make roles in this account: profile, or assume_role"
    keys = {"alias": f"account_{account}", "region": region, "allowed_account_ids": [account]}
    return _block('provider "aws"', {key: _written(value) for key, value in keys.items()}, comment)


def _blocks(project: str, grant: Grant, stem: str) -> Iterator[str]:
    provider = {"provider": f"aws.account_{grant.account}"}
    if grant.role:
        role = {"name": _written(grant.name), "path": _written(grant.path), "assume_role_policy": _encoded(grant.trust)}
        yield _block(f'resource "aws_iam_role" "{stem}"', provider | role)
    for number, (name, document) in enumerate(grant.named_policies(project), 1):
        policy = {"name": _written(name), "policy": _encoded(document)}
        comment = "" if grant.role else f"  # attach it to {grant.who}"
        yield _block(f'resource "aws_iam_policy" "{stem}_{number}"', provider | policy, comment)
        if grant.role:
            attached = {"role": f"aws_iam_role.{stem}.name", "policy_arn": f"aws_iam_policy.{stem}_{number}.arn"}
            yield _block(f'resource "aws_iam_role_policy_attachment" "{stem}_{number}"', provider | attached)


def _block(header: str, keys: Mapping[str, str], comment: str = "") -> str:
    """Return a block as `terraform fmt` would have it."""
    aligned = [key for key, value in keys.items() if "\n" not in value]
    width = max(map(len, aligned))
    lines = [f"  {key:{width if key in aligned else 1}} = {value}" for key, value in keys.items()]
    return "\n".join([f"{header} {{", *([comment] if comment else []), *lines, "}"])


def _encoded(document: Any) -> str:
    return f"jsonencode({_written(document, 2)})"


def _written(value: Any, indent: int | None = None) -> str:
    """Return the value as an expression: JSON is one, but for what Terraform would take for a template's beginning."""
    separators = (", " if indent is None else ",", " : ")
    text = json.dumps(value, indent=indent, separators=separators).replace("${", "$${").replace("%{", "%%{")
    return text.replace("\n", "\n  ")


FORMATS: Mapping[str, Callable[[str, Sequence[Grant]], Any]] = {
    "json": as_json,
    "terraform": as_terraform,
    "cloudformation": as_cloudformation,
}
"""By the value of `--format`: a text, or a document."""
