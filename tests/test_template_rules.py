"""What ECS would refuse at registration is found offline, each with what to do; what it takes is let through."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from deploytasks.aws import ecs
from deploytasks.aws import tags as aws_tags
from deploytasks.template import rules
from deploytasks.template.canonical import same
from deploytasks.template.check import check_all
from deploytasks.template.rules import MOST, OURS
from deploytasks.template.shape import request_shape
from tests import clients
from tests.cloud import ecs_definitions
from tests.cloud.accounts import AwsError, Cloud
from tests.template_stage import ACCESS, project, target, write
from tests.test_canonical import json_of

ECR = "012345678922.dkr.ecr.us-east-1.amazonaws.com/shop/api:1"
IMAGE = "{{ image }}"


def container(**members: Any) -> dict[str, Any]:
    return {"name": "api", "image": IMAGE, "memory": 128, **members}


def other(name: str = "other", **members: Any) -> dict[str, Any]:
    return {"name": name, "image": "public.ecr.aws/x/y:1", "memory": 64, "essential": False, **members}


def on_ec2(*containers: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"containerDefinitions": list(containers) or [container()], **members}


def on_fargate(*containers: dict[str, Any], **members: Any) -> dict[str, Any]:
    size = {"cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"]}
    return {**size, **on_ec2(*containers), **members}


def tags(count: int) -> list[dict[str, str]]:
    return [{"key": f"k{number}", "value": "x"} for number in range(count)]


UNNAMED: dict[str, Any] = {
    "logDriver": "awslogs",
    "options": {"awslogs-group": "a", "awslogs-region": "us-east-1"},
}
LOG = {"logDriver": "awslogs", "options": {**UNNAMED["options"], "awslogs-stream-prefix": "c"}}
SECRET = {"secrets": [{"name": "A", "valueFrom": "b"}]}
AT = "containerDefinitions[0]"
ROLE = "the key 'executionRoleArn' is missing\n    name the role that pulls images and reads secrets: "

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an ECR image on Fargate": (on_fargate(container(), other(image=ECR)), f"{ROLE}'other' has an image in ECR"),
    "secrets on Fargate": (on_fargate(container(**SECRET)), f"{ROLE}'api' has secrets"),
    "secrets on EC2": (on_ec2(container(**SECRET)), f"{ROLE}'api' has secrets"),
    "awslogs on Fargate": (on_fargate(container(logConfiguration=LOG)), f"{ROLE}'api' logs by awslogs"),
    "credentials on Fargate": (
        on_fargate(container(repositoryCredentials={"credentialsParameter": "a"})),
        f"{ROLE}'api' has credentials to be read",
    ),
    "too many bytes": (on_ec2(container(command=["x" * 65_536])), "the definition has 65,"),
    "too many bytes of umlauts": (on_ec2(container(command=["ü" * 33_000])), "the definition has 66,"),
    "51 tags": (on_ec2(tags=tags(51)), "tags: 51 tags; AWS allows 50"),
    "45 tags and our own": (on_ec2(tags=tags(45)), "15 are kept for deploytasks' own\n    leave out 10"),
    "one tag too many": (on_ec2(tags=tags(MOST - OURS + 1)), "leave out 1"),
    "a tag twice": (
        on_ec2(tags=[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]),
        "the tag 'a' appears twice",
    ),
    "a tag without a key": (on_ec2(tags=[{"value": "x"}]), "tags[0]: the key 'key' is missing"),
    "a tag with an empty key": (on_ec2(tags=[{"key": ""}]), "tags[0].key: 0 characters where at least 1 is due"),
    "a long value": (
        on_ec2(tags=[{"key": "a", "value": "x" * 300}]),
        "tags[0].value: 300 characters where at most 256 is due",
    ),
    "a long key": (on_ec2(tags=[{"key": "x" * 129}]), "tags[0].key: 129 characters where at most 128 is due"),
    "a sign in a value": (on_ec2(tags=[{"key": "a", "value": "b#1"}]), "tags[0].value: AWS allows no '#' in a tag"),
    "a sign in a key": (on_ec2(tags=[{"key": "a,b", "value": ""}]), "tags[0].key: AWS allows no ',' in a tag"),
    "a tag of AWS": (on_ec2(tags=[{"key": "AWS:x", "value": ""}]), "'aws:' begins tags that only AWS writes"),
    "a tag of ours": (on_ec2(tags=[{"key": "deploytasks:by", "value": ""}]), "'deploytasks:' begins tags that only"),
    "nothing essential": (on_ec2(container(essential=False), other()), "no container is essential"),
    "dependsOn of nobody": (
        on_ec2(container(dependsOn=[{"containerName": "x", "condition": "START"}])),
        f"{AT}.dependsOn[0]: there is no container 'x'\n    containers here: api",
    ),
    "dependsOn itself": (
        on_ec2(container(dependsOn=[{"containerName": "api", "condition": "START"}])),
        "dependsOn: api wait for each other",
    ),
    "a circle": (
        on_ec2(
            container(dependsOn=[{"containerName": "a", "condition": "START"}]),
            other("a", dependsOn=[{"containerName": "b", "condition": "START"}]),
            other("b", dependsOn=[{"containerName": "a", "condition": "START"}]),
        ),
        "dependsOn: api, a, b wait for each other",
    ),
    "HEALTHY without a check": (
        on_ec2(container(dependsOn=[{"containerName": "other", "condition": "HEALTHY"}]), other()),
        f"{AT}.dependsOn[0]: 'other' has no healthCheck to be HEALTHY by",
    ),
    "SUCCESS of an essential one": (
        on_ec2(container(dependsOn=[{"containerName": "b", "condition": "SUCCESS"}]), other("b", essential=True)),
        f"{AT}.dependsOn[0]: 'b' is essential",
    ),
    "a mount without its volume": (
        on_ec2(container(mountPoints=[{"sourceVolume": "data", "containerPath": "/d"}])),
        f"{AT}.mountPoints[0]: there is no volume 'data'",
    ),
    "a mount of another volume": (
        on_ec2(container(mountPoints=[{"sourceVolume": "dat", "containerPath": "/d"}]), volumes=[{"name": "data"}]),
        'add it to "volumes"; volumes here: data',
    ),
    "volumes of nobody": (
        on_ec2(container(volumesFrom=[{"sourceContainer": "x"}])),
        f"{AT}.volumesFrom[0]: there is no container 'x'",
    ),
    "two volumes of one name": (
        on_ec2(volumes=[{"name": "a"}, {"name": "a"}]),
        "volumes[1].name: two volumes are called 'a'",
    ),
    "another port of the host in awsvpc": (
        on_fargate(container(portMappings=[{"containerPort": 80, "hostPort": 8080}])),
        f"{AT}.portMappings[0].hostPort: 8080, but in network mode awsvpc it is the container's, 80",
    ),
    "another port of the host in host": (
        on_ec2(container(portMappings=[{"containerPort": 80, "hostPort": 81}]), networkMode="host"),
        "81, but in network mode host it is the container's, 80",
    ),
    "port 0 of the host in awsvpc": (
        on_fargate(container(portMappings=[{"containerPort": 80, "hostPort": 0}])),
        "0, but in network mode awsvpc it is the container's, 80",
    ),
    "a port beside a range": (
        on_ec2(container(portMappings=[{"containerPort": 80, "containerPortRange": "80-90"}])),
        f"{AT}.portMappings[0]: a range of ports and a single one",
    ),
    "two ports of one name": (
        on_ec2(
            container(portMappings=[{"containerPort": 80, "name": "http"}]),
            other(portMappings=[{"containerPort": 81, "name": "http"}]),
        ),
        "two ports are called 'http'",
    ),
    "11 containers": (on_ec2(container(), *(other(f"o{n}") for n in range(10))), "11 containers, and ECS allows 10"),
    "a port in none": (
        on_ec2(container(portMappings=[{"containerPort": 80}]), networkMode="none"),
        f"{AT}.portMappings: network mode none does not support ports",
    ),
    "more memory than the task": (on_fargate(container(memory=1024)), f"{AT}.memory: 1024, and the task has 512"),
    "more memory than the task on EC2": (on_ec2(container(memory=300), memory="256"), "300, and the task has 256"),
    "more memory than the task, together": (
        on_fargate(container(memory=400), other(memory=200)),
        "its containers reserve memory 600, and the task has 512",
    ),
    "more cpu than the task": (on_fargate(container(cpu=512)), "its containers reserve cpu 512, and the task has 256"),
    "no memory at all": (on_ec2({"name": "api", "image": IMAGE}), f"{AT}: neither it nor the task has memory"),
    "no memory of a sidecar": (
        on_ec2(container(), {"name": "b", "image": "x"}),
        "containerDefinitions[1]: neither it nor the task has memory",
    ),
    "memory 0": (on_ec2(container(memory=0)), f"{AT}: neither it nor the task has memory"),
    "a reservation above the limit": (
        on_ec2(container(memoryReservation=129)),
        f"{AT}.memoryReservation: 129 is more than its memory, 128",
    ),
    "a check that is not a command": (
        on_ec2(container(healthCheck={"command": ["curl", "-f"]})),
        f"{AT}.healthCheck.command: it begins with 'curl'",
    ),
    "a check of nothing": (
        on_ec2(container(healthCheck={"command": []})),
        f"{AT}.healthCheck.command: it begins with ''",
    ),
    "a slow check": (
        on_ec2(container(healthCheck={"command": ["CMD", "x"], "interval": 301})),
        f"{AT}.healthCheck.interval: 301; ECS allows 5 to 300",
    ),
    "a name with a space": (on_ec2(container(name="my app")), f"{AT}.name: 'my app' is not a valid container name"),
    "a long name": (on_ec2(container(name="x" * 256)), "is not a valid container name"),
    "a name with a dot": (on_ec2(container(name="a.b")), f"{AT}.name: 'a.b' is not a valid container name"),
    "a volume's name with a space": (on_ec2(volumes=[{"name": "my data"}]), "'my data' is not a valid volume name"),
    "links in awsvpc": (
        on_ec2(container(links=["other"]), other(), networkMode="awsvpc"),
        f"{AT}.links: network mode awsvpc",
    ),
    "a link to nobody": (on_ec2(container(links=["x:y"])), f"{AT}.links[0]: there is no container 'x'"),
    "a host's name in awsvpc": (
        on_fargate(container(hostname="x")),
        f"{AT}.hostname: network mode awsvpc does not support hostname",
    ),
    "privileged on Fargate": (
        on_fargate(container(privileged=True)),
        ".privileged: Fargate does not support privileged",
    ),
    "a capability on Fargate": (
        on_fargate(container(linuxParameters={"capabilities": {"add": ["NET_ADMIN"]}})),
        "Fargate can add only the capability SYS_PTRACE, not NET_ADMIN",
    ),
    "a host's folder on Fargate": (
        on_fargate(volumes=[{"name": "a", "host": {"sourcePath": "/x"}}]),
        "volumes[0].host.sourcePath: Fargate has no host directories to mount",
    ),
    "another log driver on Fargate": (
        on_fargate(container(logConfiguration={"logDriver": "json-file"})),
        "Fargate does not support log driver json-file\n    choose awslogs, splunk, awsfirelens",
    ),
    "awslogs without a prefix on Fargate": (
        on_fargate(
            container(logConfiguration=UNNAMED),
            executionRoleArn="r",
        ),
        f"{AT}.logConfiguration.options: the key 'awslogs-stream-prefix' is missing",
    ),
    "awslogs without a group": (
        on_ec2(container(logConfiguration={"logDriver": "awslogs", "options": {"awslogs-region": "us-east-1"}})),
        f"{AT}.logConfiguration.options: the key 'awslogs-group' is missing",
    ),
    "a small disk": (
        on_fargate(ephemeralStorage={"sizeInGiB": 20}),
        "ephemeralStorage.sizeInGiB: 20; Fargate has 21 to 200",
    ),
    "a slow stop": (on_fargate(container(stopTimeout=121)), f"{AT}.stopTimeout: 121; Fargate allows 2 to 120 seconds"),
}

TAKEN = {
    "public images on Fargate without a role": on_fargate(container(), other(image="public.ecr.aws/x/y:1")),
    "an ECR image on EC2 without a role": on_ec2(container(), other(image=ECR)),
    "a short name of a role": on_fargate(container(**SECRET, logConfiguration=LOG), executionRoleArn="execution"),
    "as many tags as there is room for": on_ec2(tags=tags(MOST - OURS)),
    "tags in any script": on_ec2(
        tags=[{"key": "équipe/チーム", "value": "a b_c.d:e/f=g+h-i@j"}, {"key": "empty", "value": ""}]
    ),
    "a definition of just so many bytes": on_ec2(container(command=["x" * 65_000])),
    "the container's own port in awsvpc": on_fargate(container(portMappings=[{"containerPort": 80, "hostPort": 80}])),
    "another port of the host in bridge": on_ec2(container(portMappings=[{"containerPort": 80, "hostPort": 8080}])),
    "10 containers": on_ec2(container(), *(other(f"o{n}") for n in range(9))),
    "two ports without names": on_ec2(container(portMappings=[{"containerPort": 80}, {"containerPort": 81}])),
    "a range of ports": on_fargate(container(portMappings=[{"containerPortRange": "80-90"}])),
    "memory of the task alone": on_ec2({"name": "api", "image": IMAGE}, memory="1 GB"),
    "a reservation alone": on_ec2({"name": "api", "image": IMAGE, "memoryReservation": 64}),
    "all memory of the task": on_fargate(container(memory=448), other(memory=64)),
    "limits above, reservations within": on_fargate(
        container(memory=512, memoryReservation=256), other(memory=512, memoryReservation=256)
    ),
    "a check by a shell": on_ec2(container(healthCheck={"command": ["CMD-SHELL", "curl -f x"], "startPeriod": 0})),
    "waiting for a healthy one": on_ec2(
        container(dependsOn=[{"containerName": "other", "condition": "HEALTHY"}]),
        other(healthCheck={"command": ["CMD", "x"]}),
    ),
    "waiting for one that ends": on_ec2(
        container(dependsOn=[{"containerName": "other", "condition": "SUCCESS"}]), other()
    ),
    "a diamond": on_ec2(
        container(dependsOn=[{"containerName": each, "condition": "START"} for each in "ab"]),
        *(other(each, dependsOn=[{"containerName": "c", "condition": "START"}]) for each in "ab"),
        other("c"),
    ),
    "a bind mount of the task's": on_fargate(
        container(mountPoints=[{"sourceVolume": "a", "containerPath": "/a"}]), volumes=[{"name": "a", "host": {}}]
    ),
    "what says nothing on Fargate": on_fargate(
        container(privileged=False, links=[], dnsServers=[]), placementConstraints=[]
    ),
    "a link in bridge": on_ec2(container(links=["other:db"]), other()),
}


def complaints(root: Any, request: dict[str, Any], service: str | None = None) -> str:
    return "\n".join(
        map(str, check_all(project(write(root, json.dumps(request, ensure_ascii=False), service), target())))
    )


@pytest.mark.parametrize(("request_", "message"), REFUSED.values(), ids=REFUSED)
def test_what_ecs_refuses_is_found_offline(tmp_path, request_, message):
    said = complaints(tmp_path, request_)
    assert message in said and said.startswith("templates/api.json.j2:")
    assert said.count("templates/api.json.j2") == 1


@pytest.mark.parametrize("request_", TAKEN.values(), ids=TAKEN)
def test_what_ecs_takes_is_let_through(tmp_path, request_):
    assert complaints(tmp_path, request_) == ""


def as_asked(request: dict[str, Any]) -> dict[str, Any]:
    return {"family": "shop-mb-dev-api", **json.loads(json.dumps(request).replace(IMAGE, ECR))}


@pytest.mark.parametrize("request_", TAKEN.values(), ids=TAKEN)
def test_what_is_let_through_is_registered_and_told_again_as_the_same(request_):
    asked = as_asked(request_)
    asked |= {"executionRoleArn": "execution"} if rules.is_fargate(asked) else {}
    told = ecs_definitions.register_task_definition(Cloud(lambda: 0.0).account(ACCESS.account), asked)
    assert same(asked, {**told["taskDefinition"], "tags": told["tags"]})


@mock_aws
def test_moto_registers_what_is_let_through_and_tells_the_same():
    client = clients.client("ecs")
    for name, request_ in TAKEN.items():
        asked = as_asked(request_)
        arn = client.register_task_definition(**json.loads(json.dumps(asked)))["taskDefinition"]["taskDefinitionArn"]
        told = client.describe_task_definition(taskDefinition=arn, include=["TAGS"])
        assert same(asked, {**told["taskDefinition"], "tags": told.get("tags", [])}), name


KNOWN = [
    name for name in REFUSED if name.startswith(("an ECR", "secrets", "awslogs on", "51", "a tag twice", "no memory"))
]
KNOWN += ["too many bytes", "nothing essential", "a mount without its volume", "another port of the host in awsvpc"]


@pytest.mark.parametrize("name", KNOWN)
def test_the_simulated_ecs_refuses_it_by_rules_of_its_own(name):
    with pytest.raises(AwsError):
        ecs_definitions.register_task_definition(Cloud(lambda: 0.0).account(ACCESS.account), as_asked(REFUSED[name][0]))


@pytest.mark.slow
@given(st.data())
@settings(max_examples=100)
def test_the_rules_end_in_nothing_but_problems_whatever_the_shape_allows(data):
    request_ = {"family": target().family, **data.draw(json_of(request_shape("RegisterTaskDefinition")))}
    list(rules.definition_rules(request_, target(), ECR))
    for number, each in enumerate(request_["containerDefinitions"]):  # without these, little else is looked at
        each |= {"name": f"c{number}", "image": ECR}
    list(rules.definition_rules(request_, target(), ECR))
    service = {"serviceName": "api", "cluster": "c", **data.draw(json_of(request_shape("CreateService")))}
    list(rules.service_rules(service, target()))


def test_all_our_own_tags_find_room():
    own = {*aws_tags.KEYS, "steps", "ended", "after", ecs.UNDONE}
    assert len(own) <= OURS


def test_our_own_image_counts_as_one_of_ecr(tmp_path):
    found = rules._needs_role(on_fargate(container(image=ECR.replace(":1", "@sha256:1"))))
    assert list(found) == ["'api' has an image in ECR"]


@pytest.mark.parametrize("controller", ["CODE_DEPLOY", "EXTERNAL"])
def test_a_service_that_another_controller_deploys_is_refused(tmp_path, controller):
    said = complaints(tmp_path, on_ec2(), json.dumps({"deploymentController": {"type": controller}}))
    assert f"deploymentController.type: services deployed by {controller} are not rolled out here" in said
    assert complaints(tmp_path, on_ec2(), json.dumps({"deploymentController": {"type": "ECS"}})) == ""


def test_the_tags_of_a_service_template_are_looked_at_too(tmp_path):
    said = complaints(tmp_path, on_ec2(), json.dumps({"tags": [{"value": "x"}]}))
    assert said.startswith("templates/api.service.json.j2:1: mb-dev/api: tags[0]: the key 'key' is missing")
