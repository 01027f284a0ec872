"""Two definitions that mean the same are the same, and no others."""

import copy
import json
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, StructureShape
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from deploytasks.model import DesiredImage
from deploytasks.rules.observed import marks
from deploytasks.template import canonical as module
from deploytasks.template.canonical import NAMED_TAGS, canonical, same
from deploytasks.template.render import Renderer
from deploytasks.template.shape import read_only_keys, request_shape
from tests import clients
from tests.template_stage import DEFINITION, project, target, write

words = st.text("abcdef", min_size=1, max_size=3)


def some(fields, required=()):
    """An object with the required fields and any of the others."""
    return st.fixed_dictionaries(
        {key: fields[key] for key in required}, optional={key: fields[key] for key in fields if key not in required}
    )


def named(strategy, key="name"):
    return st.lists(strategy, max_size=3, unique_by=lambda each: each[key])


def variables(key):
    return named(st.fixed_dictionaries({"name": words, key: words | st.just("")}))


PORT = some(
    {
        "containerPort": st.integers(80, 83),
        "hostPort": st.sampled_from([0, 80, 8080]),
        "protocol": st.sampled_from(["tcp", "udp"]),
        "name": words,
    },
    ["containerPort"],
)
HEALTH = some(
    {
        "command": st.just(["CMD", "true"]),
        **{key: st.integers(3, 30) for key in ("interval", "timeout", "retries")},
        "startPeriod": st.integers(0, 30),
    },
    ["command"],
)
MOUNT = some({"sourceVolume": words, "containerPath": words, "readOnly": st.booleans()}, ["containerPath"])
CONTAINER = some(
    {
        "name": words,
        "image": words,
        "memory": st.integers(4, 512),
        "cpu": st.integers(0, 256),
        "essential": st.booleans(),
        "command": st.lists(words, max_size=3),
        "environment": variables("value"),
        "secrets": variables("valueFrom"),
        "portMappings": named(PORT, "containerPort"),
        "mountPoints": named(MOUNT, "containerPath"),
        "volumesFrom": named(
            some({"sourceContainer": words, "readOnly": st.booleans()}, ["sourceContainer"]), "sourceContainer"
        ),
        "dependsOn": named(
            st.fixed_dictionaries({"containerName": words, "condition": st.just("START")}), "containerName"
        ),
        "ulimits": named(
            st.fixed_dictionaries({"name": words, "softLimit": st.just(0), "hardLimit": st.integers(0, 9)})
        ),
        "dockerLabels": st.dictionaries(words, words, max_size=2),
        "healthCheck": HEALTH,
        "readonlyRootFilesystem": st.booleans(),
        "logConfiguration": some(
            {"logDriver": words, "options": st.dictionaries(words, words, max_size=2)}, ["logDriver"]
        ),
    },
    ["name", "image", "memory"],
)
EFS = some({"fileSystemId": words, "rootDirectory": st.sampled_from(["/", "/x"])}, ["fileSystemId"])
VOLUME = some(
    {
        "name": words,
        "host": some({"sourcePath": words}),
        "dockerVolumeConfiguration": some(
            {"scope": st.sampled_from(["task", "shared"]), "autoprovision": st.booleans()}
        ),
    },
    ["name"],
)
EFS_VOLUME = some({"name": words, "efsVolumeConfiguration": EFS}, ["name", "efsVolumeConfiguration"])
BASE = {
    "family": words,
    "containerDefinitions": named(CONTAINER).filter(len),
    "tags": named(st.fixed_dictionaries({"key": words, "value": words}), "key"),
    "taskRoleArn": words,
    "executionRoleArn": words,
    "placementConstraints": st.just([]) | st.just([{"type": "memberOf", "expression": "x"}]),
    "pidMode": st.just("task"),
}
REQUIRED = ["family", "containerDefinitions"]
ON_EC2 = some(
    {
        **BASE,
        "networkMode": st.sampled_from(["bridge", "host", "awsvpc", "none"]),
        "requiresCompatibilities": st.sampled_from([[], ["EC2"]]),
        "cpu": st.sampled_from(["100", "1 vCPU", ".5 vcpu"]),
        "memory": st.sampled_from(["512", "2 GB"]),
        "volumes": named(VOLUME),
    },
    REQUIRED,
)
ON_FARGATE = some(
    {
        **BASE,
        "networkMode": st.just("awsvpc"),
        "requiresCompatibilities": st.sampled_from([["FARGATE"], ["FARGATE", "EC2"], ["EC2", "FARGATE"]]),
        "cpu": st.sampled_from(["256", "1 vCPU"]),
        "memory": st.sampled_from(["512", "2 GB"]),
        "volumes": named(EFS_VOLUME),
    },
    [*REQUIRED, "networkMode", "requiresCompatibilities", "cpu", "memory"],
)
REQUESTS = ON_EC2 | ON_FARGATE


def as_ecs_tells_it(request, shuffle):
    """A model of the real ECS: what DescribeTaskDefinition answers once the request was registered."""
    told = copy.deepcopy(request)
    network = told.setdefault("networkMode", "bridge")
    for container in told["containerDefinitions"]:
        told_container(container, network, shuffle)
    for volume in told.setdefault("volumes", []):
        told_volume(volume)
    told["containerDefinitions"] = shuffle(told["containerDefinitions"])
    told.setdefault("placementConstraints", [])
    if not told.get("requiresCompatibilities"):
        told.pop("requiresCompatibilities", None)
    for key, spellings in {"cpu": {"1 vCPU": "1024", ".5 vcpu": "512"}, "memory": {"2 GB": "2048"}}.items():
        if key in told:
            told[key] = spellings.get(told[key], told[key])
    for key in ("taskRoleArn", "executionRoleArn"):
        told |= {key: f"arn:aws:iam::222222222222:role/{told[key]}"} if key in told else {}
    own = [{"key": "deploytasks:commit", "value": "c"}, {"key": "deploytasks:tags", "value": marks_of(told)}]
    told["tags"] = shuffle([*told.get("tags", []), *own, {"key": "robot:added", "value": "x"}])
    return told | {
        "taskDefinitionArn": "arn:aws:ecs:us-east-1:222222222222:task-definition/x:7",
        "revision": 7,
        "status": "ACTIVE",
        "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}],
        "compatibilities": ["EC2", "FARGATE"],
        "registeredAt": "2026-01-01",
        "registeredBy": "arn:aws:iam::222222222222:role/deploy",
    }


def marks_of(request):
    return marks(tag["key"] for tag in request.get("tags", []))


def told_container(container, network, shuffle):
    for key, silence in {"cpu": 0, "essential": True}.items():
        container.setdefault(key, silence)
    for key in ("portMappings", "environment", "mountPoints", "volumesFrom", "systemControls"):
        container[key] = shuffle(container.get(key, []))
    container["secrets"] = shuffle(container.get("secrets", []))
    for mapping in container["portMappings"]:
        mapping.setdefault("protocol", "tcp")
        if network in {"awsvpc", "host"} and not mapping.get("hostPort"):
            mapping["hostPort"] = mapping["containerPort"]
        mapping.setdefault("hostPort", 0)
    if "healthCheck" in container:
        container["healthCheck"] = {"interval": 30, "timeout": 5, "retries": 3, **container["healthCheck"]}
    if "logConfiguration" in container:
        container["logConfiguration"].setdefault("secretOptions", [])


def told_volume(volume):
    if "efsVolumeConfiguration" in volume:
        volume["efsVolumeConfiguration"].setdefault("rootDirectory", "/")
    elif "dockerVolumeConfiguration" in volume:
        volume["dockerVolumeConfiguration"].setdefault("scope", "task")
    else:
        volume.setdefault("host", {})


@given(REQUESTS, st.randoms(use_true_random=False))
def test_what_ecs_tells_of_a_request_means_the_request(request_, random):
    told = as_ecs_tells_it(request_, lambda listed: random.sample(listed, len(listed)))
    assert same(request_, told)


@pytest.mark.slow
@mock_aws
def test_what_moto_tells_of_a_request_means_the_request():
    client = clients.client("ecs")

    @given(REQUESTS)
    @settings(deadline=None, max_examples=60)
    def holds(request_):
        arn = client.register_task_definition(**copy.deepcopy(request_))["taskDefinition"]["taskDefinitionArn"]
        answer = client.describe_task_definition(taskDefinition=arn, include=["TAGS"])
        assert canonical({**answer["taskDefinition"], "tags": answer.get("tags", [])}) == canonical(request_)

    holds()


@given(REQUESTS)
def test_the_canonical_form_is_its_own(request_):
    assert canonical(canonical(request_)) == canonical(request_)


@given(REQUESTS)
def test_the_definition_itself_stays_as_it_was(request_):
    before = copy.deepcopy(request_)
    canonical(request_)
    assert request_ == before


@given(REQUESTS)
def test_the_canonical_form_is_plain_json(request_):
    assert json.loads(json.dumps(canonical(request_))) == canonical(request_)


@given(REQUESTS)
def test_what_is_registered_from_the_canonical_form_means_the_same(request_):
    told = as_ecs_tells_it(canonical(request_), list)
    assert same(request_, told)


def leaves(value, path=()):
    """Every plain value in the request, by its path."""
    match value:
        case dict():
            for key, each in value.items():
                yield from leaves(each, (*path, key))
        case list():
            for index, each in enumerate(value):
                yield from leaves(each, (*path, index))
        case _:
            yield path


def members(value, path=()):
    """Every member of a list in the request, by its path."""
    listed = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in listed:
        if isinstance(key, int):
            yield (*path, key)
        yield from members(each, (*path, key))


def owner_of(request_, path):
    for step in path[:-1]:
        request_ = request_[step]
    return request_


def changed(value):
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}x"


@pytest.mark.slow
@given(REQUESTS, st.data())
@settings(max_examples=300)
def test_any_value_that_is_changed_is_a_difference_to_what_ecs_tells(request_, data):
    told, path = as_ecs_tells_it(request_, list), data.draw(st.sampled_from(list(leaves(request_))))
    mutated = copy.deepcopy(request_)
    owner = owner_of(mutated, path)
    owner[path[-1]] = changed(owner[path[-1]])
    assert not same(mutated, told), path


@pytest.mark.slow
@given(REQUESTS, st.data())
@settings(max_examples=300)
def test_any_member_that_is_taken_out_of_a_list_is_a_difference_to_what_ecs_tells(request_, data):
    told, paths = as_ecs_tells_it(request_, list), list(members(request_))
    mutated, path = copy.deepcopy(request_), data.draw(st.sampled_from(paths))
    del owner_of(mutated, path)[path[-1]]
    assert not same(mutated, told), path


FULL: dict[str, Any] = {
    "family": "shop",
    "networkMode": "bridge",
    "cpu": "256",
    "volumes": [{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs", "rootDirectory": "/"}}],
    "tags": [{"key": "team", "value": "a"}],
    "containerDefinitions": [
        {
            "name": "api",
            "image": "x@sha256:1",
            "essential": True,
            "command": ["a", "b"],
            "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
            "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}],
            "healthCheck": {"command": ["CMD", "x"], "interval": 30},
            "dnsServers": ["10.0.0.1", "10.0.0.2"],
            "mountPoints": [{"sourceVolume": "data", "containerPath": "/d", "readOnly": False}],
            "linuxParameters": {"maxSwap": 10, "swappiness": 60},
            "dockerLabels": {"cpu": "0"},
        }
    ],
}

DIFFERENT = {
    "another image": ("containerDefinitions.0.image", "x@sha256:2"),
    "another order of the command": ("containerDefinitions.0.command", ["b", "a"]),
    "another order of name servers": ("containerDefinitions.0.dnsServers", ["10.0.0.2", "10.0.0.1"]),
    "another variable's value": ("containerDefinitions.0.environment.0.value", "3"),
    "an empty variable": ("containerDefinitions.0.environment.0.value", ""),
    "one variable less": ("containerDefinitions.0.environment", [{"name": "A", "value": "1"}]),
    "not essential": ("containerDefinitions.0.essential", False),
    "a fixed port of the host": ("containerDefinitions.0.portMappings.0.hostPort", 80),
    "another protocol": ("containerDefinitions.0.portMappings.0.protocol", "udp"),
    "another interval": ("containerDefinitions.0.healthCheck.interval", 31),
    "read-only": ("containerDefinitions.0.mountPoints.0.readOnly", True),
    "no swap": ("containerDefinitions.0.linuxParameters.maxSwap", 0),
    "a label": ("containerDefinitions.0.dockerLabels.cpu", ""),
    "another size": ("cpu", "512"),
    "another network": ("networkMode", "host"),
    "another directory": ("volumes.0.efsVolumeConfiguration.rootDirectory", "/x"),
    "a tag of one's own": ("tags.0.value", "b"),
}

SAME = {
    "variables in another order": (
        "containerDefinitions.0.environment",
        [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
    ),
    "a variable without a value, which ECS drops": (
        "containerDefinitions.0.environment",
        [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C"}],
    ),
    "a default said": ("containerDefinitions.0.cpu", 0),
    "false said": ("containerDefinitions.0.privileged", False),
    "nothing said": ("containerDefinitions.0.entryPoint", []),
    "null said": ("containerDefinitions.0.user", None),
    "an empty object": ("containerDefinitions.0.linuxParameters.capabilities", {"add": [], "drop": []}),
    "vCPU": ("cpu", ".25 vCPU"),
    "a tag of ours": ("tags", [{"key": "team", "value": "a"}, {"key": "deploytasks:by", "value": "me"}]),
    "a tag of AWS": ("tags", [{"key": "aws:cloudformation:stack-name", "value": "x"}, {"key": "team", "value": "a"}]),
}


def with_change(dotted, value):
    changed = copy.deepcopy(FULL)
    *path, last = [int(step) if step.isdigit() else step for step in dotted.split(".")]
    owner: Any = changed
    for step in path:
        owner = owner[step]
    owner[last] = value
    return changed


@pytest.mark.parametrize(("dotted", "value"), DIFFERENT.values(), ids=DIFFERENT)
def test_a_real_difference_stays_one(dotted, value):
    assert canonical(with_change(dotted, value)) != canonical(FULL)


@pytest.mark.parametrize(("dotted", "value"), SAME.values(), ids=SAME)
def test_another_way_to_say_it_is_no_difference(dotted, value):
    assert canonical(with_change(dotted, value)) == canonical(FULL)


@pytest.mark.parametrize("network", ["awsvpc", "host"])
def test_a_port_of_the_task_is_the_hosts_too_in_its_own_or_the_hosts_network(network):
    said, silent = with_change("networkMode", network), with_change("networkMode", network)
    said["containerDefinitions"][0]["portMappings"] = [{"containerPort": 80, "hostPort": 80}]
    silent["containerDefinitions"][0]["portMappings"] = [{"containerPort": 80}]
    assert canonical(said) == canonical(silent)


def test_the_canonical_form_says_only_what_matters(tmp_path):
    renderer = Renderer(project(write(tmp_path, DEFINITION)))
    definition = as_ecs_tells_it(renderer.definition(target(), DesiredImage("api", "shop/api", "c", None)), list)
    assert not read_only_keys() & set(canonical(definition))
    assert canonical(definition)["containerDefinitions"][0] == {
        "environment": [
            {"name": "LOG_LEVEL", "value": "info"},
            {"name": "PORT", "value": "8080"},
            {"name": "TENANT", "value": "mb"},
            {"name": "TIER", "value": "dev"},
        ],
        "image": "registry.example/shop/api:dev",
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-create-group": "true",
                "awslogs-group": "/ecs/shop-mb-dev-api",
                "awslogs-region": "eu-central-1",
                "awslogs-stream-prefix": "api",
            },
        },
        "name": "api",
        "portMappings": [{"containerPort": 8080}],
        "secrets": [{"name": "DATABASE_URL", "valueFrom": "arn:db"}],
    }


def test_every_key_that_the_tables_name_is_one_that_ecs_knows():
    known: dict[str, set[str]] = {}
    for operation in ("RegisterTaskDefinition", "CreateService"):
        for key, members in keys(request_shape(operation)):
            known.setdefault(key, set()).update(members)
    for owner, defaults in module._DEFAULTS.items():
        assert set(defaults) <= known[owner], owner
    assert {key: name for key, name in module.UNORDERED.items() if name and name not in known[key]} == {}


def keys(shape, key=""):
    """Every key that holds objects, or a list of anything, with the keys of those objects."""
    match shape:
        case StructureShape():
            yield key, set(shape.members)
            for name, member in shape.members.items():
                yield from keys(member, name)
        case ListShape():
            yield key, set()
            yield from keys(shape.member, key)
        case MapShape():
            yield key, set()


ARN = "arn:aws:iam::222222222222:role"
ROLES = {
    "a short name that ECS expanded": ("execution", f"{ARN}/execution", True),
    "a short name with its path": ("/team/execution", f"{ARN}/team/execution", True),
    "a path without its slash": ("team/execution", f"{ARN}/team/execution", True),
    "the name alone of a role with a path": ("execution", f"{ARN}/team/execution", True),
    "an ARN of what runs by its short name": (f"{ARN}/execution", "execution", True),
    "another role": ("execution", f"{ARN}/other-execution", False),
    "another path": ("a/execution", f"{ARN}/b/execution", False),
    "another account's role of that name": (f"{ARN}/execution", "arn:aws:iam::333333333333:role/execution", False),
    "another ARN": (f"{ARN}/execution", f"{ARN}/team/execution", False),
    "a role where there was none": ("execution", None, False),
    "none where there was a role": (None, f"{ARN}/execution", False),
}


@pytest.mark.parametrize("key", ["taskRoleArn", "executionRoleArn"])
@pytest.mark.parametrize(("asked", "live", "equal"), ROLES.values(), ids=ROLES)
def test_a_role_is_the_same_by_its_name_where_one_side_is_no_arn(key, asked, live, equal):
    assert same(FULL | ({key: asked} if asked else {}), FULL | ({key: live} if live else {})) is equal


def tagged(*pairs):
    return {**FULL, "tags": [{"key": key, "value": value} for key, value in pairs]}


MINE, ROBOT = ("team", "a"), ("cost-center", "7")
TAGS = {
    "what a robot added": ([MINE], [MINE, ROBOT, ("owner", "x")], True),
    "what a robot added to none of ours": ([], [ROBOT], True),
    "what a robot added, in another order": ([MINE, ("x", "1")], [ROBOT, ("x", "1"), MINE], True),
    "what a robot changed": ([MINE], [("team", "b"), ROBOT], False),
    "what a robot took away": ([MINE], [ROBOT], False),
    "a new one": ([MINE, ("x", "1")], [MINE, ROBOT], False),
    "one that the template names no longer": ([], [MINE, (NAMED_TAGS, marks(["team"]))], False),
    "one of two that it names no longer": ([MINE], [MINE, ROBOT, (NAMED_TAGS, marks(["team", "cost-center"]))], False),
    "a robot's beside a recorded one": ([MINE], [MINE, ROBOT, (NAMED_TAGS, marks(["team"]))], True),
    "one without a value": ([("team", "")], [("team", ""), ROBOT], True),
    "one that no record tells from a robot's": ([], [MINE], True),
}


@pytest.mark.parametrize(("asked", "live", "equal"), TAGS.values(), ids=TAGS)
def test_tags_that_others_added_are_no_difference_and_those_that_a_template_named_are(asked, live, equal):
    assert same(tagged(*asked), tagged(*live)) is equal


def test_a_tag_without_a_value_has_an_empty_one():
    assert same({**FULL, "tags": [{"key": "team"}]}, tagged(("team", "")))
    assert not same({**FULL, "tags": [{"key": "team"}]}, tagged(MINE))


def json_of(shape, depth=0):
    """Any JSON that the shape allows, in which everything may be missing that is not required."""
    match shape:
        case StructureShape():
            members = {key: json_of(member, depth + 1) for key, member in shape.members.items()}
            kept = {key: members.pop(key) for key in shape.required_members}
            return st.fixed_dictionaries(kept, optional=members if depth < 5 else {})
        case ListShape():
            return st.lists(json_of(shape.member, depth + 1), max_size=2)
        case MapShape():
            return st.dictionaries(st.text(max_size=2), json_of(shape.value, depth + 1), max_size=2)
        case _:
            return {
                "string": st.text(max_size=3) | st.sampled_from(["1 vCPU", "9" * 5000, "9" * 400 + " GB", "arn:"]),
                "boolean": st.booleans(),
            }.get(shape.type_name, st.integers())


@pytest.mark.slow
@given(st.data())
@settings(max_examples=60)
def test_whatever_the_shape_allows_has_a_canonical_form(data):
    shape = request_shape("RegisterTaskDefinition")
    request_, live = data.draw(json_of(shape)), data.draw(json_of(shape))
    assert canonical(request_) == canonical(copy.deepcopy(request_))
    same(request_, live)


@pytest.mark.parametrize("tags", [[{}], [{"value": "x"}], [{"key": "a"}], [None], None], ids=str)
def test_a_tag_without_its_key_ends_nothing(tags):
    assert same({**FULL, "tags": tags}, FULL) in (True, False)


def test_an_empty_string_in_place_of_a_member_is_not_set():
    request = {"family": "f", "containerDefinitions": [{"name": "api", "image": "i"}]}
    assert canonical(request | {"taskRoleArn": "", "pidMode": "", "ipcMode": ""}) == canonical(request)
