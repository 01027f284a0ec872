"""All complaints of all images, tenants and services come the first time."""

import subprocess

import pytest

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
        assert ran.stderr.count(f"ECR {name}: ") == 1
    assert "cluster gone-dev: DescribeServices: ClusterNotFoundException" in ran.stderr
    assert "t1-dev/worker: 'port' is not set" in ran.stderr
    assert "dev: not checked until then: " in ran.stderr


@pytest.mark.parametrize(
    ("command", "unseen"),
    [("release.dev", "dev: not checked until then: what needs"), ("build", "build: not checked until then: the")],
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
