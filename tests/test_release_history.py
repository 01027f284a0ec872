"""`inv release.history TIER` and `inv tag.list` against an endpoint that answers as AWS does, and what they cost."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploytasks import commands
from deploytasks.aws.tags import to_ecs
from deploytasks.config.load import load
from tests import project
from tests.cloud.ecs_definitions import register
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World, tenant_account
from tests.commands import REGISTRY, WRITES, Shop

pytestmark = pytest.mark.waits
INDEX = "application/vnd.oci.image.index.v1+json"
NEWEST = "prod-20260203T040506Z"
START = datetime(2025, 6, 1, tzinfo=UTC)


def history(shop: Shop, *words: str, tier: str = "prod") -> dict[str, Any]:
    ran = shop.inv("release.history", tier, "--json", *words)
    assert ran.code == 0, ran.stderr
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def by(document: Mapping[str, Any]) -> dict[str, str | None]:
    return {release["release"]: release["by"] for release in document["releases"]}


def released(shop: Shop, number: int, tenants: tuple[int, ...] = (1,), later: timedelta = timedelta(minutes=5)) -> str:
    """A release of long ago: its image and tag in ECR, and a revision of each of these tenants that records it."""
    minted = START + timedelta(days=number)
    tag = f"prod-{minted:%Y%m%dT%H%M%SZ}"
    repository = shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    commit = f"{number:040x}"
    repository.tags |= dict.fromkeys((commit, tag), repository.store(json.dumps({"number": number})).digest)
    for tenant in tenants:
        revise(shop, tenant, minted + later, release=tag, by=f"person {number}", commit=commit)
    return tag


def revise(shop: Shop, tenant: int, at: datetime, **kept: str) -> None:
    """One more revision of the tenant's, registered at that time."""
    ask = {"family": f"shop-t{tenant}-prod-api", "containerDefinitions": [{"name": "api", "image": "x"}]}
    account = shop.endpoint.cloud.account(tenant_account(tenant))
    register(account, {**ask, "tags": to_ecs(kept)}).members["registeredAt"] = at.timestamp()


def test_a_release_tells_its_commit_when_by_whom_the_run_the_reason_and_where_it_runs(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GITHUB_RUN_ID", "42")
    monkeypatch.setenv("GITHUB_REPOSITORY", "acme/shop")
    monkeypatch.setenv("GITHUB_ACTOR", "ann")
    older = ("--commit", shop.commits["older"], "--allow-older", "--override", "the shop is down")
    assert shop.inv("release.prod", *older, "--tenant", "t1").code == 0
    newest, before = history(shop)["releases"]
    assert (newest["commit"], newest["subject"]) == (shop.commits["older"], "Next")
    assert (newest["by"], newest["override"]) == ("ann", "the shop is down")
    assert newest["ci"] == "/acme/shop/actions/runs/42"
    assert newest["runs_in"] == ["t1-prod", "t2-prod"]
    assert newest["certified_at"][:4] == newest["release"][5:9]
    assert (before["release"], before["by"], before["runs_in"]) == (NEWEST, None, [])


def test_older_releases_are_told_by_the_revisions_that_recorded_them(shop: Shop):
    tags = [released(shop, number) for number in range(1, 5)]
    assert by(history(shop)) == {NEWEST: None} | {tag: f"person {n}" for n, tag in enumerate(tags, 1)}


def test_what_one_tenant_does_not_record_the_next_may(shop: Shop):
    first, second = released(shop, 1, (1,)), released(shop, 2, (2,))
    told = by(history(shop))
    assert (told[first], told[second]) == ("person 1", "person 2")


def test_who_goes_back_later_is_not_taken_for_who_released(shop: Shop):
    first, second = released(shop, 1), released(shop, 2)
    revise(shop, 1, START + timedelta(days=3), release=first, by="who went back")
    assert by(history(shop)) == {NEWEST: None, second: "person 2", first: "person 1"}


def test_of_each_target_only_as_many_revisions_are_read_as_the_releases_need(shop: Shop):
    for number in range(1, 31):
        released(shop, number, (1, 2))
    shop.inv("release.prod")
    shop.endpoint.calls.clear()
    assert None not in by(history(shop, "--last", "5")).values()
    counted = shop.endpoint.operations()
    assert counted["ListTaskDefinitions"] == 2
    assert counted["DescribeTaskDefinition"] == 2 + 2 * 5


def test_revisions_that_say_nothing_are_read_no_further_than_as_many_as_last_says(shop: Shop):
    tag = released(shop, 1, ())
    for _ in range(40):
        for tenant in (1, 2):
            revise(shop, tenant, START + timedelta(days=2))
    seen = history(shop)
    assert by(seen)[tag] is None
    counted = shop.endpoint.operations()
    assert counted["ListTaskDefinitions"] == 2
    assert counted["DescribeTaskDefinition"] == 2 + 2 * 20
    assert seen["notes"] == [
        "older config-only deploys may be missing in t1-prod/api, t2-prod/api: only the newest 20 of their revisions"
        " were read; --last 40 reads more"
    ]


def test_revisions_older_than_the_release_are_not_read_for_it(shop: Shop):
    tag = released(shop, 5, ())
    for _ in range(40):
        revise(shop, 1, START)
    assert by(history(shop, "--last", "20"))[tag] is None
    assert shop.endpoint.operations()["DescribeTaskDefinition"] == 2 + 2


def test_a_tenant_that_cannot_be_seen_costs_only_its_own_entry(shop: Shop):
    assert shop.inv("release.prod").code == 0
    shop.refuse("DescribeServices", "ExpiredTokenException", tenant_account(2))
    seen = history(shop)
    assert seen["releases"][0]["runs_in"] == ["t1-prod"]
    (note,) = seen["notes"]
    assert note.startswith("t2-prod could not be seen: cluster t2-prod: DescribeServices: ExpiredTokenException")


def test_revisions_that_may_not_be_listed_cost_only_who_released(shop: Shop):
    tag = released(shop, 1, (1, 2))
    shop.refuse("ListTaskDefinitions", "AccessDeniedException", tenant_account(1))
    seen = history(shop)
    assert by(seen)[tag] == "person 1"
    assert seen["notes"][0].startswith("who released, and config-only deploys, may be missing: ")
    assert "revisions could not be read of t1-prod/api: t1-prod/api: ListTaskDefinitions: Acc" in seen["notes"][0]


def test_a_registry_that_cannot_be_read_is_a_failure(shop: Shop):
    shop.refuse("DescribeImages", "AccessDeniedException", REGISTRY)
    ran = shop.inv("release.history", "prod")
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("ECR api: DescribeImages: AccessDeniedException: said no\n    allow DescribeImages")


def test_a_tier_without_a_release_says_so_and_is_no_failure(shop: Shop):
    tags = shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags
    del tags[NEWEST]
    ran = shop.inv("release.history", "prod")
    assert (ran.code, ran.stdout) == (0, "prod: no release of api yet; inv release.prod makes the first\n")
    assert "ListTaskDefinitions" not in shop.endpoint.operations()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["prd"], "tier: there is no tier 'prd'\n    did you mean 'prod'?"),
        (["prod", "--last", "0"], "--last: '0' is not a number from 1 to 999,999,999\n    for example --last 20"),
        (["prod", "--last", "9" * 5000], "--last: '9999"),
        (["prod", "--last", "x"], "--last: 'x' is not a number from 1 to 999,999,999"),
        (["prod", "--service", ""], "--service: is empty"),
        (["prod", "--service", "apo"], "--service: there is no service 'apo'\n    did you mean 'api'?"),
    ],
)
def test_what_is_mistyped_is_refused_and_aws_is_not_asked(shop: Shop, words: list[str], complaint: str):
    ran = shop.inv("release.history", *words)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith(complaint)
    assert not shop.endpoint.operations()


def test_where_no_revision_is_registered_the_service_tells_of_what_runs_now(shop: Shop):
    """The mutable tier with `pin = "tag"`: the definition stays, its ECS service carries the record."""
    shop.inv("deploy.dev")
    assert shop.inv("deploy.dev", "--force").code == 0
    (only,) = history(shop, tier="dev")["releases"]
    assert only["by"] is not None
    assert only["runs_in"] == ["t1-dev", "t2-dev"]


def test_looking_back_changes_nothing(shop: Shop):
    history(shop)
    assert not WRITES & set(shop.endpoint.operations())


ONCE = {"GetCallerIdentity": 1, "DescribeImages": 1}
EACH = ("AssumeRole", "DescribeServices", "DescribeTaskDefinition", "ListTasks", "DescribeTasks")


@pytest.mark.parametrize("tenants", [1, 2, 50])
def test_it_sweeps_a_repository_once_however_many_tenants_there_are(
    tenants: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    commits = project.write(tmp_path / "repo", tenants)
    with Endpoint(World(tenants, commits), latency_s=0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        shop = load(tmp_path / "repo")
        commands.history(shop, shop.tier("dev"), shop.services, 20)
        expected = {**ONCE, **dict.fromkeys((*EACH, "ListTaskDefinitions"), tenants)}
        assert endpoint.operations() == expected


def test_an_index_runs_where_tasks_report_one_of_its_children(shop: Shop):
    repository = shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    child = repository.tags[shop.commits["older"]]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": child}]})
    repository.tags[shop.commits["older"]] = repository.store(index, INDEX).digest
    (listing,) = json.loads(shop.inv("tag.list", "--json").stdout)
    runs = {image["commits"][0]: image["runs_in"] for image in listing["images"]}
    assert runs[shop.commits["older"]] == ["t1-prod", "t2-prod"]
    assert child not in [image["digest"] for image in listing["images"]]


def test_tag_list_says_which_environments_could_not_be_seen(shop: Shop):
    shop.refuse("DescribeServices", "ExpiredTokenException", tenant_account(2))
    ran = shop.inv("tag.list")
    assert ran.code == 0
    assert (
        "t2-prod could not be seen: cluster t2-prod: DescribeServices: ExpiredTokenException: said no\n" in ran.stdout
    )
    (listing,) = json.loads(shop.inv("tag.list", "--json").stdout)
    assert [note.partition(" ")[0] for note in listing["notes"]] == ["t2-dev", "t2-staging", "t2-prod"]


def test_a_service_without_a_repository_is_a_note_and_hides_no_release(shop: Shop):
    shop.add_service("worker")
    ran = shop.inv("release.history", "prod", "--json")
    told = json.loads(ran.stdout)
    assert (ran.code, len(told["releases"]) > 0) == (0, True), ran.stderr
    assert any("releases of worker are missing" in note and "RepositoryNotFound" in note for note in told["notes"])


FEATURE = ('FEATURE_INVOICES = "off"', 'FEATURE_INVOICES = "on"')
KEY = "containerDefinitions.api.environment.FEATURE_INVOICES"


@pytest.fixture
def deployed(shop: Shop) -> Shop:
    """Both tenants run the newest release of prod, with a revision of ours; nobody waits for a second to pass."""
    assert shop.inv("deploy.prod").code == 0
    return shop


def test_a_config_only_deploy_stands_among_the_releases_with_the_keys_that_changed(deployed: Shop):
    assert history(deployed)["config_only"] == []
    deployed.edit("envs/t1.toml", *FEATURE)
    assert deployed.inv("deploy.prod").code == 0
    (row,) = history(deployed)["config_only"]
    assert (row["keys"], row["release"], row["commit"]) == ([KEY], NEWEST, deployed.commits["newer"])
    assert (row["runs_in"], row["rollback"], row["ended"]) == (["t1-prod/api"], False, None)
    assert row["config"].startswith(deployed.git("rev-parse", "HEAD")) and row["by"]
    ran = deployed.inv("release.history", "prod")
    at_top = ran.stdout.index("config only") < ran.stdout.index(NEWEST)
    assert (KEY in ran.stdout, deployed.git("rev-parse", "HEAD")[:7] in ran.stdout, at_top) == (True, True, True)


def test_the_same_config_in_many_tenants_is_one_row_and_another_one_of_its_own(deployed: Shop):
    deployed.edit("templates/api.json.j2", '"essential": true,', '"essential": true, "readonlyRootFilesystem": true,')
    assert deployed.inv("deploy.prod").code == 0
    deployed.edit("envs/t2.toml", *FEATURE)
    assert deployed.inv("deploy.prod").code == 0
    newest, before = history(deployed)["config_only"]
    assert (newest["keys"], [each["target"] for each in newest["targets"]]) == ([KEY], ["t2-prod/api"])
    assert before["keys"] == ["containerDefinitions.api.readonlyRootFilesystem"]
    assert ([each["tenant"] for each in before["targets"]], before["runs_in"]) == (["t1", "t2"], ["t1-prod/api"])


def test_what_was_registered_and_never_began_is_no_deploy(deployed: Shop):
    deployed.edit("envs/t1.toml", *FEATURE)
    assert deployed.inv("deploy.register", "prod").code == 0
    assert history(deployed)["config_only"] == []


def test_a_release_with_other_config_is_no_config_only_deploy_and_names_its_config(deployed: Shop):
    deployed.edit("envs/t1.toml", *FEATURE)
    older = ("--commit", deployed.commits["older"], "--allow-older", "--override", "x")
    assert deployed.inv("release.prod", *older).code == 0
    seen = history(deployed)
    assert seen["config_only"] == []
    assert seen["releases"][0]["config"].startswith(deployed.git("rev-parse", "HEAD"))


def test_a_rollback_is_marked_and_going_forward_again_is_not(deployed: Shop):
    for commit in ("older", "newer"):
        words = ("--commit", deployed.commits[commit], "--allow-older", "--override", "x")
        assert deployed.inv("release.prod", *words).code == 0
    assert deployed.inv("release.rollback", "prod").code == 0
    rows = history(deployed)["releases"]
    assert rows[0]["commit"] == deployed.commits["older"]
    assert [row["rollback"] for row in rows] == [True, False, False, False], rows
    assert "rollback" in deployed.inv("release.history", "prod").stdout


def test_a_tenant_that_went_back_alone_is_a_rollback_of_its_own(deployed: Shop):
    words = ("--commit", deployed.commits["older"], "--allow-older", "--override", "x")
    assert deployed.inv("release.prod", *words).code == 0
    assert deployed.inv("release.rollback", "prod", "--tenant", "t1").code == 0
    seen = history(deployed)
    assert [row["rollback"] for row in seen["releases"]] == [False, False]
    (row,) = seen["config_only"]
    assert (row["rollback"], row["release"], row["runs_in"]) == (True, NEWEST, ["t1-prod/api"])


def test_a_config_only_deploy_that_failed_says_so(deployed: Shop):
    deployed.edit("envs/t1.toml", *FEATURE)
    deployed.refuse("UpdateService", "AccessDeniedException", tenant_account(1))
    assert deployed.inv("deploy.prod").code == 1
    deployed.endpoint.fault = None
    (row,) = history(deployed)["config_only"]
    assert (row["ended"], row["runs_in"]) == ("failed", [])


@pytest.mark.waits
def test_what_was_restored_by_its_digest_is_no_config_only_deploy(shop: Shop):
    shop.edit("envs/project.toml", "[tiers.prod]", '[tiers.prod]\npin = "tag"')
    assert shop.inv("deploy.prod", "--tenant", "t1").code == 0
    shop.soak("2s")
    fates = iter([Fate(lasts_s=0.5, death=Death(), sick_s=0, every_s=1)])
    shop.endpoint.cloud.fates = lambda *_: next(fates, Fate())
    words = ("--commit", shop.commits["older"], "--allow-older", "--override", "x", "--tenant", "t1")
    assert shop.inv("release.prod", *words).code == 1
    families = shop.endpoint.cloud.account(tenant_account(1)).families["shop-t1-prod-api"]
    assert [":prod" in each.images["api"] for each in families[-2:]] == [True, False]
    assert history(shop)["config_only"] == []


def test_a_secret_in_a_key_is_masked_as_in_a_diff(deployed: Shop):
    label = '"essential": true, "dockerLabels": {"s3cr3t-value": "x"},'
    deployed.edit("templates/api.json.j2", '"essential": true,', label)
    deployed.edit("envs/t1.toml", 'TENANT = "t1"', 'TENANT = "t1"\nAPI_PASSWORD = "s3cr3t-value"')
    assert deployed.inv("deploy.prod").code == 0
    for words in ([], ["--json"]):
        ran = deployed.inv("release.history", "prod", *words)
        assert ("dockerLabels.***" in ran.stdout or "dockerLabels" in ran.stdout, "s3cr3t" in ran.stdout) == (
            True,
            False,
        )
