"""The benchmarks add up: slow commands run once, ratios stay within a round, scale is computed from what was seen."""

import cProfile
import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks import others, profile, scale, several, stopping
from benchmarks.measure import Case, Sample, interleave, ratio
from benchmarks.scale import Begun
from benchmarks.stage import Serving
from benchmarks.targets import TARGETS
from tests.cloud.world import Runs


def case(name: str, **members: bool) -> Case:
    return Case(name, [sys.executable, "-c", ""], Path(), **members)


def sample(seconds: float) -> Sample:
    return Sample(seconds, peak_mib=1.0, cpu_s=seconds)


def begun(tenants: int, seconds: float) -> Begun:
    calls = {
        "RegisterTaskDefinition": tenants,
        "UpdateService": tenants,
        "DescribeTasks": 2 * tenants,
        "PutParameter": 1,
    }
    return Begun(tenants, "each", seconds, seconds / 2, 70 + tenants / 10, calls)


def test_a_slow_command_runs_in_the_first_round_that_counts_and_in_no_other():
    rounds = interleave([case("quick"), case("slow", once=True)], 2, lambda _number: None)
    assert [set(samples) for samples in rounds] == [{"quick", "slow"}, {"quick"}]


def test_a_ratio_is_taken_within_the_rounds_in_which_all_its_cases_ran():
    rounds = [{"ours": sample(1), "theirs": sample(20)}, {"ours": sample(9)}]
    found = ratio(rounds, lambda samples: samples["ours"].seconds / samples["theirs"].seconds, ("ours", "theirs"))
    assert found == 1 / 20


def test_a_profile_counts_a_built_in_function_to_the_library_that_calls_it():
    measured = cProfile.Profile()
    measured.runcall(textwrap.dedent, "  a\n  b\n" * 2000)
    found = profile.by_library(measured)
    assert found["textwrap"] > found.get("~", 0.0)


def test_what_three_services_and_a_job_take_is_divided_by_four():
    samples = {"deploy one": sample(1), "deploy several": sample(2)}
    assert several.a_target(samples, "deploy", "seconds") == 2 / 4


def test_no_target_asks_for_a_case_that_it_does_not_name():
    for target in TARGETS:
        assert target.of({name: sample(1) for name in target.cases}) in (0, 1)


def test_more_tenants_than_were_measured_are_computed_in_a_straight_line():
    row = scale.beyond([begun(1000, 20), begun(2000, 39)], 10_000)
    assert (row.seconds, row.peak_mib, row.computed) == (pytest.approx(191), pytest.approx(1070), True)
    assert (row.calls["UpdateService"], row.calls["PutParameter"]) == (10_000, 1)


def test_in_one_account_a_register_a_second_is_the_slowest_bucket():
    assert scale.slowest(begun(1000, 0).calls) == ("RegisterTaskDefinition DeregisterTaskDefinition", 980)


def test_operations_of_one_bucket_wait_together():
    waits = {bucket.name: wait_s for bucket, wait_s in scale.waits_s({"ListTasks": 150, "DescribeTasks": 150}).items()}
    assert waits == {"DescribeTasks ListTasks": 10}


def test_the_endpoint_is_told_what_it_serves():
    told = Serving(4, rollout_s=9, spread=0.5, limits=True, shared=2, runs=Runs(3, 1)).arguments()
    world = ["--tenants=4", "--rollout-s=9", "--rollout-spread=0.5", "--shared-accounts=2", "--services=3", "--jobs=1"]
    assert told == [*world, "--limits"]
    assert "--limits" not in Serving(4).arguments()


@pytest.mark.parametrize(("profiles", "processes"), [(False, 2), (True, 1)])
def test_the_articles_script_starts_one_process_a_tenant_or_two(tmp_path: Path, profiles: bool, processes: int):
    command, adds = others.article(tmp_path, "/venv/bin/aws", "c" * 40, 2, profiles=profiles)
    role = "arn:aws:iam::100000000002:role/deploy"
    loop = Path(command[1]).read_text().partition("while")[2]
    assert (adds["COMMIT"], loop.count('"$AWS" ')) == ("c" * 40, processes)
    assert f"t2 {role}\n" in Path(adds["TENANTS"]).read_text()
    assert f"[profile t2]\nrole_arn = {role}" in Path(adds["AWS_CONFIG_FILE"]).read_text()


def test_ecs_deploy_gets_each_tenants_keys(tmp_path: Path):
    others.in_turn(tmp_path, "/venv/bin/ecs", "c" * 40, 2)
    lines = (tmp_path / "ecs-deploy.sh").read_text().splitlines()
    assert lines[0] == "set -eu"
    assert lines[2].startswith("AWS_ACCESS_KEY_ID=ASIA100000000002ROLE /venv/bin/ecs deploy t2-prod api -t ccc")


@pytest.mark.waits
@pytest.mark.parametrize("silent", stopping.SITUATIONS.values(), ids=stopping.SITUATIONS)
def test_a_command_that_is_stopped_is_timed_from_the_signal_on(tmp_path: Path, silent: bool):
    found = stopping.stopped(tmp_path, silent=silent)
    assert 0 < found.heard_s <= found.ended_s
