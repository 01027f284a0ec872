"""The image's platform and the definition's, regions and partitions: what cannot work is found offline."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks.model import Access, Platform
from deploytasks.template.check import check_all
from deploytasks.template.rules import names_platform, platform_rules
from tests.template_stage import project, target, write
from tests.test_template_rules import container, on_ec2, on_fargate

NAMED = "(envs/project.toml: images.api.platforms)"
PLATFORM = "runtimePlatform"
CPU, SYSTEM = "cpuArchitecture", "operatingSystemFamily"
ARM: dict[str, Any] = {PLATFORM: {CPU: "ARM64"}}
WINDOWS: dict[str, Any] = {PLATFORM: {SYSTEM: "WINDOWS_SERVER_2022_CORE"}}


def offline(root: Any, request: dict[str, Any], platforms: tuple[str, ...], region: str, service: str | None) -> str:
    made = project(write(root, json.dumps(request), service), replace(target(), access=Access("222222222222", region)))
    built = replace(made.images[0], platforms=platforms)
    return "\n".join(map(str, check_all(replace(made, images=(built,)))))


UNFIT: dict[str, tuple[dict[str, Any], str, str]] = {
    "ARM64 and an amd64 image": (
        on_fargate(**ARM),
        "linux/amd64",
        f"runtimePlatform.cpuArchitecture: ARM64, but the image {NAMED} is for linux/amd64\n"
        '    write "runtimePlatform": {"cpuArchitecture": "X86_64"}, or build the image for it: platforms = '
        '["linux/arm64"] in envs/project.toml',
    ),
    "Fargate's default and an arm64 image": (
        on_fargate(),
        "linux/arm64",
        f"cpuArchitecture is X86_64, Fargate's default, but the image {NAMED} is for linux/arm64\n"
        '    write "runtimePlatform": {"cpuArchitecture": "ARM64"}, or build the image for it: platforms = '
        '["linux/amd64"] in envs/project.toml',
    ),
    "X86_64 on EC2 and a 32-bit ARM image": (
        on_ec2(runtimePlatform={CPU: "X86_64"}),
        "linux/arm/v7",
        f"runtimePlatform.cpuArchitecture: X86_64, but the image {NAMED} is for linux/arm/v7",
    ),
    "a processor that ECS does not have": (
        on_fargate(),
        "linux/s390x",
        f"the image {NAMED} is for linux/s390x\n    build the image for it: platforms",
    ),
    "Windows and a Linux image": (
        on_fargate(**WINDOWS),
        "linux/amd64",
        f"runtimePlatform.operatingSystemFamily: WINDOWS_SERVER_2022_CORE, but the image {NAMED} is for linux/amd64",
    ),
    "Fargate's default and a Windows image": (
        on_fargate(),
        "windows/amd64",
        f"operatingSystemFamily is LINUX, Fargate's default, but the image {NAMED} is for windows/amd64",
    ),
}


@pytest.mark.parametrize(("request_", "platform", "message"), UNFIT.values(), ids=UNFIT)
def test_an_image_that_is_built_for_another_platform_is_found_offline(tmp_path, request_, platform, message):
    said = offline(tmp_path, request_, (platform,), "us-east-1", None)
    assert message in said and said.startswith("templates/api.json.j2:1: mb-dev/api: ")
    assert said.count("templates/api.json.j2") == 1


FIT = {
    "Fargate's default": (on_fargate(), ("linux/amd64",)),
    "ARM64": (on_fargate(**ARM), ("linux/arm64/v8",)),
    "32 bits of the same maker": (on_fargate(**ARM), ("linux/arm/v7",)),
    "i386": (on_ec2(runtimePlatform={CPU: "X86_64"}), ("linux/386",)),
    "one of several": (on_fargate(**ARM), ("linux/amd64", "linux/arm64")),
    "Windows": (on_ec2(**WINDOWS), ("windows/amd64",)),
    "EC2, of which nothing is known": (on_ec2(), ("windows/arm64",)),
    "EC2 or Fargate": (on_fargate() | {"requiresCompatibilities": ["EC2", "FARGATE"]}, ("linux/arm64",)),
    "EC2, the system alone": (on_ec2(runtimePlatform={SYSTEM: "LINUX"}), ("linux/arm64",)),
}


@pytest.mark.parametrize(("request_", "platforms"), FIT.values(), ids=FIT)
def test_an_image_that_may_run_there_is_let_through(tmp_path, request_, platforms):
    assert offline(tmp_path, request_, platforms, "us-east-1", None) == ""


def test_the_system_and_the_processor_must_be_of_one_platform():
    several = [Platform.parse("windows/amd64"), Platform.parse("linux/arm64")]
    (problem,) = platform_rules(on_fargate(), several, "the image")
    assert problem.what == "cpuArchitecture is X86_64, Fargate's default, but the image is for linux/arm64"


@pytest.mark.parametrize(
    ("request_", "named"), [(on_fargate(), True), (on_ec2(), False), (on_ec2(**ARM), True), (on_ec2(**WINDOWS), True)]
)
def test_an_image_is_looked_at_only_where_the_definition_tells_a_platform(request_, named):
    assert names_platform(request_) is named
    assert not list(platform_rules(request_, [], "an image of which nothing is known"))


def logging(region: str, **others: Any) -> dict[str, Any]:
    options = {"awslogs-group": "a", "awslogs-region": region, "awslogs-stream-prefix": "c", **others}
    return on_ec2(container(logConfiguration={"logDriver": "awslogs", "options": options}))


def reading(arn: str) -> dict[str, Any]:
    return on_ec2(container(secrets=[{"name": "A", "valueFrom": arn}]), executionRoleArn="execution")


AT = "containerDefinitions[0]"
OPTION = f"{AT}.logConfiguration.options.awslogs-region"
UNREACHABLE: dict[str, tuple[dict[str, Any], str, str]] = {
    "a log region that does not exist": (
        logging("us-esat-1"),
        "us-east-1",
        f"{OPTION}: there is no AWS region 'us-esat-1'\n    did you mean 'us-east-1'?",
    ),
    "a log region of another partition": (
        logging("us-east-1"),
        "cn-north-1",
        f"{OPTION}: region us-east-1, of partition aws, but the target is in cn-north-1, of partition aws-cn\n"
        "    name a region of partition aws-cn; {{ region }} is the target's own",
    ),
    "a role of another partition": (
        on_ec2(taskRoleArn="arn:aws:iam::222222222222:role/task"),
        "us-gov-west-1",
        "taskRoleArn: an ARN of partition aws, but the target is in us-gov-west-1, of partition aws-us-gov\n"
        "    name one of this partition: arn:aws-us-gov:…",
    ),
    "a secret of another partition": (
        reading("arn:aws-cn:secretsmanager:cn-north-1:222222222222:secret:a"),
        "eu-west-1",
        f"{AT}.secrets[0].valueFrom: an ARN of partition aws-cn, but the target is in eu-west-1, of partition aws",
    ),
    "a partition that does not exist": (
        reading("arn:asw:ssm:eu-west-1:222222222222:parameter/a"),
        "eu-west-1",
        f"{AT}.secrets[0].valueFrom: an ARN of partition asw",
    ),
    "a parameter's region that does not exist": (
        reading("arn:aws:ssm:eu-wset-1:222222222222:parameter/a"),
        "eu-west-1",
        f"{AT}.secrets[0].valueFrom: there is no AWS region 'eu-wset-1'\n    did you mean 'eu-west-1'?",
    ),
    "a region that is not its partition's": (
        reading("arn:aws:ssm:cn-north-1:222222222222:parameter/a"),
        "eu-west-1",
        f"{AT}.secrets[0].valueFrom: region cn-north-1, of partition aws-cn",
    ),
    "a file of another partition": (
        on_ec2(container(environmentFiles=[{"type": "s3", "value": "arn:aws:s3:::bucket/a.env"}])),
        "cn-north-1",
        f"{AT}.environmentFiles[0].value: an ARN of partition aws",
    ),
}


@pytest.mark.parametrize(("request_", "region", "message"), UNREACHABLE.values(), ids=UNREACHABLE)
def test_what_aws_could_not_reach_from_the_targets_region_is_found_offline(tmp_path, request_, region, message):
    said = offline(tmp_path, request_, ("linux/amd64",), region, None)
    assert message in said and said.startswith("templates/api.json.j2:1: mb-dev/api: ")
    assert said.count("templates/api.json.j2") == 1


def test_a_service_template_is_looked_at_as_well(tmp_path):
    balancer = "arn:aws:elasticloadbalancing:us-east-1:222222222222:targetgroup/api/1"
    service = json.dumps({"desiredCount": 1, "loadBalancers": [{"targetGroupArn": balancer}]})
    said = offline(tmp_path, on_ec2(), ("linux/amd64",), "cn-north-1", service)
    assert said.startswith("templates/api.service.json.j2:1: mb-dev/api: loadBalancers[0].targetGroupArn: an ARN of")


REACHABLE = {
    "another region of the partition": (logging("eu-west-1"), "us-east-1"),
    "a secret of another region": (reading("arn:aws:ssm:eu-west-1:222222222222:parameter/a"), "us-east-1"),
    "the partition's own": (reading("arn:aws-cn:ssm:cn-north-1:222222222222:parameter/a"), "cn-northwest-1"),
    "a role, of no region": (on_ec2(taskRoleArn="arn:aws-cn:iam::222222222222:role/task"), "cn-north-1"),
    "a short name": (on_ec2(taskRoleArn="task"), "cn-north-1"),
    "what is the application's own": (
        on_ec2(container(environment=[{"name": "TOPIC", "value": "arn:aws:sns:us-east-1:222222222222:a"}])),
        "cn-north-1",
    ),
    "a command": (on_ec2(container(command=["arn:aws:sns:us-east-1:222222222222:a"])), "cn-north-1"),
    "no ARN at all": (reading("arn:db"), "cn-north-1"),
    "another driver's region": (
        on_ec2(container(logConfiguration={"logDriver": "awsfirelens", "options": {"region": "mars"}})),
        "us-east-1",
    ),
}


@pytest.mark.parametrize(("request_", "region"), REACHABLE.values(), ids=REACHABLE)
def test_what_may_be_meant_is_let_through(tmp_path, request_, region):
    assert offline(tmp_path, request_, ("linux/amd64",), region, None) == ""
