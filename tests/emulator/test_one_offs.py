"""One-off commands and logs against real containers."""

import json
import os
import signal
import subprocess
import time

import pytest

from examples.stand import accounts
from tests.emulator import sight

pytestmark = [pytest.mark.docker, pytest.mark.emulator, pytest.mark.timeout(180)]
RUN = ("deploy.run", "dev", "--tenant", "mb", "--service", "web", "--")


def test_a_command_runs_in_the_services_image_and_environment_and_its_end_is_ours(shared):
    code = "import os; print('in', os.environ['TENANT']); print('a  b'); raise SystemExit(3)"

    before = _one_offs(shared)

    ran = shared.inv(*RUN, "python3", "-c", code)

    assert (ran.returncode, ran.stdout) == (3, "in mb\na  b\n"), ran.stderr
    assert "the command ended with exit code 3" in ran.stderr
    (stopped,) = (each for arn, each in _one_offs(shared).items() if arn not in before)
    assert stopped["startedBy"].startswith("deploytasks/")
    assert len(sight.containers(shared)) == 4


def test_a_command_that_does_not_exist_never_started(shared):
    ran = shared.inv(*RUN, "no-such-program")

    assert ran.returncode == 125, ran.stderr
    assert "the command never started: ResourceInitializationError" in ran.stderr


def test_ctrl_c_ends_the_container_too(shared):
    code = "import time; print('at work', flush=True); time.sleep(600)"
    with subprocess.Popen(
        ["inv", *RUN, "python3", "-c", code],
        cwd=shared.root,
        env=shared.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        assert len(sight.containers(shared)) == 5
        os.kill(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "was stopped" in stderr
    deadline = time.monotonic() + 20
    while len(sight.containers(shared)) > 4 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(sight.containers(shared)) == 4


def test_the_lines_of_services_and_of_stopped_one_offs_stand_in_one_log(shared):
    before = _one_offs(shared)
    assert shared.inv(*RUN, "python3", "-c", "print('migrated')").returncode == 0
    (stopped,) = _one_offs(shared).keys() - before.keys()
    (service,) = (each["taskArn"] for each in sight.tasks(shared, sight.targets(shared, "dev")["mb"]))

    ran = shared.inv("deploy.logs", "dev", "--tenant", "mb", "--service", "web", "--json")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    *lines, summary = map(json.loads, ran.stdout.splitlines())
    assert summary["lines"] == len(lines)
    assert {line["target"] for line in lines} == {"mb-dev/web"}
    assert [line["message"] for line in lines if stopped.endswith(line["task"])] == ["migrated"]
    assert any(service.endswith(line["task"]) for line in lines)


def _one_offs(world):
    """The ended tasks of mb's dev that somebody ran by hand, by their ARNs."""
    target = sight.targets(world, "dev")["mb"]
    ecs = accounts.client(world.emulator, "ecs", target.access.account)
    arns = ecs.list_tasks(cluster=target.cluster, desiredStatus="STOPPED")["taskArns"]
    found = ecs.describe_tasks(cluster=target.cluster, tasks=arns)["tasks"] if arns else []
    return {task["taskArn"]: task for task in found if not task.get("group", "").startswith("service:")}
