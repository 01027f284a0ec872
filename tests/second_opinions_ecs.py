"""Calls to ECS for tests/test_second_opinion.py; see tests/second_opinions.py."""

from collections.abc import Iterator
from typing import Any

from tests.second_opinions import DEFINITION, SERVICE, Differs, Row, lenient, same

ONE: dict[str, Any] = {"name": "api", "image": "x:1", "memory": 64}
REFUSED, INVALID = "400 ClientException", "400 InvalidParameterException"


def definitions() -> Iterator[Row]:
    told = (
        "taskDefinition.[taskDefinitionArn, family, revision, status, volumes, placementConstraints, "
        "containerDefinitions[].[name, image, cpu, memory, essential, portMappings, environment, mountPoints]]"
    )
    tags = [{"key": "k", "value": "v"}]
    yield same("RegisterTaskDefinition", told, family="f", containerDefinitions=[ONE], tags=tags)
    yield same("RegisterTaskDefinition", told, family="f", containerDefinitions=[ONE])
    yield same("RegisterTaskDefinition", told, family="ff", containerDefinitions=[ONE])
    yield same("DescribeTaskDefinition", told, taskDefinition="f")
    yield same("DescribeTaskDefinition", "[taskDefinition.revision, tags]", taskDefinition="f:1", include=["TAGS"])
    yield same("DescribeTaskDefinition", taskDefinition="no")
    yield same("DescribeTaskDefinition", taskDefinition="f:9")
    listed = "[taskDefinitionArns, nextToken]"
    yield same("ListTaskDefinitions", listed, familyPrefix="f")
    newest = Differs(
        f"{DEFINITION}/f:2",
        f"{DEFINITION}/f:1",
        "ECS sorts by `sort` (botocore's documentation of ListTaskDefinitions)",
    )
    yield newest("ListTaskDefinitions", "taskDefinitionArns[0]", familyPrefix="f", sort="DESC")
    yield same("ListTaskDefinitions", listed, familyPrefix="no")
    yield same("ListTaskDefinitions", listed)
    yield same("DeregisterTaskDefinition", "taskDefinition.[revision, status]", taskDefinition="f:1")
    yield same("DeregisterTaskDefinition", taskDefinition="f:9")
    yield same("DescribeTaskDefinition", "taskDefinition.status", taskDefinition="f:1")
    yield same("ListTaskDefinitions", listed, familyPrefix="f")
    yield same("ListTaskDefinitions", listed, familyPrefix="f", status="INACTIVE")
    yield same("RegisterTaskDefinition", family="e", containerDefinitions=[{"name": "a", "image": "x"}])
    role = f"arn:aws:iam::{DEFINITION.split(':')[4]}:role/r"
    yield Differs(role, "r", "ECS tells a role's short name as its ARN (botocore's documentation of taskRoleArn)")(
        "RegisterTaskDefinition", "taskDefinition.taskRoleArn", family="r", containerDefinitions=[ONE], taskRoleArn="r"
    )
    yield Differs([], None, "ECS lists systemControls, which moto leaves out")(
        "DescribeTaskDefinition", "taskDefinition.containerDefinitions[0].systemControls", taskDefinition="f"
    )
    yield from _refused_definitions()
    yield same("DeregisterTaskDefinition", "taskDefinition.status", taskDefinition="f:2")
    gone = lenient(REFUSED, "a bare family stands for its latest ACTIVE revision (botocore)")
    yield gone("DescribeTaskDefinition", taskDefinition="f")


def _refused_definitions() -> Iterator[Row]:
    empty = lenient(REFUSED, "ECS's own words, quoted by users; see tests/cloud/ecs_definitions.py")
    yield empty("RegisterTaskDefinition", family="e", containerDefinitions=[])
    essential = lenient(REFUSED, "botocore's documentation of `essential`")
    yield essential("RegisterTaskDefinition", family="e", containerDefinitions=[{**ONE, "essential": False}])
    role = lenient(REFUSED, "fabfuel/ecs-deploy#87")
    secret = {**ONE, "secrets": [{"name": "a", "valueFrom": "b"}]}
    yield role("RegisterTaskDefinition", family="e", containerDefinitions=[secret])
    tags = lenient(INVALID, "botocore's documentation of `tags`: at most 50")
    many = [{"key": f"k{n}", "value": "v"} for n in range(51)]
    yield tags("RegisterTaskDefinition", family="e", containerDefinitions=[ONE], tags=many)
    bounds = lenient(INVALID, "botocore's documentation of maxResults, and the enum SortOrder")
    yield bounds("ListTaskDefinitions", familyPrefix="f", maxResults=101)
    yield bounds("ListTaskDefinitions", familyPrefix="f", sort="UP")


def _cluster() -> Iterator[Row]:
    yield same("CreateCluster", "cluster.[clusterArn, clusterName, status]", clusterName="c")
    for image in ("x:1", "x:2"):
        yield same(
            "RegisterTaskDefinition",
            "taskDefinition.revision",
            family="f",
            containerDefinitions=[{**ONE, "image": image}],
        )


def services() -> Iterator[Row]:
    yield from _cluster()
    yield same("CreateCluster", "cluster.clusterArn", clusterName="c")
    yield same("DescribeClusters", "[clusters[].[clusterName, status], failures[].reason]", clusters=["c", "no"])
    told = "service.[serviceArn, serviceName, clusterArn, status, desiredCount]"
    made = {"cluster": "c", "serviceName": "s", "taskDefinition": "f:1", "desiredCount": 1}
    yield same("CreateService", told, **made, tags=[{"key": "k", "value": "v"}])
    yield same("CreateService", **{**made, "serviceName": "t", "taskDefinition": "no:1"})
    yield same("CreateService", **{**made, "serviceName": "t", "cluster": "no"})
    twice = lenient(INVALID, "ECS's words, as users quote them: Creation of service was not idempotent.")
    yield twice("CreateService", **made)
    described = (
        "[services[].[serviceName, status, taskDefinition, desiredCount, deployments[].status], failures[].reason]"
    )
    yield same("DescribeServices", described, cluster="c", services=["s", "no"])
    tags = Differs("k", None, "ECS tells a service's tags to who asks for TAGS (botocore's documentation of include)")
    yield tags("DescribeServices", "services[0].tags[0].key", cluster="c", services=["s"], include=["TAGS"])
    yield same("DescribeServices", cluster="no", services=["s"])
    yield same("ListServices", "serviceArns", cluster="c")
    yield same("ListServices", cluster="no")
    limits = lenient(INVALID, "botocore's documentation: 10 services a call, at least one; maxResults up to 100")
    yield limits("DescribeServices", cluster="c", services=[])
    yield limits("DescribeServices", cluster="c", services=[f"s{n}" for n in range(11)])
    yield limits("ListServices", cluster="c", maxResults=101)
    yield from _updates(told)
    yield from _tags()


def _updates(told: str) -> Iterator[Row]:
    yield same("UpdateService", told, cluster="c", service="s", desiredCount=3)
    yield same("UpdateService", cluster="c", service="no", taskDefinition="f:2")
    yield same("UpdateService", cluster="no", service="s")
    yield same("UpdateService", cluster="c", service="s", taskDefinition="f:9")
    arn = Differs(f"{DEFINITION}/f:2", "f:2", "ECS: the answer's taskDefinition is an ARN (botocore's Service)")
    yield arn("UpdateService", "service.taskDefinition", cluster="c", service="s", taskDefinition="f:2")
    inactive = lenient(REFUSED, "ECS's words, as users quote them: TaskDefinition is inactive")
    yield same("DeregisterTaskDefinition", "taskDefinition.status", taskDefinition="f:1")
    yield inactive("UpdateService", cluster="c", service="s", taskDefinition="f:1")
    yield inactive("CreateService", cluster="c", serviceName="u", taskDefinition="f:1")
    config = {"maximumPercent": 150}
    yield same(
        "UpdateService",
        "service.deploymentConfiguration.maximumPercent",
        cluster="c",
        service="s",
        deploymentConfiguration=config,
    )


def _tags() -> Iterator[Row]:
    new = [{"key": "a", "value": "b"}]
    yield same("TagResource", "@", resourceArn=f"{SERVICE}/s", tags=new)
    kept = Differs(["k", "a"], ["a"], "ECS keeps the tags of CreateService; moto loses them as it updates the service")
    yield kept("ListTagsForResource", "tags[].key", resourceArn=f"{SERVICE}/s")
    yield same("UntagResource", "@", resourceArn=f"{SERVICE}/s", tagKeys=["a", "k", "z"])
    yield same("ListTagsForResource", "tags", resourceArn=f"{SERVICE}/s")
    yield same("TagResource", resourceArn=f"{SERVICE}/no", tags=new)
    yield same("TagResource", "@", resourceArn=f"{DEFINITION}/f:2", tags=new)
    yield same("ListTagsForResource", "tags", resourceArn=f"{DEFINITION}/f:2")
    yield same("TagResource", resourceArn=f"{DEFINITION}/f:9", tags=new)
    most = lenient(INVALID, "botocore's documentation of TagResource's tags: at most 50 a resource")
    yield most("TagResource", resourceArn=f"{SERVICE}/s", tags=[{"key": f"k{n}", "value": ""} for n in range(51)])


def tasks() -> Iterator[Row]:
    yield from _cluster()
    yield same("ListTasks", "taskArns", cluster="c")
    yield same("ListTasks", cluster="no")
    yield same("DescribeTasks", cluster="no", tasks=["0" * 32])
    yield same("DescribeTasks", cluster="c", tasks=[])
    yield same("RunTask", cluster="no", taskDefinition="f:1")
    yield same("RunTask", cluster="c", taskDefinition="no")
    yield Differs("200", "Exception", "ECS: Fargate needs no instances; moto wants registered ones")(
        "RunTask", cluster="c", taskDefinition="f:1"
    )
    yield Differs(
        INVALID, "Exception", "ECS: an error of the API, which users quote: The referenced task was not found."
    )("StopTask", cluster="c", task="0" * 32)
    absent = lenient("400 ServiceNotFoundException", "botocore's errors of ListTasks")
    yield absent("ListTasks", cluster="c", serviceName="no")
    alone = lenient(INVALID, "ECS takes startedBy with no other filter (botocore's documentation of ListTasks)")
    yield alone("ListTasks", cluster="c", startedBy="x", family="f")
    yield lenient(INVALID, "ECS's words, as users quote them: taskId length should be one of [32,36]")(
        "DescribeTasks", cluster="c", tasks=["junk"]
    )
    yield Differs(["MISSING"], [], "ECS tells in failures what is not there (botocore's DescribeTasks)")(
        "DescribeTasks", "failures[].reason", cluster="c", tasks=["0" * 32]
    )
