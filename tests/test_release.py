"""`inv release`, `deploy` and `tag` as a person types them: what they change, what they refuse, how they end."""

import json
import subprocess
from functools import partial

import pytest
from msgspec.structs import replace

from tests.cloud.accounts import AwsError, Call
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, WRITES, Shop

pytestmark = pytest.mark.waits


@pytest.mark.quick
def test_a_release_brings_every_tenant_to_what_the_tier_before_runs(shop: Shop):
    ran = shop.inv("release.prod", "--json")
    assert ran.code == 0
    assert {result["outcome"] for result in ran.summary["results"]} == {"deployed"}
    assert ran.summary["outcomes"] == {"deployed": 2}


@pytest.mark.quick
def test_a_second_time_nothing_is_left_to_do(shop: Shop):
    shop.inv("release.prod")
    before = shop.writes()
    ran = shop.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"unchanged": 2})
    assert shop.writes() == before


@pytest.mark.parametrize("task", ["release.prod", "deploy.prod", "tag.prod", "release.staging"])
def test_a_dry_run_shows_the_plan_and_makes_no_mutating_call(shop: Shop, task: str):
    ran = shop.inv(task, "--dry-run")
    assert ran.code == 0
    assert not WRITES & set(shop.endpoint.operations())


def test_invokes_own_dry_means_the_same(shop: Shop):
    assert shop.inv("--dry", "release.prod").code == 0
    assert not WRITES & set(shop.endpoint.operations())


def test_a_tag_step_mints_the_record_first_and_then_moves_the_tier(shop: Shop):
    older = shop.commits["older"]
    shop.inv("tag.dev", "--commit", older, "--allow-older")
    named = shop.tags()
    (minted,) = [tag for tag in named if tag.startswith("dev-2") and named[tag] == named[older]]
    assert named["dev"] == named[older]
    assert minted > "dev-20260203T040506Z"


@pytest.mark.quick
def test_a_tier_does_not_go_backwards_by_accident(shop: Shop):
    ran = shop.inv("tag.dev", "--commit", shop.commits["older"])
    assert ran.code == 2
    older, newer = shop.commits["older"][:7], shop.commits["newer"][:7]
    assert ran.stderr == f"dev/api: {older} is older than dev's present {newer}\n    --allow-older, if it is meant\n"
    assert shop.writes() == {}


def test_the_gate_is_shut_for_what_staging_does_not_run(shop: Shop):
    ran = shop.inv("release.prod", "--commit", shop.commits["older"], "--allow-older")
    assert ran.code == 2
    assert "t1-staging/api: it runs" in ran.stderr and "t2-staging/api: it runs" in ran.stderr
    assert shop.writes() == {}


def test_the_gate_calls_what_was_set_up_by_hand_by_its_commit_as_ecr_knows_it(shop: Shop):
    ran = shop.inv("release.prod", "--commit", shop.commits["older"], "--allow-older")
    runs = f"it runs {shop.commits['newer'][:7]}, so {shop.commits['older'][:7]} may not go to prod"
    assert ran.code == 2
    assert ran.stderr.count(runs) == 2 and "sha256" not in ran.stderr


def test_the_gate_does_without_a_list_of_all_images(shop: Shop):
    def fault(call: Call) -> AwsError | None:
        is_sweep = call.operation == "DescribeImages" and "imageIds" not in call.ask
        return AwsError("AccessDeniedException", "no") if is_sweep else None

    shop.endpoint.fault = fault
    ran = shop.inv("release.prod", "--commit", shop.commits["older"], "--allow-older")
    assert (ran.code, ran.stderr.count("-staging/api: it runs sha256:")) == (2, 2)


def test_an_override_passes_the_gate_and_is_recorded(shop: Shop):
    older = shop.commits["older"]
    ran = shop.inv("release.prod", "--commit", older, "--allow-older", "--override", "the customer waits", "--no-wait")
    assert ran.code == 0
    revisions = shop.endpoint.cloud.account(tenant_account(1)).families["shop-t1-prod-api"]
    assert revisions[-1].tags["deploytasks:override"] == "the customer waits"


def test_a_moved_tag_is_a_forced_deployment_without_a_new_revision(shop: Shop):
    shop.inv("deploy.dev", "--force")  # from now on the definition is the template's
    before = shop.endpoint.operations()["RegisterTaskDefinition"]
    assert shop.inv("deploy.dev", "--json").summary["outcomes"] == {"unchanged": 2}
    shop.inv("tag.dev", "--commit", shop.commits["older"], "--allow-older")
    ran = shop.inv("deploy.dev", "--json")
    assert ran.summary["outcomes"] == {"deployed": 2}
    assert shop.endpoint.operations()["RegisterTaskDefinition"] == before
    assert {result["digest"] for result in ran.summary["results"]} == {shop.tags()[shop.commits["older"]]}


def test_one_line_runs_every_part_of_a_chain(shop: Shop):
    older = shop.commits["older"]
    ran = shop.inv("tag.dev", "--commit", older, "--allow-older", "deploy.dev", "deploy.prod", "--no-wait")
    assert ran.code == 0
    assert shop.tags()["dev"] == shop.tags()[older]
    assert shop.endpoint.operations()["UpdateService"] == 4


def test_only_the_named_tenant_moves_and_who_stays_behind_is_said(shop: Shop):
    ran = shop.inv(
        "release.staging", "--tenant", "t1", "--commit", shop.commits["older"], "--allow-older", "--override", "x"
    )
    assert ran.code == 0
    assert "stay behind until `inv deploy.staging`: t2-staging" in ran.stdout
    assert shop.endpoint.calls[tenant_account(2), "UpdateService"] == 0


def test_one_tenants_failure_exits_1_and_prints_the_command_that_goes_on(shop: Shop):
    shop.refuse("UpdateService", "AccessDeniedException", tenant_account(2))
    ran = shop.inv("release.prod", "--json")
    assert ran.code == 1
    assert ran.summary["outcomes"] == {"deployed": 1, "failed": 1}
    assert ran.summary["resume"] == "to go on: inv deploy.prod --tenant t2"
    assert ran.stderr.endswith("release.prod: t2-prod/api failed\n    to go on: inv deploy.prod --tenant t2\n")


def test_the_same_release_tag_is_taken_up_after_a_death_between_the_two_tags(shop: Shop):
    older = shop.commits["older"]
    minted = "dev-20270101T000000Z"
    named = shop.endpoint.cloud.account("012345678922").repositories["api"].tags
    named[minted] = named[older]
    shop.inv("tag.dev", "--commit", older, "--allow-older")
    assert [tag for tag in shop.tags() if tag.startswith("dev-2027")] == [minted]
    assert shop.tags()["dev"] == shop.tags()[older]


def test_a_locked_tier_is_refused_with_who_holds_it(shop: Shop):
    shop.inv("lock.acquire", "prod", "--reason", "a frozen week")
    ran = shop.inv("release.prod")
    assert ran.code == 2
    assert "holds the lock since" in ran.stderr and "because a frozen week" in ran.stderr
    assert shop.writes() == {}
    assert shop.inv("lock.release", "prod", "--yes").code == 0
    assert shop.inv("release.prod", "--no-wait").code == 0


@pytest.mark.parametrize("failing", ["UpdateService", "PutImage", "DescribeServices"])
def test_the_lock_is_free_again_whatever_happened(shop: Shop, failing: str):
    shop.refuse(failing, "AccessDeniedException")
    shop.inv("release.staging", "--commit", shop.commits["older"], "--allow-older", "--override", "x")
    assert "/deploytasks/shop/staging/lock" not in shop.endpoint.cloud.account("012345678922").parameters


def test_the_wrong_account_stops_everything_before_the_first_write(shop: Shop):
    account = tenant_account(2)
    shop.edit("envs/t2.toml", f'account = "{account}"\nregion', 'account = "999999999999"\nregion')
    shop.edit("envs/t2.toml", f'role = "arn:aws:iam::{account}:role/deploy"\n', "")
    ran = shop.inv("release.prod")
    assert ran.code == 2
    assert "envs/t2.toml" in ran.stderr and "the file says 999999999999" in ran.stderr
    assert shop.writes() == {}


def test_every_complaint_of_the_preflight_comes_at_once(shop: Shop):
    clusters = [shop.endpoint.cloud.account(tenant_account(n)).clusters for n in (1, 2)]
    del clusters[0]["t1-prod"]
    del clusters[1]["t2-prod"].services["api"]
    ran = shop.inv("release.prod")
    assert ran.code == 2
    assert "t1-prod" in ran.stderr and "ClusterNotFoundException" in ran.stderr
    assert "t2-prod/api: there is no ECS service api in cluster t2-prod" in ran.stderr


def test_a_service_of_another_project_is_left_alone(shop: Shop):
    shop.service(1, "prod").tags["deploytasks:project"] = "bakery"
    ran = shop.inv("deploy.prod")
    assert ran.code == 2
    assert "t1-prod/api: the service belongs to project bakery, this is shop" in ran.stderr


def test_an_account_that_may_not_pull_is_refused(shop: Shop):
    shop.endpoint.cloud.account("012345678922").repositories["api"].policy = None
    ran = shop.inv("deploy.prod")
    assert ran.code == 2
    assert f"t1-prod/api: account {tenant_account(1)} may not pull api from the registry" in ran.stderr


def test_a_missing_repository_names_the_task_that_makes_it(shop: Shop):
    del shop.endpoint.cloud.account("012345678922").repositories["api"]
    ran = shop.inv("release.prod")
    assert ran.code == 2
    assert "RepositoryNotFoundException" in ran.stderr and "inv envs.bootstrap" in ran.stderr


def test_expired_credentials_say_how_to_sign_in_again(shop: Shop):
    shop.refuse("AssumeRole", "ExpiredTokenException")
    ran = shop.inv("deploy.prod")
    assert ran.code == 2
    assert "the credentials have expired: sign in again" in ran.stderr


def test_no_credentials_say_what_to_set(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    ran = shop.inv("deploy.prod")
    assert ran.code == 2
    assert "Unable to locate credentials" in ran.stderr and "AWS_PROFILE" in ran.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["deploy.prod", "--tenant", "t9"], "--tenant: there is no tenant 't9'"),
        (["deploy.prod", "--service", "apu"], "did you mean 'api'?"),
        (["deploy.prod", "--tenant", ""], "--tenant: is empty"),
        (["release.prod", "--commit", " "], "--commit: is empty"),
        (["deploy.prod", "--to", "prod-20200101T000000Z"], "api: there is no prod-20200101T000000Z in ECR"),
        (["lock.release", "prud"], "did you mean 'prod'?"),
        (["tag.dev", "--commit", "no-such-branch"], "no-such-branch"),
    ],
)
def test_a_wrong_word_is_refused_with_what_to_do(shop: Shop, words: list[str], said: str):
    ran = shop.inv(*words)
    assert ran.code == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert shop.writes() == {}


NOBODY_BUILT = "c" * 40


@pytest.mark.parametrize(
    ("words", "to_do"),
    [
        (("tag.dev", "--commit"), f"inv build --commit {NOBODY_BUILT}"),
        (("deploy.dev", "--to"), f"inv build --commit {NOBODY_BUILT}"),
        (("tag.staging", "--commit"), f"only dev builds: inv release.dev --commit {NOBODY_BUILT}\n    then this again"),
        (
            ("release.prod", "--commit"),
            f"only dev builds: inv release.dev --commit {NOBODY_BUILT}\n    then inv release.staging, then this again",
        ),
        (
            ("deploy.prod", "--to"),
            f"only dev builds: inv release.dev --commit {NOBODY_BUILT}\n    then inv release.staging, then this again",
        ),
        (("release.rollback", "prod", "--to"), "inv release.history prod shows what there is"),
    ],
)
def test_a_commit_that_nobody_built_names_the_commands_that_bring_it_here(
    shop: Shop, words: tuple[str, ...], to_do: str
):
    ran = shop.inv(*words, NOBODY_BUILT)
    assert (ran.code, ran.stderr) == (2, f"api: commit ccccccc is not in ECR\n    {to_do}\n")


def test_head_that_nobody_built_names_the_command_that_builds_it(shop: Shop):
    ran = shop.inv("tag.dev")
    assert ran.code == 2
    assert "is not in ECR\n    inv build --commit " in ran.stderr


def test_no_wait_is_refused_with_more_than_one_wave(shop: Shop):
    shop.edit("envs/t2.toml", "cluster =", "wave = 2\ncluster =")
    ran = shop.inv("deploy.prod", "--no-wait")
    assert ran.code == 2
    assert "prod: --no-wait with 2 waves\n    leave --no-wait out, or name tenants of one wave" in ran.stderr


def test_no_wait_skips_the_soak_and_says_so(shop: Shop):
    shop.soak("5m")
    ran = shop.inv("deploy.prod", "--no-wait", "--force", "--json")
    follow = "to follow: inv deploy.wait prod"
    assert (ran.code, ran.summary["notes"]) == (0, [f"not waited for, and the soak of 5m is skipped; {follow}"])


def test_every_mistake_in_the_files_is_told_with_file_and_key(shop: Shop):
    shop.edit("envs/t1.toml", "cpu = 1024", "cpus = 1024")
    shop.edit("envs/t2.toml", "[vars]", "[var]")
    for task in ("release.prod", "status", "envs.check", "build"):
        ran = shop.inv(task)
        assert ran.code == 2
        assert ran.stderr == (
            "envs/t1.toml:22: tiers.prod: unknown key 'cpus'\n    did you mean 'cpu'?\n"
            "envs/t2.toml:14: unknown key 'var'\n    did you mean 'vars'?\n"
        )


def test_only_json_is_on_stdout(shop: Shop):
    ran = shop.inv("release.prod", "--json", "--dry-run")
    events = [json.loads(line)["event"] for line in ran.stdout.splitlines()]
    assert events[-1] == "summary"


def test_the_gate_reads_what_runs_where_the_tier_before_was_set_up_by_hand(shop: Shop):
    shop.endpoint.world = replace(shop.endpoint.world, by_tag=("staging",))
    shop.endpoint.reset()
    untested = {tag: digest for tag, digest in shop.tags().items() if not tag.startswith("prod-")}
    shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags = untested
    assert shop.inv("tag.prod").code == 0


def test_a_broken_file_leaves_the_tiers_their_tasks_and_they_show_what_is_wrong(shop: Shop):
    shop.edit("envs/project.toml", "[registry]", "[registry")
    ran = shop.inv("deploy.prod")
    assert ran.code == 2
    assert ran.stderr.startswith("envs/project.toml:4: ")


def test_a_folder_without_git_says_so(shop: Shop):
    (shop.root / ".git").rename(shop.root / "not-git")
    shop.commits_config = False
    ran = shop.inv("release.dev")
    assert ran.code == 2
    assert "git" in ran.stderr and "Traceback" not in ran.stderr
    assert shop.writes() == {}


def test_a_shallow_history_says_what_to_fetch(shop: Shop):
    (shop.root / ".git" / "shallow").write_text(f"{shop.commits['newer']}\n")
    ran = shop.inv("tag.dev", "--commit", shop.commits["older"])
    assert ran.code == 2
    assert "fetch-depth: 0" in ran.stderr


def test_an_engine_that_is_not_there_is_named_before_anything_moves(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/docker.sock")
    shop.edit("envs/project.toml", 'context = "."', 'context = "."\nbuilder = "docker"')
    git = partial(subprocess.run, cwd=shop.root, check=True, capture_output=True)
    git(["git", "commit", "-qam", "Build with docker"])
    ran = shop.inv("release.dev")
    assert ran.code == 2
    assert "/no/such/docker.sock" in ran.stderr
    assert shop.writes() == {}


@pytest.mark.parametrize(
    "flags",
    [["--to", "prod-20260203T040506Z", "--no-wait"], ["--tenant", "t2", "--force", "--no-wait"]],
)
def test_the_command_that_goes_on_is_the_one_that_was_typed(shop: Shop, flags: list[str]):
    shop.refuse("UpdateService", "AccessDeniedException", tenant_account(2))
    ran = shop.inv("deploy.prod", *flags)
    assert ran.code == 1
    said = ran.stderr.splitlines()[-1]
    assert said.startswith("    to go on: inv deploy.prod --tenant t2 ")
    assert all(flag in said for flag in flags)


def test_a_tag_that_ecr_refuses_half_way_names_the_whole_command(shop: Shop):
    shop.refuse("PutImage", "ImageTagAlreadyExistsException")
    older = shop.commits["older"]
    ran = shop.inv("tag.dev", "--commit", older, "--allow-older")
    assert ran.code == 1
    assert ran.stderr.endswith(f"    to go on: inv tag.dev --commit {older} --allow-older\n")


def test_forcing_what_is_under_way_already_follows_it(shop: Shop):
    shop.endpoint.cloud.rollout_s = 600
    assert shop.inv("deploy.prod", "--no-wait").code == 0
    shop.rolls_out_until_followed()
    ran = shop.inv("deploy.prod", "--force", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 2})
    assert shop.endpoint.operations()["UpdateService"] == 2


@pytest.mark.parametrize("task", ["tag.dev", "release.dev"])
def test_a_repository_that_would_not_let_the_tiers_tag_move_is_refused_before_any_change(shop: Shop, task: str):
    repository = shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    older = ["--commit", shop.commits["older"], "--allow-older"]
    for mutability, excluded in (("IMMUTABLE", ()), ("IMMUTABLE_WITH_EXCLUSION", ("prod",))):
        repository.mutability, repository.excluded = mutability, excluded
        ran = shop.inv(task, *older)
        assert (ran.code, shop.writes()) == (2, {})
        assert ran.stderr.startswith("dev/api: the repository api is immutable, its tag dev too: it could not move\n")
    repository.mutability, repository.excluded = "IMMUTABLE_WITH_EXCLUSION", ("d*",)
    assert shop.inv(task, *older, "--dry-run").code == 0
