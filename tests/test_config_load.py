"""What a right set of files becomes."""

from pathlib import Path

import pytest

from deploytasks.config.load import load
from deploytasks.model import Access, Environment, Image, Service, Tier
from tests.envs_files import MB, PROJECT, loaded, only_target, write

REPOSITORY = Path(__file__).parent.parent
ROLE = "arn:aws:iam::222222222222:role/deploy"


def test_the_files_we_ship_are_right():
    project = load(REPOSITORY)
    assert project.name == "shop"
    assert project.tenants == ("main", "mb")
    environments = ("dev", "staging", "prod", "mb-dev", "mb-staging", "mb-prod")
    assert [str(each) for each in project.targets] == [
        f"{environment}/{name}" for environment in environments for name in ("web", "worker", "nightly")
    ]
    assert [(tier.name, tier.tag, tier.after, tier.pin) for tier in project.tiers] == [
        ("dev", "mutable", None, "tag"),
        ("staging", "mutable", "dev", "digest"),
        ("prod", "immutable", "staging", "digest"),
    ]


def test_a_target_has_our_defaults_where_the_files_are_silent(tmp_path):
    target = only_target(tmp_path)
    assert target.environment == Environment("mb", "prod")
    assert target.access == Access("222222222222", "us-east-1")
    assert (target.cluster, target.ecs_service, target.family) == ("mb-prod", "api", "shop-mb-prod-api")
    assert (target.wave, target.cpu, target.memory) == (1, None, None)
    assert (target.env, target.secrets, target.vars) == ({}, {}, {})


def test_every_setting_reaches_its_target(tmp_path):
    top = f"""\
profile = "mb"
role = "{ROLE}"
external_id = "sesame"
ecs_service = "{{tenant}}-{{service}}-of-{{tier}}"
wave = 3
cpu = "1 vCPU"
memory = 2048
env = {{ LOG = "on", WORKERS = 8 }}
secrets = {{ DB = "/shop/db" }}
vars = {{ subnets = ["a", "b"], deep = {{ x = 1.5 }} }}
"""
    target = only_target(tmp_path, mb=top + MB.replace("[tiers.prod]", '[tiers.prod]\nfamily = "mine"'))
    assert target.access == Access("222222222222", "us-east-1", "mb", ROLE, "sesame")
    assert (target.ecs_service, target.family, target.wave) == ("mb-api-of-prod", "mine", 3)
    assert (target.cpu, target.memory) == ("1 vCPU", 2048)
    assert target.env == {"LOG": "on", "WORKERS": "8"}
    assert target.secrets == {"DB": "/shop/db"}
    assert target.vars == {"subnets": ["a", "b"], "deep": {"x": 1.5}}


def test_tenant_main_is_shown_as_the_bare_tier_and_comes_first(tmp_path):
    main = MB.replace("222222222222", "111111111111")
    project = loaded(tmp_path, acme=MB.replace("222222222222", "333333333333"), main=main)
    assert project.tenants == ("main", "acme")
    assert [target.family for target in project.targets if target.environment.tenant == "main"] == [
        "shop-dev-api",
        "shop-prod-api",
    ]


def test_tiers_stand_in_promotion_order_however_the_file_has_them(tmp_path):
    head, _, tiers = PROJECT.partition("[tiers.dev]")
    dev, _, prod = tiers.partition("[tiers.prod]")
    project = loaded(tmp_path, f"{head}[tiers.prod]{prod}[tiers.dev]{dev}")
    assert [tier.name for tier in project.tiers] == ["dev", "prod"]
    assert [target.environment.tier for target in project.targets] == ["dev", "prod"]


def test_a_tier_has_its_policy_and_our_defaults(tmp_path):
    policy = 'pin = "tag"\nparallel = 3\ntimeout = "1h30m"\nsoak = "90s"\non_failure = "continue"\n'
    dev, prod = loaded(tmp_path, PROJECT + policy).tiers
    assert dev == Tier("dev", "mutable", None, "digest", 20, 1200, 30, "stop")
    assert prod == Tier("prod", "immutable", "dev", "tag", 3, 5400, 90, "continue")


def test_an_image_says_how_it_is_built_and_a_service_what_it_runs(tmp_path):
    worker = """\
[images.worker]
repository = "shop/worker"
context = "worker"
dockerfile = "Dockerfile.worker"
platforms = ["linux/arm64", "linux/amd64"]
builder = "append"
[services.worker]
before_deploy = [["./manage", "migrate"]]
"""
    project = loaded(tmp_path, PROJECT + worker)
    platforms = ("linux/arm64", "linux/amd64")
    assert project.images == (
        Image("api", "shop/api"),
        Image("worker", "shop/worker", "worker", "Dockerfile.worker", platforms, "append"),
    )
    assert project.services == (
        Service("api", "api"),
        Service("worker", "worker", before_deploy=(("./manage", "migrate"),)),
    )


@pytest.mark.parametrize(
    ("lines", "host"),
    [
        ("", "000000000000.dkr.ecr.us-east-1.amazonaws.com"),
        ('host = "localhost:5000"', "localhost:5000"),
        ("CHINA", "000000000000.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_images_are_named_by_the_registrys_host(tmp_path, lines, host):
    text = PROJECT.replace("[images.api]", f"{lines}\n[images.api]")
    if lines == "CHINA":
        text = PROJECT.replace("us-east-1", "cn-north-1")
    assert loaded(tmp_path, text).registry.host == host


def test_a_service_that_is_absent_makes_no_target(tmp_path):
    project = PROJECT + "[services.worker]\n"
    targets = loaded(tmp_path, project, mb=MB + "services.worker.absent = true\n").targets
    assert [str(each) for each in targets] == ["mb-dev/api", "mb-dev/worker", "mb-prod/api"]


def test_a_service_absent_by_default_is_there_where_a_tenant_says_so(tmp_path):
    project = PROJECT + "[services.worker]\n[defaults.services.worker]\nabsent = true\n"
    targets = loaded(tmp_path, project, mb=MB + "services.worker.absent = false\n").targets
    assert [str(each) for each in targets] == ["mb-dev/api", "mb-prod/api", "mb-prod/worker"]


def test_files_that_editors_leave_are_no_tenants(tmp_path):
    root = write(tmp_path)
    (root / "envs" / ".#mb.toml").write_text("not toml")
    (root / "envs" / "mb.toml~").write_text("not toml")
    assert load(root).tenants == ("mb",)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    root = write(tmp_path)
    (root / "envs" / "mb.toml").write_text(MB, "utf-8-sig")
    assert load(root).tenants == ("mb",)
