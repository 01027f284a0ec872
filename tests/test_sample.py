"""The project in envs/, templates/ and examples/: one image, from which two services and a job run."""

import shutil

import pytest
from msgspec.structs import replace

from deploytasks.config.load import load
from deploytasks.template.check import check_all, rendered
from deploytasks.template.render import Renderer
from tests.template_stage import ROOT

PROJECT = load(ROOT)
HOST = "012345678922.dkr.ecr.us-east-1.amazonaws.com"


def target(name, environment="mb-dev"):
    (found,) = (each for each in PROJECT.targets if str(each) == f"{environment}/{name}")
    return found


def definition(there):
    renderer = Renderer(PROJECT)
    return renderer.definition(there, renderer.tried(there))


def service(there):
    renderer = Renderer(PROJECT)
    return renderer.service(there, renderer.tried(there))


def test_every_environment_runs_one_image_in_its_own_account():
    assert check_all(PROJECT) == ()
    assert {image for each in PROJECT.targets for image in each.images.items()} == {("app", f"{HOST}/shop/app")}
    assert [str(each) for each in PROJECT.targets if each.environment.tier == "dev"] == [
        *("dev/web", "dev/worker", "dev/nightly", "mb-dev/web", "mb-dev/worker", "mb-dev/nightly")
    ]
    for each in PROJECT.targets:
        account = {"main": "111111111111", "mb": "222222222222"}[each.environment.tenant]
        assert (each.access.account, each.access.role) == (account, f"arn:aws:iam::{account}:role/deploy")
        assert each.secrets == {"DATABASE_URL": f"arn:aws:secretsmanager:us-east-1:{account}:secret:shop/db"}


def test_web_is_a_fargate_task_that_logs_to_cloudwatch():
    shown = definition(target("web"))
    assert shown["requiresCompatibilities"] == ["FARGATE"]
    assert (shown["family"], shown["networkMode"], shown["cpu"], shown["memory"]) == (
        *("shop-mb-dev-web", "awsvpc", "256", "512"),
    )
    (container,) = shown["containerDefinitions"]
    assert (container["name"], container["image"]) == ("web", f"{HOST}/shop/app:dev")
    assert container["portMappings"] == [{"containerPort": 8080}]
    given = {each["name"]: each["value"] for each in container["environment"]}
    assert given == {
        **{"LOG_LEVEL": "debug", "FEATURE_BULK_ORDERS": "on"},
        **{"PORT": "8080", "TENANT": "mb", "TIER": "dev"},
    }
    assert [each["name"] for each in container["secrets"]] == ["DATABASE_URL"]
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/ecs/shop-mb-dev-web"


@pytest.mark.parametrize("name", ["worker", "nightly"])
def test_worker_and_nightly_differ_from_web_in_their_command_and_have_no_port(name):
    web, worker = definition(target("web")), definition(target(name))
    (one,), (other,) = web.pop("containerDefinitions"), worker.pop("containerDefinitions")
    assert {key for key in web if web[key] != worker[key]} == {"family"}
    assert {key for key in {*one, *other} if one.get(key) != other.get(key)} == {
        *("name", "command", "portMappings", "environment", "logConfiguration")
    }
    assert (one["command"][-1], other["command"][-1]) == ("web", name)
    assert [each for each in one["environment"] if each not in other["environment"]] == [
        {"name": "PORT", "value": "8080"}
    ]


def schedule(there):
    return rendered(PROJECT, [there])["nightly.schedule"]


@pytest.mark.parametrize(("environment", "zone"), [("dev", "UTC"), ("mb-prod", "Europe/Berlin")])
def test_nightly_starts_at_three_in_the_tenants_own_time_zone(environment, zone):
    there = target("nightly", environment)
    made, number = schedule(there), there.access.account[0]
    assert (made["ScheduleExpression"], made["ScheduleExpressionTimezone"]) == ("cron(0 3 * * ? *)", zone)
    assert made["Target"]["RoleArn"] == f"arn:aws:iam::{there.access.account}:role/scheduler"
    assert made["Target"]["EcsParameters"]["LaunchType"] == "FARGATE"
    assert made["Target"]["EcsParameters"]["NetworkConfiguration"]["awsvpcConfiguration"] == {
        "Subnets": [f"subnet-{number}a", f"subnet-{number}b"],
        "SecurityGroups": [f"sg-{number}"],
        "AssignPublicIp": "DISABLED",
    }


def test_nightly_too_runs_on_ec2_in_the_hosts_network_where_vars_say_so():
    there = replace(target("nightly"), vars={"launch_type": "EC2", "network_mode": "host"})
    assert definition(there)["networkMode"] == "host"
    ecs = schedule(there)["Target"]["EcsParameters"]
    assert (ecs["LaunchType"], "NetworkConfiguration" in ecs) == ("EC2", False)


@pytest.mark.parametrize("name", ["web", "worker"])
def test_the_templates_run_on_ec2_in_the_hosts_network_where_vars_say_so(name):
    there = replace(target(name), vars={"port": 9000, "launch_type": "EC2", "network_mode": "host"})
    shown, made = definition(there), service(there)
    assert (shown["requiresCompatibilities"], shown["networkMode"]) == (["EC2"], "host")
    assert made is not None
    assert made["launchType"] == "EC2"
    assert "networkConfiguration" not in made


@pytest.mark.parametrize(("name", "least", "most"), [("web", 100, 200), ("worker", 0, 100)])
def test_the_service_templates_roll_back_by_themselves(name, least, most):
    made = service(target(name))
    assert made is not None
    assert (made["serviceName"], made["cluster"], made["desiredCount"]) == (name, "mb-dev", 1)
    assert made["deploymentConfiguration"] == {
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "minimumHealthyPercent": least,
        "maximumPercent": most,
    }
    assert made["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-2a", "subnet-2b"]


def test_a_mistake_in_a_shared_file_is_told_once_for_all_that_include_it(tmp_path):
    for folder in ("envs", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shared = tmp_path / "templates/shared/task.j2"
    shared.write_text(shared.read_text().replace("{{ cpu }}", "{{ cpuu }}"))
    (complaint,) = check_all(load(tmp_path))
    assert str(complaint) == (
        "templates/shared/task.j2:6: dev/web, dev/worker, dev/nightly and 15 more: a template sees no 'cpuu'\n"
        "    did you mean 'cpu'?"
    )
