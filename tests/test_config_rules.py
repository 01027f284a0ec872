"""Config is released like code: what nobody committed or what is older than what runs is refused, and recorded."""

import json
import re
from typing import Any

import pytest

from deploytasks.template.canonical import differing
from tests.cloud.world import tenant_account
from tests.commands import Shop
from tests.scenes import Scenes

pytestmark = pytest.mark.waits
FEATURE = ('FEATURE_INVOICES = "off"', 'FEATURE_INVOICES = "on"')


@pytest.fixture
def ready(shop: Shop, scenes: Scenes) -> Shop:
    """Both tenants run the rendered definition in prod."""
    scenes.play(shop, "deployed", lambda: deployed(shop))
    return shop


@pytest.fixture
def older(shop: Shop, scenes: Scenes) -> str:
    """Newer config runs in t1's prod than the checkout has; the commit of that config."""
    return scenes.play(shop, "deployed, then newer config", lambda: made_older(shop))


def deployed(shop: Shop) -> None:
    ran = shop.inv("deploy.prod")
    assert ran.code == 0, ran.stderr


def recorded(shop: Shop, number: int = 1, tier: str = "prod") -> str:
    family = f"shop-t{number}-{tier}-api"
    revision = shop.endpoint.cloud.account(tenant_account(number)).families[family][-1]
    return str(revision.tags.get("deploytasks:config", ""))


def uncommitted(shop: Shop, file: str = "envs/t1.toml") -> None:
    shop.commits_config = False
    if file.startswith("envs"):
        shop.edit(file, *FEATURE)
    else:
        shop.edit(file, '"essential": true,', '"essential": true, "readonlyRootFilesystem": true,')


def test_every_revision_records_the_commit_and_a_hash_of_the_config(ready: Shop):
    assert re.fullmatch(rf"{ready.git('rev-parse', 'HEAD')}\.[0-9a-f]{{12}}", recorded(ready))


def made_older(shop: Shop) -> str:
    deployed(shop)
    older = shop.git("rev-parse", "HEAD")
    shop.edit("envs/t1.toml", *FEATURE)
    deployed(shop)
    newer = shop.git("rev-parse", "HEAD")
    shop.git("reset", "-q", "--hard", older)
    return newer


def stand(shop: Shop, how: str) -> None:
    """Git tells that the checkout is older, that both have diverged, or nothing."""
    if how == "diverged":
        shop.edit("envs/t2.toml", *FEATURE)
    if how == "unknown":
        shop.git("update-ref", "-d", "ORIG_HEAD")
        shop.git("reflog", "expire", "--expire=now", "--all")
        shop.git("prune", "--expire=now")


@pytest.mark.parametrize("file", ["envs/t1.toml", "templates/api.json.j2"])
@pytest.mark.parametrize("task", ["deploy.prod", "release.prod", "deploy.register"])
def test_uncommitted_config_is_refused_by_its_file_before_any_change(ready: Shop, file: str, task: str):
    uncommitted(ready, file)
    before = ready.writes()
    ran = ready.inv(*([task, "prod"] if task.endswith("register") else [task]))
    assert ran.code == 2, ran.stdout
    assert f"uncommitted config: {file} (changed)" in ran.stderr and "--allow-dirty" in ran.stderr
    assert ready.writes() == before


def test_a_file_that_git_was_told_to_overlook_is_seen(ready: Shop):
    ready.git("update-index", "--assume-unchanged", "envs/t1.toml")
    uncommitted(ready)
    assert ready.inv("deploy.prod").code == 2


def test_an_included_template_that_is_ignored_is_refused(ready: Shop):
    ready.edit("templates/api.json.j2", '"essential": true,', '"essential": true, {% include "more" ignore missing %}')
    ready.commit()
    ready.commits_config = False
    (ready.root / ".git/info/exclude").write_text("more\n")
    (ready.root / "templates/more").write_text('"readonlyRootFilesystem": true,')
    assert "templates/more (not committed)" in ready.inv("deploy.prod").stderr


def test_allowed_dirt_is_recorded_as_dirty(ready: Shop):
    uncommitted(ready)
    ran = ready.inv("deploy.prod", "--allow-dirty")
    assert (ran.code, recorded(ready).endswith("-dirty")) == (0, True), ran.stderr


def test_the_first_tier_takes_uncommitted_config_and_records_it(shop: Shop):
    shop.inv("deploy.dev")
    uncommitted(shop)
    ran = shop.inv("deploy.dev")
    assert (ran.code, recorded(shop, tier="dev").endswith("-dirty")) == (0, True), ran.stderr


def test_an_unchanged_target_never_refuses(ready: Shop):
    uncommitted(ready)
    assert ready.inv("deploy.prod", "--tenant", "t2").code == 0
    ready.git("checkout", "-q", "envs")
    ready.edit("envs/t1.toml", "[vars]", "# a comment\n[vars]")
    assert ready.inv("deploy.prod").code == 0


def test_without_git_the_config_counts_as_dirty(ready: Shop):
    uncommitted(ready)
    (ready.root / ".git").rename(ready.root.parent / "elsewhere")
    refused = ready.inv("deploy.prod").stderr
    assert "prod: the config has no commit: " in refused and "run in a clone of the repository" in refused
    assert "history" not in refused and "none." not in refused
    taken = ready.inv("deploy.prod", "--allow-dirty", "--tenant", "t1").stderr
    assert "none." not in taken and taken.count("\n    ") <= 1


@pytest.mark.parametrize("how", ["older", "diverged", "unknown"])
def test_an_older_checkout_takes_no_config_back(shop: Shop, older: str, how: str):
    stand(shop, how)
    before = shop.writes()
    ran = shop.inv("deploy.prod", "--tenant", "t1")
    told = {"older": "is newer than this checkout's", "diverged": "have diverged", "unknown": "fetch-depth: 0"}
    assert (ran.code, told[how] in ran.stderr, older[:7] in ran.stderr) == (2, True, True), ran.stderr
    assert shop.writes() == before
    assert shop.inv("deploy.prod", "--tenant", "t1", "--allow-older").code == 0


@pytest.mark.parametrize(
    ("how", "head"),
    [
        ("older", "your checkout is older: the config that runs, "),
        ("diverged", "your checkout may be older: the config that runs, "),
        ("unknown", "your checkout may be older: history does not tell whether "),
    ],
)
def test_diff_and_status_tell_where_the_difference_may_be_the_checkouts_age(
    shop: Shop, older: str, how: str, head: str
):
    stand(shop, how)
    ran = shop.inv("deploy.diff", "prod", "--tenant", "t1")
    assert (ran.code, f"t1-prod/api: {head}" in ran.stdout, older[:7] in ran.stdout) == (3, True, True), ran.stdout
    notes = json.loads(shop.inv("deploy.diff", "prod", "--json").stdout)["notes"]
    assert next((each["target"], each["note"].startswith(head)) for each in notes) == ("t1-prod/api", True)
    page = shop.root.parent / "board.html"
    ran = shop.inv("status", "--tier", "prod", "--check", "--html", str(page))
    assert (ran.code, f"t1-prod/api drifted: {head}" in ran.stdout) == (3, True), ran.stdout + ran.stderr
    assert f"drifted: {head}" in page.read_text()
    cells = {
        each["target"]: each for each in json.loads(shop.inv("status", "--tier", "prod", "--json").stdout)["cells"]
    }
    assert cells["t1-prod/api"]["checkout"].startswith(head)
    assert cells["t2-prod/api"]["checkout"] is None or how == "diverged"


def test_a_newer_checkout_or_a_change_by_hand_is_not_called_older(ready: Shop):
    ready.edit("envs/t1.toml", *FEATURE)
    for words in (["deploy.diff", "prod"], ["status", "--tier", "prod"]):
        ran = ready.inv(*words)
        assert ("drift" in ran.stdout or ran.code == 3, "older" in ran.stdout) == (True, False), ran.stdout


def test_equal_config_of_a_later_commit_is_never_older(ready: Shop):
    older = ready.git("rev-parse", "HEAD")
    ready.edit("envs/t1.toml", *FEATURE)
    ready.commit()
    ready.edit("envs/t1.toml", *reversed(FEATURE))
    assert ready.inv("deploy.prod", "--force").code == 0
    ready.git("reset", "-q", "--hard", older)
    ran = ready.inv("release.prod", "--commit", ready.commits["older"], "--override", "x", "--dry-run")
    assert "is older than" in ran.stderr and "config" not in ran.stderr


def test_the_command_that_goes_on_spells_what_was_allowed(ready: Shop):
    uncommitted(ready)
    ready.refuse("UpdateService", "AccessDeniedException")
    ran = ready.inv("release.prod", "--allow-dirty", "--json")
    assert "inv deploy.prod --tenant t1 --allow-dirty" in ran.summary["resume"], ran.summary


def test_on_hold_a_changed_definition_is_refused_with_its_keys(ready: Shop):
    for commit in ("older", "newer"):
        words = ["--commit", ready.commits[commit], "--allow-older", "--override", "test"]
        assert ready.inv("release.prod", *words).code == 0
    assert ready.inv("release.rollback", "prod").code == 0
    assert ready.inv("deploy.prod", "--force").code == 0
    ready.edit("envs/t1.toml", *FEATURE)
    before = ready.writes()
    ran = ready.inv("deploy.prod")
    assert (ran.code, "containerDefinitions.api.environment.FEATURE_INVOICES" in ran.stderr) == (2, True), ran.stderr
    assert ready.writes() == before


@pytest.mark.parametrize(
    ("before", "after", "keys"),
    [
        ({"cpu": "1"}, {"cpu": "2"}, ("cpu",)),
        ({"v": [{"name": "a"}, {"name": "b"}]}, {"v": [{"name": "b"}, {"name": "a"}]}, ("v",)),
        ({}, {"cpu": "2"}, ("cpu",)),
        ({"e": [{"name": "A", "value": "1"}]}, {"e": [{"name": "A", "value": "2"}]}, ("e.A",)),
        ({"e": [{"name": "A", "value": "1"}]}, {"e": [{"name": "B", "value": "1"}]}, ("e.A", "e.B")),
        ({"command": ["a"]}, {"command": ["b"]}, ("command",)),
    ],
)
def test_the_keys_that_differ_are_named_without_their_values(
    before: dict[str, Any], after: dict[str, Any], keys: tuple[str, ...]
):
    assert differing(before, after) == keys
