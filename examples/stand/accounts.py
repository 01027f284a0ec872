"""The AWS side of the stage: a registry account with its repositories, and a cluster for every environment."""

import json
from collections.abc import Iterable
from typing import Any

import boto3

from deploytasks.model import Project
from examples.stand.base_image import REPOSITORY as BASE_REPOSITORY
from examples.stand.emulator import Emulator

REGISTRY_ACCOUNT = "000000000000"
REGION = "us-east-1"
_PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]

_EXECUTION_ROLE = "ecsTaskExecutionRole"


def client(emulator: Emulator, service: str, account: str = REGISTRY_ACCOUNT) -> Any:
    """A client in an account: the emulator takes an access key of 12 digits for the account itself."""
    return boto3.client(
        service,
        endpoint_url=emulator.endpoint,
        region_name=REGION,
        aws_access_key_id=account,
        aws_secret_access_key="emulated",
    )


def make_base_repository(emulator: Emulator) -> None:
    """The registry takes the base image."""
    client(emulator, "ecr").create_repository(repositoryName=BASE_REPOSITORY)


def make(emulator: Emulator, project: Project) -> None:
    """Every repository, cluster, secret and role that the project's files name exists; no service or schedule, yet."""
    accounts = sorted({target.access.account for target in project.targets})
    for image in project.images:
        _make_repository(emulator, image.repository, [tier.name for tier in project.tiers], accounts)
    for account, cluster in sorted({(target.access.account, target.cluster) for target in project.targets}):
        client(emulator, "ecs", account).create_cluster(clusterName=cluster)
    for account, arn in sorted(
        {(each.access.account, arn) for each in project.targets for arn in each.secrets.values()}
    ):
        name = arn.partition(":secret:")[2]
        client(emulator, "secretsmanager", account).create_secret(Name=name, SecretString="emulated")
    for account in accounts:
        _make_role(emulator, account, _EXECUTION_ROLE, "ecs-tasks.amazonaws.com")
    for account, arn in sorted(
        {(each.access.account, each.job.schedule_role) for each in project.targets if each.job is not None}
    ):
        _make_role(emulator, account, arn.rpartition("/")[2], "scheduler.amazonaws.com")


def _make_role(emulator: Emulator, account: str, name: str, service: str) -> None:
    """The service may assume it."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client(emulator, "iam", account).create_role(RoleName=name, AssumeRolePolicyDocument=trust)


def _make_repository(emulator: Emulator, name: str, tiers: Iterable[str], accounts: Iterable[str]) -> None:
    """Immutable but for the tiers' own tags, and open to the tenants' accounts for pulling."""
    ecr = client(emulator, "ecr")
    ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": tier} for tier in tiers],
    )
    principals = [f"arn:aws:iam::{account}:root" for account in accounts]
    statement = {"Sid": "Pull", "Effect": "Allow", "Principal": {"AWS": principals}, "Action": _PULL}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    ecr.set_repository_policy(repositoryName=name, policyText=policy)
