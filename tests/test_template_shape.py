"""The shape check agrees with botocore's own, and is stricter where botocore lets nonsense through."""

import copy
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploytasks.template.rules_fargate import FARGATE, cpu_units, fargate_memory, memory_mib
from deploytasks.template.shape import dotted, model, problems, read_only_keys, request_shape

DEFINITION = request_shape("RegisterTaskDefinition")
SERVICE = request_shape("CreateService")
KNOWS_UNIONS = "sharingStrategy" in model().shape_for("ResourceRequirement").members
GPU = (
    {"type": "GPU", "sharingStrategy": {"nvidiaMps": {"memory": 1}}} if KNOWS_UNIONS else {"type": "GPU", "value": "1"}
)

FITTING: dict[str, Any] = {
    "family": "shop",
    "containerDefinitions": [
        {
            "name": "api",
            "image": "x",
            "portMappings": [{"containerPort": 80, "protocol": "tcp"}],
            "dockerLabels": {"a": "b"},
            "linuxParameters": {"capabilities": {"add": ["SYS_PTRACE"]}},
            "resourceRequirements": [GPU],
        }
    ],
    "tags": [{"key": "a", "value": "b"}],
}

numbers = st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False)
scalars = st.none() | numbers | st.sampled_from(["x", "tcp", ""])
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("name"), inner))


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@st.composite
def mutilated(draw):
    """The fitting request with something else in one place, or one key more or less."""
    request = copy.deepcopy(FITTING)
    path = draw(st.sampled_from([path for path in places(FITTING) if path]))
    owner: Any = request
    for step in path[:-1]:
        owner = owner[step]
    match draw(st.sampled_from(["replace", "drop", "add"])):
        case "drop":
            del owner[path[-1]]
        case "add" if isinstance(owner, dict):
            owner[draw(st.sampled_from(["nmae", "user", "cpu", "value"]))] = draw(values)
        case _:
            owner[path[-1]] = draw(values)
    return request


def test_what_fits_has_no_problem():
    assert list(problems(FITTING, DEFINITION)) == []


@given(mutilated())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_botocore_refuses_is_refused(request_):
    if ParamValidator().validate(request_, DEFINITION).has_errors():
        assert list(problems(request_, DEFINITION))


@given(mutilated())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_botocore_lets_through_is_refused_only_for_enums_and_booleans(request_):
    if not ParamValidator().validate(request_, DEFINITION).has_errors():
        reasons = [problem.what for problem in problems(request_, DEFINITION)]
        known = ("is none of its values", "at most", "does not match", "only ECS writes")
        assert all(any(map(reason.__contains__, known)) or reason.startswith(("true", "false")) for reason in reasons)


def strategy(**members):
    return {"serviceName": "a", "capacityProviderStrategy": [{"capacityProvider": "x", **members}]}


@pytest.mark.parametrize(
    ("request_", "path", "what"),
    [
        ({}, "", "the key 'serviceName' is missing"),
        ({"serviceName": "a", "launchType": "FARGATTE"}, "launchType", "'FARGATTE' is none of its values"),
        ({"serviceName": "a", "desiredCount": True}, "desiredCount", "true where a whole number is due"),
        ({"serviceName": "a", "loadBalancers": {}}, "loadBalancers", "an object where a list is due"),
        ({"serviceName": [], "loadBalancers": [[]]}, "loadBalancers[0]", "a list where an object is due"),
        (strategy(base=-1), "capacityProviderStrategy[0].base", "-1 where at least 0 is due"),
        (strategy(weight=1001), "capacityProviderStrategy[0].weight", "1001 where at most 1000 is due"),
    ],
)
def test_a_problem_names_its_place_and_what_is_due_there(request_, path, what):
    assert (path, what) in [(dotted(problem.path), problem.what) for problem in problems(request_, SERVICE)]


@pytest.mark.skipif(not KNOWS_UNIONS, reason="the oldest botocore's model of ECS has no union")
def test_a_union_takes_exactly_one_of_its_keys():
    request = copy.deepcopy(FITTING)
    request["containerDefinitions"][0]["resourceRequirements"][0]["sharingStrategy"] = {}
    assert [problem.what for problem in problems(request, DEFINITION)] == ["exactly one key of nvidiaMps is due"]


def test_read_only_keys_are_those_that_a_copied_definition_must_lose():
    assert read_only_keys() == {
        *("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities"),
        *("registeredAt", "registeredBy", "deregisteredAt", "deleteRequestedAt"),
    }


@pytest.mark.parametrize(
    ("spelled", "units"), [("1024", 1024), ("1 vCPU", 1024), (".5vcpu", 512), ("0.25 vCPU", 256), ("1 GB", None)]
)
def test_cpu_is_understood_as_ecs_spells_it(spelled, units):
    assert cpu_units(spelled) == units


@pytest.mark.parametrize(
    ("spelled", "mib"), [("2048", 2048), ("2 GB", 2048), ("0.5GB", 512), ("1gb", 1024), ("-1", None), ("²", None)]
)
def test_memory_is_understood_as_ecs_spells_it(spelled, mib):
    assert memory_mib(spelled) == mib


def test_fargates_choices_are_told_in_words():
    assert [fargate_memory(cpu) for cpu in FARGATE] == [
        "512, 1024 or 2048",
        "1024 to 4096 in steps of 1024",
        "2048 to 8192 in steps of 1024",
        "4096 to 16384 in steps of 1024",
        "8192 to 30720 in steps of 1024",
        "16384 to 61440 in steps of 4096",
        "32768 to 122880 in steps of 8192",
    ]
