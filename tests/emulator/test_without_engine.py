"""A whole release with nothing but Python and git: layers are appended, tasks are simulated."""

import json

import pytest

from deploytasks.aws import ecr as aws_ecr
from deploytasks.aws.ecr import find
from deploytasks.commands.ownership import LABEL
from examples.stand import accounts
from tests.emulator import sight

pytestmark = [pytest.mark.emulator, pytest.mark.timeout(180)]


def test_one_commit_goes_through_all_tiers_of_all_tenants(released):
    built = sight.digest(released, _first_commit(released))
    assert built is not None
    assert {sight.digest(released, tag) for tag in ("dev", "staging", "prod")} == {built}
    for tier in ("dev", "staging", "prod"):
        for target in sight.targets(released, tier).values():
            assert sight.service(released, target)["deployments"][0]["rolloutState"] == "COMPLETED"
        assert len(sight.release_tags(released, tier)) == 1


def test_a_tenants_schedules_start_the_revisions_that_were_released(released):
    for target in sight.targets(released, "dev").values():
        account = target.access.account
        schedules = sight.schedules(released, account)
        assert {
            name: each["Target"]["EcsParameters"]["TaskDefinitionArn"].rpartition("/")[2]
            for name, each in schedules.items()
        } == {name: f"{name}:1" for name in schedules}
        assert len(schedules) == 3
        assert {each["Target"]["RoleArn"] for each in schedules.values()} == {f"arn:aws:iam::{account}:role/scheduler"}


def test_an_image_carries_its_project_as_a_label(released):
    ecr = accounts.client(released.emulator, "ecr")
    (image,) = find(ecr, "shop/app", ["dev"]).values()
    assert aws_ecr.image_config(ecr, "shop/app", image.config).labels[LABEL] == "shop"


def test_a_second_time_changes_nothing(released):
    before = sight.everything(released)
    for release in (("release.dev", "--commit", _first_commit(released)), ("release.staging",), ("release.prod",)):
        done = released.inv(*release)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "unchanged" in done.stdout
    assert sight.everything(released) == before


def test_a_dry_run_changes_nothing(released):
    _second_commit(released)
    before = sight.everything(released)
    for task in ("release.dev", "deploy.prod", "tag.dev"):
        done = released.inv(task, "--dry-run")
        assert done.returncode in (0, 2), done.stdout + done.stderr
    assert sight.everything(released) == before


def test_the_gate_refuses_what_the_tier_before_does_not_run(released):
    _second_commit(released)
    assert released.inv("build").returncode == 0
    before = sight.everything(released)

    refused = released.inv("release.prod", "--commit", "HEAD")

    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "staging" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sight.everything(released) == before


def test_an_image_that_is_built_for_another_processor_is_refused(released):
    template = released.root / "templates/shared/task.j2"
    text, before = template.read_text(), sight.everything(released)
    here, other = ("X86_64", "ARM64") if "X86_64" in text else ("ARM64", "X86_64")
    template.write_text(text.replace(here, other))

    refused = released.inv("deploy.staging", "--allow-dirty")

    template.write_text(text)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert f"runtimePlatform.cpuArchitecture: {other}, but the image shop/app@sha256:" in refused.stderr
    assert sight.everything(released) == before


def test_a_wrong_key_is_named_with_its_file_and_line_and_the_right_spelling(pretended):
    path = pretended.root / "envs/mb.toml"
    path.write_text(f"cpus = 512\n{path.read_text()}")

    refused = pretended.inv("release.staging")

    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "envs/mb.toml:1" in refused.stderr
    assert "cpus" in refused.stderr
    assert "did you mean 'cpu'?" in refused.stderr
    assert refused.stdout == ""


def test_status_says_what_every_environment_runs(released):
    board = released.inv("status", "--json")

    assert board.returncode == 0, board.stderr
    assert [cell["commit"] for cell in json.loads(board.stdout)["cells"]] == [_first_commit(released)] * 18


def test_a_release_in_json_is_lines_of_json_with_the_summary_last(pretended):
    released = pretended.inv("release.dev", "--json")

    assert released.returncode == 0, released.stderr
    lines = [json.loads(line) for line in released.stdout.splitlines()]
    assert lines[-1]["event"] == "summary"


def test_build_tag_and_deploy_on_one_line_do_all_three(pretended):
    done = pretended.inv("build", "tag.dev", "deploy.dev")

    assert done.returncode == 0, done.stdout + done.stderr
    commit = pretended.run("git", "rev-parse", "HEAD").stdout.strip()
    assert sight.digest(pretended, "dev") == sight.digest(pretended, commit) is not None
    for target in sight.targets(pretended, "dev").values():
        assert sight.service(pretended, target)["status"] == "ACTIVE"


def _first_commit(world):
    return world.run("git", "rev-list", "--max-parents=0", "HEAD").stdout.strip()


def _second_commit(world):
    with (world.root / "examples/app/app.py").open("a") as program:
        program.write("# changed\n")
    world.commit("Change the service")
