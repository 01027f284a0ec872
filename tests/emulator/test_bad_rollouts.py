"""Rollouts that go wrong, tasks that must run first, and the way back: with real containers."""

import json
import re

import pytest

from examples.stand.demo import break_it
from tests.emulator import sight

pytestmark = [pytest.mark.docker, pytest.mark.emulator, pytest.mark.timeout(600), pytest.mark.long]
BREAKER = '"deploymentCircuitBreaker": {"enable": true, "rollback": true}'


def _released(world, tier="dev"):
    done = world.inv(f"release.{tier}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _change(world, code):
    world.edit("examples/app/app.py", "import json\n", f"import json\n{code}\n")
    return world.commit("Change the service")


def test_without_a_circuit_breaker_a_crashing_image_is_restored_by_us(doubtful):
    doubtful.edit("templates/web.service.json.j2", BREAKER, BREAKER.replace("true", "false"))
    doubtful.edit("envs/project.toml", "[tiers.dev]", '[tiers.dev]\ntimeout = "40s"')
    doubtful.commit("Do without the circuit breaker")
    _released(doubtful)
    first = sight.digest(doubtful, "dev")
    port = sight.targets(doubtful, "dev")["mb"].vars["port"]
    _change(doubtful, f'import os, sys\nif os.environ["PORT"] == "{port}":\n    sys.exit("no luck")')

    released = doubtful.inv("release.dev")

    said = released.stdout + released.stderr
    assert released.returncode == 1, said
    assert "not finished after 40 s" in said
    assert "It was restored to " in said
    assert "no luck" in said
    assert sight.digests(doubtful, "dev") == {"main": {sight.digest(doubtful, "dev")}, "mb": {first}}
    cells = json.loads(doubtful.inv("status", "--tier", "dev", "--json").stdout)["cells"]
    assert {cell["target"]: cell["standing"] for cell in cells} == {
        **{"dev/web": "completed", "dev/worker": "completed", "dev/nightly": "completed"},
        **{"mb-dev/web": "rolled back", "mb-dev/worker": "completed", "mb-dev/nightly": "completed"},
    }


def test_an_image_that_starts_and_dies_is_unhealthy_and_restored(world):
    _released(world)
    first = sight.digest(world, "dev")
    break_it(world)

    released = world.inv("release.dev")

    said = released.stdout + released.stderr
    assert released.returncode == 1, said
    assert "2 unhealthy, 3 not attempted" in said
    assert re.search(r"in the soak: \d tasks? died \(crashed: exit 1", said), said
    assert "| there is no database" in said and "It was restored to " in said
    assert sight.digests(world, "dev") == {"main": {first}, "mb": {first}}


def test_tasks_before_a_deploy_really_run_and_one_that_fails_leaves_the_service_alone(world):
    code = "import os, sys; print('migrating', os.environ['TENANT']); sys.exit(os.path.exists('/app/broken'))"
    command = json.dumps(["python3", "-c", code])
    world.edit("envs/project.toml", "[services.web]", f"[services.web]\nbefore_deploy = [{command}]")
    world.commit("Migrate first")
    said = _released(world)
    assert "migrating main" in said and "migrating mb" in said
    first = sight.digest(world, "dev")
    world.edit("examples/app/app.py", "import json\n", "import json\n# changed\n")
    world.edit("envs/project.toml", "os.path.exists('/app/broken')", "7")
    world.commit("Migrate in vain")

    released = world.inv("release.dev")

    said = released.stdout + released.stderr
    assert released.returncode == 1, said
    assert "migrating main" in said
    assert "ended with exit code 7; its service was not touched" in said
    assert sight.digests(world, "dev") == {"main": {first}, "mb": {first}}


def test_a_rollback_brings_the_image_and_the_definition_of_then_and_holds_the_tier(world):
    for tier in ("dev", "staging"):
        _released(world, tier)
    first, revisions = sight.digest(world, "staging"), sight.revisions(world, "staging")
    _change(world, "# changed")
    for tier in ("dev", "staging"):
        _released(world, tier)

    back = world.inv("release.rollback", "staging", "--json")

    assert back.returncode == 0, back.stdout + back.stderr
    assert sight.digests(world, "staging") == {"main": {first}, "mb": {first}}
    results = json.loads(back.stdout.splitlines()[-1])["results"]
    of_web = {each[0].rpartition("/")[2] for each in revisions.values()}
    assert {each["revision"] for each in results} == {
        each.replace("-web:", f"-{name}:") for each in of_web for name in ("web", "worker", "nightly")
    }
    refused = world.inv("release.staging")
    assert (refused.returncode, "holds it since" in refused.stderr) == (2, True)
