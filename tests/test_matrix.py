"""`inv release.matrix` and `inv deploy.<tier> --shard` as CI jobs type them: what is done once, and who may go on."""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from deploytasks.aws import locks
from tests import project
from tests.cloud.accounts import Call
from tests.cloud.ecs_rollouts import start, tell
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World, tenant_account
from tests.commands import REGISTRY, WRITES, Shop
from tests.hanging import HANGS_S, until
from tests.webhooks import Receiver, listening

pytestmark = pytest.mark.waits
ROOT = Path(__file__).resolve().parents[1]
LOCK = "/deploytasks/shop/prod/lock"


@pytest.fixture
def many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], looks_soon: None
) -> Iterator[Shop]:
    """Five tenants, t2 and t3 in the second wave of prod, in run 7 of GitHub's."""
    root = tmp_path / "repo"
    commits = dict(project.write(root, tenants=5))
    with Endpoint(World(tenants=5, commits=commits), latency_s=0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        monkeypatch.setenv("GITHUB_RUN_ID", "7")
        monkeypatch.setenv("GITHUB_ACTOR", "ann")
        made = Shop(root, endpoint, commits, lambda: (lambda read: (read.out, read.err))(capsys.readouterr()))
        for number in (2, 3):
            made.edit(f"envs/t{number}.toml", "[tiers.prod]", "[tiers.prod]\nwave = 2")
        yield made


def lock_of(shop: Shop) -> dict[str, object]:
    """What is written in prod's lock; {} where it is free."""
    held = shop.endpoint.cloud.account(REGISTRY).parameters.get(LOCK)
    return json.loads(held["Value"]) if held else {}


def moved(shop: Shop) -> list[int]:
    """The tenants whose service was updated."""
    return [n for n in range(1, 6) if shop.endpoint.calls[tenant_account(n), "UpdateService"]]


@pytest.mark.quick
def test_the_matrix_is_one_line_of_json_that_names_each_shards_tenants(many: Shop):
    ran = many.inv("release.matrix", "prod", "--shards", "2")
    assert ran.code == 0
    assert ran.stdout.count("\n") == 1
    assert json.loads(ran.stdout) == {
        "include": [
            {"shard": "1/2", "tenants": "t1,t3,t5", "targets": 3},
            {"shard": "2/2", "tenants": "t2,t4", "targets": 2},
        ]
    }
    assert "wave 2, 2 targets" in ran.stderr
    assert "2 shards; prod is locked for github 7 until: inv lock.release prod --run 'github 7'" in ran.stderr


def test_a_child_pipeline_of_gitlabs_has_a_job_a_shard_that_proves_its_run_and_one_that_unlocks(many: Shop):
    ran = many.inv("release.matrix", "prod", "--shards", "2", "--format", "gitlab", "--include", ".gitlab/shard.yml")
    assert (ran.code, json.loads(ran.stdout)) == (0, yaml.safe_load(ran.stdout))
    assert json.loads(ran.stdout) == {
        "include": [{"local": ".gitlab/shard.yml"}],
        "stages": ["shards", "unlock"],
        "prod 1/2": {"stage": "shards", "script": ["inv deploy.prod --shard 1/2 --run 'github 7'"]},
        "prod 2/2": {"stage": "shards", "script": ["inv deploy.prod --shard 2/2 --run 'github 7'"]},
        "prod unlock": {"stage": "unlock", "script": ["inv lock.release prod --run 'github 7'"], "when": "always"},
    }


def test_the_tag_moves_once_before_the_shards_and_no_target_is_touched(many: Shop):
    older = many.commits["older"]
    override = ["--override", "the customer waits"]
    ran = many.inv("release.matrix", "prod", "--shards", "2", "--commit", older, "--allow-older", *override)
    assert ran.code == 0
    assert many.tags()["prod"] == many.tags()[older]
    assert many.writes() == {"RegisterTaskDefinition": 5, "PutImage": 2}  # the release's and the tier's tag
    assert many.inv("deploy.prod", "--shard", "1/2", "--dry-run").code == 0
    assert many.writes() == {"RegisterTaskDefinition": 5, "PutImage": 2}  # two tags: the release's and the tier's


def test_the_tier_stays_locked_by_the_run_and_by_no_process(many: Shop):
    many.inv("release.matrix", "prod", "--shards", "2", "--override", "the customer waits")
    held = lock_of(many)
    known = {name: held[name] for name in ("by", "run", "command", "pid", "machine", "reason")}
    assert known == {
        "by": "ann",
        "run": "github 7",
        "command": "release.matrix prod --shards 2",
        "pid": 0,
        "machine": "",
        "reason": "the customer waits",
    }


def test_nobody_else_gets_in_until_the_lock_is_released(many: Shop, monkeypatch: pytest.MonkeyPatch):
    many.inv("release.matrix", "prod", "--shards", "2")
    monkeypatch.setenv("GITHUB_RUN_ID", "8")
    for words in (["release.prod"], ["release.matrix", "prod", "--shards", "2"], ["deploy.prod"]):
        ran = many.inv(*words)
        assert (ran.code, "ann holds the lock since" in ran.stderr) == (2, True)
    assert many.inv("lock.release", "prod", "--yes").code == 0
    assert many.inv("release.matrix", "prod", "--shards", "2").code == 0


def test_a_matrix_waits_for_the_lock(many: Shop, monkeypatch: pytest.MonkeyPatch):
    held = many.endpoint.cloud.account(REGISTRY).parameters
    monkeypatch.setattr(locks, "LockWait", partial(locks.LockWait, sleep=lambda _seconds: held.clear()))
    held[LOCK] = {"Name": LOCK, "Type": "String", "Value": '{"tier": "prod", "by": "bob", "since": "", "command": "x"}'}
    ran = many.inv("release.matrix", "prod", "--shards", "2", "--lock-wait", "15m")
    assert (ran.code, "bob holds the lock" in ran.stderr) == (0, True)
    assert lock_of(many)["command"] == "release.matrix prod --shards 2"


def test_the_same_run_may_make_its_matrix_again(many: Shop):
    first = many.inv("release.matrix", "prod", "--shards", "2")
    second = many.inv("release.matrix", "prod", "--shards", "2")
    assert (second.code, second.stdout) == (0, first.stdout)
    assert lock_of(many)["run"] == "github 7"


def test_a_dry_run_prints_the_matrix_and_changes_nothing_in_any_run_or_none(
    many: Shop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("GITHUB_RUN_ID")
    for form in ("github", "gitlab"):
        ran = many.inv("release.matrix", "prod", "--shards", "2", "--format", form, "--dry-run")
        assert (ran.code, "prod is not locked" in ran.stderr) == (0, True)
        assert "--run" not in ran.stdout
    assert not WRITES & set(many.endpoint.operations())


def test_there_are_no_more_shards_than_environments(many: Shop):
    ran = many.inv("release.matrix", "prod", "--shards", "8")
    assert [each["shard"] for each in json.loads(ran.stdout)["include"]] == [f"{n}/5" for n in range(1, 6)]
    assert lock_of(many)["command"] == "release.matrix prod --shards 5"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shards", "0"], "--shards: '0' is not a number from 1 to 256"),
        (["--shards", "257"], "--shards: '257' is not a number from 1 to 256"),
        ([], "--shards: is missing\n    for example --shards 20"),
        (["--shards", "2", "--format", "jenkins"], "--format: 'jenkins' is not known\n    known: github, gitlab"),
        (["--shards", "2", "--include", "x.yml"], "--include: needs --format gitlab"),
        (["--shards", "2", "--run", ""], "--run: is empty"),
    ],
)
def test_a_wrong_flag_is_refused_and_stdout_stays_empty(many: Shop, words: list[str], said: str):
    ran = many.inv("release.matrix", "prod", *words)
    assert (ran.code, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert (many.writes(), lock_of(many)) == ({}, {})


def test_in_githubs_own_steps_stdout_is_the_matrix_alone_and_a_refusal_is_annotated_beside_it(
    many: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    refused = many.inv("release.matrix", "prod", "--shards", "2", "--commit", many.commits["older"], "--allow-older")
    assert (refused.code, refused.stdout) == (2, "")
    assert "::error title=t1-staging/api::it runs" in refused.stderr
    assert len(json.loads(many.inv("release.matrix", "prod", "--shards", "2").stdout)["include"]) == 2
    summary = (tmp_path / "summary.md").read_text()
    assert "## release.matrix prod was refused" in summary and "2 shards; prod is locked for github 7" in summary


def test_the_first_tiers_matrix_builds_as_its_release_does(many: Shop):
    ran = many.inv("release.matrix", "dev", "--shards", "2", "--allow-dirty", "--dry-run")
    assert (ran.code, len(json.loads(ran.stdout)["include"])) == (0, 2)
    assert "build api: " in ran.stderr and "(to be built)" in ran.stderr


def test_a_tier_that_is_not_there_is_refused(many: Shop):
    ran = many.inv("release.matrix", "prud", "--shards", "2")
    assert (ran.code, ran.stdout) == (2, "")
    assert "did you mean 'prod'?" in ran.stderr


def test_without_a_run_that_shards_could_prove_there_is_no_matrix(many: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GITHUB_RUN_ID")
    ran = many.inv("release.matrix", "prod", "--shards", "2")
    assert (ran.code, ran.stdout, lock_of(many)) == (2, "", {})
    assert ran.stderr == (
        "--run: no CI run is known here, and only its own run's shards may work under the lock\n"
        '    name it, the same for the matrix and every shard: --run "$BUILD_TAG"\n'
    )
    assert many.inv("release.matrix", "prod", "--shards", "2", "--run", "jenkins 12").code == 0
    assert lock_of(many)["run"] == "jenkins 12"
    assert many.inv("deploy.prod", "--shard", "1/2").code == 2
    assert moved(many) == []


def test_what_a_release_would_be_refused_for_the_matrix_is_too_and_leaves_no_lock(many: Shop):
    older = many.commits["older"]
    ran = many.inv("release.matrix", "prod", "--shards", "2", "--commit", older, "--allow-older")
    assert (ran.code, ran.stdout) == (2, "")
    assert all(f"t{number}-staging/api: it runs" in ran.stderr for number in range(1, 6))
    assert (many.writes(), lock_of(many)) == ({}, {})


def test_a_tag_that_fails_names_the_command_that_goes_on_and_leaves_no_lock(many: Shop):
    many.refuse("PutImage", "ServerException")
    ran = many.inv(
        "release.matrix", "prod", "--shards", "2", "--commit", many.commits["older"], "--allow-older", "--override", "x"
    )
    assert (ran.code, ran.stdout, lock_of(many)) == (1, "", {})
    older = many.commits["older"]
    assert ran.stderr.endswith(
        f"to go on: inv release.matrix prod --commit {older} --allow-older --shards 2 --override x\n"
    )


def test_ctrl_c_in_the_matrix_leaves_no_lock(many: Shop):
    many.interrupt(lambda call: call.operation == "DescribeServices")
    ran = many.inv("release.matrix", "prod", "--shards", "2")
    assert (ran.code, ran.stdout, lock_of(many)) == (130, "", {})
    assert "to go on: inv release.matrix prod --shards 2" in ran.stderr


def inv(shop: Shop, *words: str) -> "subprocess.Popen[str]":
    """A process of its own, as CI's jobs are."""
    known = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "GITHUB_", "PATH", "GIT_"))}
    command = [str(Path(sys.executable).with_name("inv")), *words]
    return subprocess.Popen(
        command, cwd=shop.root, env={**known, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )


def test_shards_of_one_run_bring_the_whole_tier_there_wave_after_wave(many: Shop):
    give_up(many, 4)  # the failure of an earlier run, which this one makes good
    many.endpoint.cloud.rollout_s = 1.5
    began: list[str] = []
    many.endpoint.fault = lambda call: began.append(call.account) if call.operation == "UpdateService" else None
    jobs = json.loads(many.inv("release.matrix", "prod", "--shards", "2").stdout)["include"]
    locked = lock_of(many)
    early = inv(many, "deploy.prod", "--shard", jobs[0]["shard"], "--json")
    until(lambda: many.endpoint.calls[tenant_account(4), "DescribeServices"] > 1)  # it waits for the other's first wave
    runners = [early, inv(many, "deploy.prod", "--shard", jobs[1]["shard"], "--json")]
    summaries = [json.loads(each.communicate(timeout=HANGS_S)[0].splitlines()[-1]) for each in runners]
    assert [each.returncode for each in runners] == [0, 0]
    targets = [sorted(result["tenant"] for result in each["results"]) for each in summaries]
    assert targets == [each["tenants"].split(",") for each in jobs]
    assert {result["outcome"] for each in summaries for result in each["results"]} == {"deployed"}
    assert {*began[:3]} == {tenant_account(number) for number in (1, 4, 5)}
    assert lock_of(many) == locked
    assert many.inv("lock.release", "prod", "--yes").code == 0
    assert many.inv("release.prod", "--json").summary["outcomes"] == {"unchanged": 5}


def test_a_shard_whose_wave_has_nothing_to_wait_for_changes_only_its_own(many: Shop):
    many.inv("release.matrix", "prod", "--shards", "5")
    ran = many.inv("deploy.prod", "--shard", "1/5", "--json")
    assert (ran.code, ran.summary["outcomes"], moved(many)) == (0, {"deployed": 1}, [1])
    operations = many.endpoint.operations()
    assert (operations["PutParameter"], operations["DeleteParameter"]) == (1, 0)


def test_why_the_gate_was_passed_is_recorded_by_every_shard(many: Shop):
    older = ["--commit", many.commits["older"], "--allow-older"]
    many.inv("release.matrix", "prod", "--shards", "5", *older, "--override", "the customer waits")
    many.inv("deploy.prod", "--shard", "1/5")
    revisions = many.endpoint.cloud.account(tenant_account(1)).families["shop-t1-prod-api"]
    assert revisions[-1].tags["deploytasks:override"] == "the customer waits"


def test_the_command_that_goes_on_needs_no_run_and_no_shard(many: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GITHUB_RUN_ID")
    many.inv("release.matrix", "prod", "--shards", "5", "--run", "jenkins 12")
    many.refuse("UpdateService", "AccessDeniedException")
    ran = many.inv("deploy.prod", "--shard", "1/5", "--run", "jenkins 12")
    assert (ran.code, ran.stderr.splitlines()[-1]) == (1, "    to go on: inv deploy.prod --tenant t1")


@pytest.fixture
def impatient(many: Shop) -> Shop:
    """The same, where nobody waits for a rollout longer than three seconds."""
    many.edit("envs/project.toml", 'after = "staging"', 'after = "staging"\ntimeout = "3s"')
    return many


def test_a_wave_that_another_shard_never_begins_holds_this_one_back_and_is_named(impatient: Shop):
    impatient.inv("release.matrix", "prod", "--shards", "2")
    ran = impatient.inv("deploy.prod", "--shard", "1/2", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"deployed": 2, "not attempted": 1})
    (detail,) = [result["detail"] for result in ran.summary["results"] if result["outcome"] == "not attempted"]
    assert re.fullmatch(r"after \d+ s: t4-prod/api: it still runs sha256:[0-9a-f]{12}", detail)
    assert ran.summary["resume"] == "to go on: inv deploy.prod --tenant t3"
    assert "wave 2 waits for 1 of earlier waves: t4-prod/api: it still runs" in ran.stdout
    assert moved(impatient) == [1, 5]


def test_a_wave_that_failed_in_another_shard_stops_the_later_ones_of_this_one(many: Shop):
    many.inv("release.matrix", "prod", "--shards", "2")
    give_up(many, 4)
    ran = many.inv("deploy.prod", "--shard", "1/2", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"deployed": 2, "not attempted": 1})
    (detail,) = [result["detail"] for result in ran.summary["results"] if result["outcome"] == "not attempted"]
    assert re.fullmatch(r"an earlier wave did not go well: t4-prod/api: ECS deployment ecs-svc/\d+ failed\.", detail)
    assert moved(many) == [1, 5]


def test_on_failure_continue_waits_for_the_end_of_earlier_waves_and_goes_on(many: Shop):
    many.edit("envs/project.toml", 'after = "staging"', 'after = "staging"\non_failure = "continue"')
    many.inv("release.matrix", "prod", "--shards", "2")
    give_up(many, 4)
    ran = many.inv("deploy.prod", "--shard", "1/2", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 3})


def test_ctrl_c_while_it_waits_for_other_shards_names_what_was_not_attempted(many: Shop):
    many.inv("release.matrix", "prod", "--shards", "2")
    looks = itertools.count(1)  # at its start, at the first look of the barrier, and then

    def third_look(call: Call) -> bool:
        return (call.account, call.operation) == (tenant_account(4), "DescribeServices") and next(looks) == 3

    many.interrupt(third_look)
    ran = many.inv("deploy.prod", "--shard", "1/2")
    assert ran.code == 130
    assert "t3-prod/api: interrupted: not attempted, it runs what it ran" in ran.stderr
    assert "t1-prod/api" not in ran.stderr
    assert lock_of(many)["run"] == "github 7"


def test_other_shards_definitions_are_rendered_before_anything_is_touched(many: Shop):
    many.inv("release.matrix", "prod", "--shards", "2")
    many.edit("envs/t4.toml", "[vars]", '[vars]\nport = "no port"')
    ran = many.inv("deploy.prod", "--shard", "1/2")
    assert (ran.code, "t4-prod" in ran.stderr) == (2, True)
    assert moved(many) == []


def give_up(shop: Shop, number: int) -> None:
    """The tenant's rollout has begun in another shard, and was given up by ECS."""
    account, service = shop.endpoint.cloud.account(tenant_account(number)), shop.service(number, "prod")
    (before,) = service.deployments
    ours = start(account, service, account.families[f"shop-t{number}-prod-api"][0])
    ours.state, ours.status, ours.ends_at = "FAILED", "ACTIVE", float("inf")
    before.status = "PRIMARY"
    service.deployments = [before, ours]
    tell(service, f"(service api) (deployment {ours.id}) deployment failed: tasks failed to start.", ours.created_at, 1)


def test_every_refusal_of_a_shard_says_what_to_do(many: Shop, monkeypatch: pytest.MonkeyPatch):
    ran = many.inv("deploy.prod", "--shard", "1/2")
    assert (ran.code, ran.stderr) == (
        2,
        "prod: it is not locked for github 7: no matrix was made in this run, or its lock is released already\n"
        "    run the whole pipeline again, which begins with: inv release.matrix prod --shards 2\n",
    )
    many.inv("release.matrix", "prod", "--shards", "2")
    since = lock_of(many)["since"]
    monkeypatch.setenv("GITHUB_RUN_ID", "8")
    ran = many.inv("deploy.prod", "--shard", "1/2")
    assert (ran.code, ran.stderr) == (
        2,
        f"prod: ann holds the lock since {since} (release.matrix prod --shards 2) for github 7; this is github 8\n"
        "    wait for it, then run the whole pipeline again; if it is gone: inv lock.release prod --yes\n",
    )
    monkeypatch.delenv("GITHUB_RUN_ID")
    ran = many.inv("deploy.prod", "--shard", "1/2")
    assert (ran.code, "--shard: no CI run is known here" in ran.stderr) == (2, True)
    assert many.inv("deploy.prod", "--shard", "1/2", "--run", "github 8").code == 2
    assert moved(many) == []


def test_a_shard_of_another_number_of_shards_is_refused(many: Shop):
    many.inv("release.matrix", "prod", "--shards", "2")
    ran = many.inv("deploy.prod", "--shard", "1/3")
    assert (ran.code, ran.stderr) == (
        2,
        "prod: this run locked it by release.matrix prod --shards 2, which has no shard 1/3\n"
        "    give every shard the number that release.matrix was given\n",
    )


def test_a_plain_release_of_the_same_run_is_no_matrix(many: Shop):
    many.inv("lock.acquire", "prod")
    assert many.inv("deploy.prod", "--shard", "1/2").code == 2
    held = lock_of(many) | {"run": "github 7", "command": "release.prod", "pid": os.getpid()}
    many.endpoint.cloud.account(REGISTRY).parameters[LOCK]["Value"] = json.dumps(held)
    ran = many.inv("deploy.prod", "--shard", "1/2")
    assert (ran.code, "this run locked it by release.prod" in ran.stderr) == (2, True)


@pytest.mark.parametrize("shard", ["9/8", "0/8", "a/b", "3", "3/", "/8", "-1/8", "1/1000", "3/8/1", "", "٣/8"])
def test_what_names_no_shard_is_refused(many: Shop, shard: str):
    ran = many.inv("deploy.prod", f"--shard={shard}")
    assert ran.code == 2
    assert ran.stderr.startswith(f"--shard: '{shard}' is not a shard: the third of eight is 3/8\n")


def test_a_shard_beyond_the_environments_is_refused(many: Shop):
    ran = many.inv("deploy.prod", "--shard", "8/8")
    assert (ran.code, ran.stderr) == (
        2,
        "--shard: there is no shard 8/8: prod has 5 environments\n"
        "    take the shards that release.matrix prints: inv release.matrix prod --shards 5\n",
    )


@pytest.mark.parametrize(
    "flags",
    [
        *(["--tenant", "t1"], ["--service", "api"], ["--exclude", "t1"], ["--to", "prod-20260203T040506Z"]),
        *(["--force"], ["--only-behind"], ["--only-failed"], ["--lock-wait", "5m"]),
    ],
)
def test_nothing_else_chooses_what_a_shard_does(many: Shop, flags: list[str]):
    many.inv("release.matrix", "prod", "--shards", "2")
    ran = many.inv("deploy.prod", "--shard", "1/2", *flags)
    assert (ran.code, f"--shard: goes with no {flags[0]}: " in ran.stderr) == (2, True)
    assert moved(many) == []


def test_a_run_is_named_only_for_a_shard(many: Shop):
    ran = many.inv("deploy.prod", "--run", "x")
    assert (ran.code, "--run: needs --shard" in ran.stderr) == (2, True)


def test_no_wait_is_refused_where_the_tier_has_waves_even_if_the_shard_has_one(many: Shop):
    many.edit("envs/t2.toml", "wave = 2", "wave = 1")
    many.inv("release.matrix", "prod", "--shards", "5")
    ran = many.inv("deploy.prod", "--shard", "1/5", "--no-wait")
    assert (ran.code, "prod: --no-wait with 2 waves" in ran.stderr) == (2, True)


def test_the_webhook_is_called_once_for_the_start_and_for_each_shards_end(many: Shop, monkeypatch: pytest.MonkeyPatch):
    many.edit("envs/project.toml", "[services.api]", '[notify]\nwebhook = "env:SLACK_URL"\n[services.api]')
    with listening(Receiver()) as webhook:
        monkeypatch.setenv("SLACK_URL", webhook.address)
        many.inv("release.matrix", "prod", "--shards", "5")
        many.inv("deploy.prod", "--shard", "1/5")
    assert [re.sub(r" in \d+s", "", first) for first in webhook.firsts] == [
        "▶ *shop prod*: inv release.matrix prod begins",
        "✔ *shop prod*: inv release.matrix prod is done: nothing was rolled out",
        "✔ *shop prod*: inv deploy.prod --shard 1/5 is done: 1 deployed",
    ]
    until = "prod is locked for github 7 until: inv lock.release prod --run 'github 7'"
    assert f"5 shards; {until}" in webhook.messages[1]["text"]


def test_a_shard_rolls_out_what_the_matrix_registered_and_registers_nothing_itself(many: Shop):
    assert many.inv("release.matrix", "prod", "--shards", "1").code == 0
    registered = many.writes()["RegisterTaskDefinition"]
    assert many.inv("deploy.prod", "--shard", "1/1").code == 0
    assert many.writes()["RegisterTaskDefinition"] == registered


def test_a_shard_that_finds_nothing_to_adopt_is_refused_with_what_to_do(many: Shop):
    assert many.inv("release.matrix", "prod", "--shards", "2").code == 0
    for number in range(1, 6):
        families = many.endpoint.cloud.account(tenant_account(number)).families
        families[f"shop-t{number}-prod-api"][-1].members["status"] = "INACTIVE"
    ran = many.inv("deploy.prod", "--shard", "1/2")
    assert (ran.code, "run release.matrix again, then this shard" in ran.stderr) == (2, True)
    assert "UpdateService" not in many.writes()
