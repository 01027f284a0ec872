"""All complaints of all images, tenants and services come the first time."""

import subprocess

import pytest

from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Shop

pytestmark = pytest.mark.waits


@pytest.mark.parametrize("command", ["release.dev", "deploy.dev", "deploy.register dev"])
def test_missing_repositories_a_missing_cluster_and_a_wrong_template_come_in_one_round(shop: Shop, command: str):
    for name in ("worker", "cron"):
        shop.add_service(name)
    shop.endpoint.cloud.account(REGISTRY).repositories.clear()
    shop.edit("envs/t2.toml", 'cluster = "{tenant}-{tier}"', 'cluster = "gone-{tier}"')
    ran = shop.inv(*command.split())
    assert (ran.code, shop.writes()) == (2, {})
    for name in ("api", "worker", "cron"):
        assert ran.stderr.count(f"ECR {'api' if name == 'api' else f'shop/{name}'}: ") == 1
    assert "cluster gone-dev: DescribeServices: ClusterNotFoundException" in ran.stderr
    assert "t1-dev/worker, t2-dev/worker: 'port' is not set" in ran.stderr
    assert "dev: not checked yet: " in ran.stderr


@pytest.mark.parametrize(
    ("command", "unseen"),
    [
        ("release.dev", "dev: not checked yet: the gate, and what needs the images"),
        ("build", "build: not checked yet: the"),
    ],
)
def test_a_dirty_tree_is_told_beside_missing_repositories(shop: Shop, command: str, unseen: str):
    shop.endpoint.cloud.account(REGISTRY).repositories.clear()
    tracked = subprocess.run(
        ["git", "ls-files", "Dockerfile"], cwd=shop.root, capture_output=True, text=True, check=True
    ).stdout.split()
    (shop.root / tracked[0]).write_text("FROM scratch\n# changed\n")
    ran = shop.inv(command)
    assert (ran.code, "ECR api: " in ran.stderr, unseen in ran.stderr) == (2, True, True)
    assert "git: uncommitted changes of what an image contains: Dockerfile" in ran.stderr


def test_a_rollback_tells_missing_repositories_a_missing_cluster_and_wrong_templates_in_one_round(shop: Shop):
    for name in ("worker", "cron"):
        shop.add_service(name)
    shop.edit("envs/t2.toml", 'cluster = "{tenant}-{tier}"', 'cluster = "gone-{tier}"')
    ran = shop.inv("release.rollback", "prod")
    assert (ran.code, shop.writes()) == (2, {})
    for name in ("worker", "cron"):
        assert ran.stderr.count(f"ECR shop/{name}: ") == 1
        assert f" t2-prod/{name}: 'port' is not set" in ran.stderr
    assert "cluster gone-prod: DescribeServices: ClusterNotFoundException" in ran.stderr
    assert "prod: not checked yet: which release there is to go back to" in ran.stderr


def test_a_rollback_tells_that_no_repository_can_be_read_beside_the_rest(shop: Shop):
    shop.endpoint.cloud.account(REGISTRY).repositories.clear()
    shop.edit("templates/api.json.j2", "{{ cpu }}", "{{ vars.cpus }}")
    ran = shop.inv("release.rollback", "prod", "--to", shop.commits["older"])
    assert (ran.code, ran.stderr.count("ECR api: ")) == (2, 1), ran.stderr
    assert "t1-prod/api, t2-prod/api: 'cpus' is not set" in ran.stderr


def test_a_rollback_without_a_release_before_tells_the_targets_troubles_too(shop: Shop):
    shop.edit("envs/t2.toml", 'cluster = "{tenant}-{tier}"', 'cluster = "gone-{tier}"')
    ran = shop.inv("release.rollback", "prod", "--no-wait")
    assert (ran.code, ran.stderr.startswith("prod: there is no release before")) == (2, True)
    assert "cluster gone-prod: DescribeServices: ClusterNotFoundException" in ran.stderr


def test_a_rollback_that_may_not_list_a_tenants_revisions_tells_the_other_tenants_troubles_too(shop: Shop):
    for commit in ("older", "newer"):
        words = ["--commit", shop.commits[commit], "--allow-older", "--override", "test"]
        assert shop.inv("release.prod", *words).code == 0
    shop.refuse("ListTaskDefinitions", "AccessDeniedException", tenant_account(1))
    shop.edit("envs/t2.toml", 'cluster = "{tenant}-{tier}"', 'cluster = "gone-{tier}"')
    before = shop.writes()
    ran = shop.inv("release.rollback", "prod")
    assert (ran.code, shop.writes()) == (2, before)
    assert "t1-prod/api: ListTaskDefinitions: AccessDeniedException" in ran.stderr
    assert "cluster gone-prod: DescribeServices: ClusterNotFoundException" in ran.stderr


@pytest.mark.parametrize("operation", ["DescribeServices", "DescribeTaskDefinition"])
def test_what_a_definition_names_in_vain_is_told_beside_a_service_that_may_not_be_read(shop: Shop, operation: str):
    shop.endpoint.cloud.account(tenant_account(1)).missing.add("db")
    shop.refuse(operation, "AccessDeniedException", tenant_account(1))
    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert f"{operation}: AccessDeniedException" in ran.stderr
    assert "the secret arn:aws:secretsmanager:us-east-1:100000000001:secret:db does not exist" in ran.stderr
