"""Regions that AWS does not have are refused offline; hosts end as botocore's own data says."""

import subprocess
import sys

import pytest
from botocore.session import get_session

from deploytasks import regions
from deploytasks.config.load import load
from tests.envs_files import MB, PROJECT, refusal, write

NEWER = "    a region newer than the installed botocore: pip install -U boto3"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("us-esat-1", "us-east-1"),
        ("eu-wset-1", "eu-west-1"),
        ("eu-centrl-1", "eu-central-1"),
        ("ap-southest-2", "ap-southeast-2"),
        ("eusc-de-est-1", "eusc-de-east-1"),
        ("cn-nroth-1", "cn-north-1"),
    ],
)
def test_a_misspelt_region_is_refused_with_the_nearest_right_one(tmp_path, typed, meant):
    said = refusal(tmp_path, mb=MB.replace("us-east-1", typed))
    assert said == (f"envs/mb.toml:2: region: there is no AWS region '{typed}'\n    did you mean '{meant}'?\n{NEWER}")


def test_a_misspelt_region_is_refused_wherever_it_stands(tmp_path):
    more = '\n[defaults]\nregion = "us-wets-2"\n[defaults.services.api]\nregion = "sa-esat-1"\n'
    secret = "arn:aws:secretsmanager:us-esat-1:222222222222:secret:db"
    said = refusal(
        tmp_path,
        PROJECT.replace('region = "us-east-1"', 'region = "us-esat-1"') + more,
        mb=f'{MB}region = "ca-cnetral-1"\n[secrets]\nDB = "{secret}"\n',
    )
    for place in ("registry.region", "defaults.region", "defaults.services.api.region", "tiers.prod.region", "DB"):
        assert f"{place}: there is no AWS region '" in said


@pytest.mark.parametrize("typed", ["us-east-1a", "us_east_1", "US-EAST-1", "us-east"])
def test_what_is_spelled_like_no_region_is_told_the_nearest_one_too(tmp_path, typed):
    said = refusal(tmp_path, mb=MB.replace("us-east-1", typed))
    assert f'region: can\'t be "{typed}"\n' in said and "    did you mean 'us-east-1'?\n" in said


def test_every_region_that_botocore_has_for_ecs_and_ecr_is_known():
    session = get_session()
    for partition in session.get_available_partitions():
        for service in ("ecs", "ecr", "ssm"):
            for region in session.get_available_regions(service, partition):
                found = regions.partition_of(region)
                assert found and found.name == partition


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("us-east-1", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
        ("eusc-de-east-1", "amazonaws.eu"),
        ("us-iso-east-1", "c2s.ic.gov"),
        ("us-isob-east-1", "sc2s.sgov.gov"),
    ],
)
def test_the_registrys_host_ends_as_its_partition_says(tmp_path, region, suffix):
    project = load(write(tmp_path, PROJECT.replace('region = "us-east-1"', f'region = "{region}"'), mb=MB))
    assert project.registry.host == f"000000000000.dkr.ecr.{region}.{suffix}"


def test_a_host_that_is_given_wins(tmp_path):
    given = 'region = "cn-north-1"\nhost = "localhost:5000"'
    project = load(write(tmp_path, PROJECT.replace('region = "us-east-1"', given), mb=MB))
    assert project.registry.host == "localhost:5000"


def test_regions_are_checked_without_importing_botocore(tmp_path):
    root = write(tmp_path, PROJECT, mb=MB)
    code = (
        "import sys; from pathlib import Path; from deploytasks.config.load import load;"
        f"load(Path({str(root)!r})); print('botocore' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("account = 012345678901", 'quote it: account = "012345678901"'),
        ("account = 0123_4567_8901  # ours", 'quote it: account = "012345678901"'),
        ("region = us-east-1", 'quote it: region = "us-east-1"'),
        ("tiers = { dev = { account = 012345678901 } }", 'quote it: account = "012345678901"'),
        ("env.PIN = 007", 'quote it: env.PIN = "…"'),
        ("cluster = my-cluster", 'quote it: cluster = "…"'),
    ],
)
def test_what_toml_takes_only_in_quotes_is_told_to_be_quoted(tmp_path, line, advice):
    said = refusal(tmp_path, mb=f"{line}\n")
    assert said.startswith("envs/mb.toml:1: is not TOML: ")
    assert said.endswith(f"\n    {advice}")


@pytest.mark.parametrize("line", ['account = "01', "= 1", "account = ", "[tiers", 'env = { A = "b" '])
def test_other_faults_of_toml_get_no_such_advice(tmp_path, line):
    assert "quote it" not in refusal(tmp_path, mb=f"{line}\n")
